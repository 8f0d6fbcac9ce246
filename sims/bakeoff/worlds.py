"""A table as a world: clean labels, click-like rewards, or a truth that moves on."""

import functools
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import numpy as np

from bandit.policies.numeric import quintiles
from bandit.records import Action
from sims.bakeoff.data import Row, Table, load
from sims.bakeoff.made import MADE
from sims.worlds.base import Round

Reward = Literal["clean", "clicks", "drift"]
Encoding = Literal["raw", "bucketed"]
REWARDS: tuple[Reward, ...] = get_args(Reward)

CLICKED_RIGHT, CLICKED_WRONG = 0.10, 0.02
PHASES = 3
"""In a world that drifts, after each third of the rounds what was right for an action is right for
the next one."""


class TableWorld:
    """A round is a row, each once in a random order, then anew; only what is right pays.

    Attributes:
        actions_n: How many different ones there are.
        rounds_n: How many are to be played.

    Args:
        table: The data.
        reward: `clean`: what is right pays 1, all else 0. `clicks`: what is right is clicked at
            with a chance of 10 %, all else with 2 %. `drift`: clean, and what is right changes.
        encoding: `bucketed`: numbers are replaced by the fifth of all rows that they are in, as
            texts, for every policy alike; what a policy does by itself with `raw` ones is its own.
        rounds_n: How many are to be played, of which the truth of `drift` is a function.
    """

    def __init__(
        self, table: Table, reward: Reward, *, encoding: Encoding = "raw", rounds_n: int = 5_000
    ) -> None:
        self.name = name_of(table.name, reward, encoding)
        self.about = table.about
        self.table = table
        self.actions_n = len({action.id for row in table.rows for action in row.actions})
        self._rows = table.rows if encoding == "raw" else bucketed(table.rows)
        self._reward = reward
        self.rounds_n = rounds_n
        self._phase_n = max(1, rounds_n // PHASES)

    def rounds(self, rng: np.random.Generator) -> Iterator[Round]:
        """Rounds without end."""
        played = 0
        while True:
            for place in rng.permutation(len(self._rows)).tolist():
                row = self._offered(self._rows[place], rng)
                phase = played // self._phase_n if self._reward == "drift" else 0
                yield self._round(row, f"row-{place}", phase, rng)
                played += 1

    def _offered(self, row: Row, rng: np.random.Generator) -> Row:
        n = self.table.offered_n
        if n is None or n >= len(row.actions):
            return row
        some = rng.choice(len(row.actions), size=n, replace=False).tolist()
        return Row(
            row.context,
            tuple(row.actions[place] for place in some),
            tuple(row.right[place] for place in some),
        )

    def _round(self, row: Row, unit_id: str, phase: int, rng: np.random.Generator) -> Round:
        shift = phase % len(row.right)
        right = (*row.right[-shift:], *row.right[:-shift]) if shift else row.right
        rewards = expected = right
        if self._reward == "clicks":
            expected = tuple(CLICKED_WRONG + (CLICKED_RIGHT - CLICKED_WRONG) * r for r in right)
            drawn = rng.random(len(expected)).tolist()
            rewards = tuple(float(u < p) for u, p in zip(drawn, expected, strict=True))
        return Round(
            unit_id=unit_id,
            context=row.context,
            actions=row.actions,
            rewards=rewards,
            expected=expected,
        )


class NamedWorld(TableWorld):
    """A table that is known by its name, which is all that processes are sent."""

    def __init__(
        self, name: str, reward: Reward, encoding: Encoding, rounds_n: int, cache: Path
    ) -> None:
        super().__init__(_loaded(name, cache), reward, encoding=encoding, rounds_n=rounds_n)
        self._made_of = (name, reward, encoding, rounds_n, cache)

    def __reduce__(self) -> tuple[Any, ...]:
        """By what it was made of."""
        return NamedWorld, self._made_of


@functools.cache  # a seed goes through all of them, and then the next one does
def _loaded(name: str, cache: Path) -> Table:
    made = MADE.get(name)
    return load(name, cache) if made is None else Table(name, made.__doc__ or "", tuple(made()))


def name_of(table: str, reward: Reward, encoding: Encoding) -> str:
    """A world's name.

    >>> name_of("letter", "clicks", "raw"), name_of("letter", "clean", "bucketed")
    ('letter clicks', 'letter-bucketed clean')
    """
    return f"{table}{'' if encoding == 'raw' else '-bucketed'} {reward}"


def has_numbers(table: Table) -> bool:
    """Whether bucketing changes anything."""
    return any(_numbers(table.rows[:1], side) for side in ("context", "action"))


def bucketed(rows: Sequence[Row]) -> list[Row]:
    """Rows whose numbers are texts, by the fifths of all rows."""
    edges = {
        (side, name): quintiles(values)
        for side in ("context", "action")
        for name, values in _numbers(rows, side).items()
    }
    known: dict[bytes, Action] = {}
    return [
        Row(
            _texts(row.context, "context", edges),
            tuple(_bucketed(action, edges, known) for action in row.actions),
            row.right,
        )
        for row in rows
    ]


def _numbers(rows: Sequence[Row], side: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in rows:
        raws = [row.context] if side == "context" else [bytes(a.features) for a in row.actions]
        for raw in raws:
            for name, value in _members(raw).items():
                if isinstance(value, int | float):
                    found.setdefault(name, []).append(float(value))
    return found


def _bucketed(
    action: Action, edges: Mapping[tuple[str, str], list[float]], known: dict[bytes, Action]
) -> Action:
    key = action.id.encode() + b"\0" + bytes(action.features)
    if key not in known:
        texts = _texts(bytes(action.features), "action", edges)
        known[key] = Action(id=action.id, features=msgspec.Raw(texts))
    return known[key]


def _texts(raw: bytes, side: str, edges: Mapping[tuple[str, str], list[float]]) -> bytes:
    return msgspec.json.encode(
        {
            name: f"#{bisect_right(edges[side, name], value)}"
            if isinstance(value, int | float)
            else value
            for name, value in _members(raw).items()
        }
    )


def _members(raw: bytes) -> dict[str, object]:
    return msgspec.json.decode(raw, type=dict[str, object])
