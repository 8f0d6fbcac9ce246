"""A log as a world: its requests come again, and a model that was fitted to it says what they earn.

Reads DSJSON: what `bandit export SURFACE` writes of our own ClickHouse log, or what Personalizer
and Vowpal Wabbit wrote.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import lsqr

from bandit.dsjson import Line, read_line
from bandit.errors import RecordError
from bandit.policies.features import Features, features_of
from bandit.records import Action
from sims.worlds.base import Floats, Round, streams

PLACES_N = 2**14
"""Weights of the model; names share them by their hash."""
RIDGE = 1.0
LEAST_LINES = 50


class Fit(NamedTuple):
    """How the model fits the log it was made of.

    Attributes:
        lines_n: Decisions it was fitted to.
        reward: Their mean reward.
        predicted: Mean of what the model says of the same actions.
        explained: 1 − squared error ÷ variance of the rewards, on every fifth decision, by a model
            of the others: 0 and less says that it knows nothing but the mean.
    """

    lines_n: int
    reward: float
    predicted: float
    explained: float


class LoggedWorld:
    """A round is a request of the log, drawn at random, with all of its candidates.

    An action pays 1 with the probability that a ridge regression of the log's rewards gives it, on
    the action, its features, the context and all products of both, cut to the rewards' range in
    the log; else 0. So regret is exact, for a truth that is the model and not the users: it knows
    what the log shows, and prefers nothing that the log's policy never tried. `fit` says how much
    that is.

    Args:
        lines: Joined decisions; the first slot of each counts, and those with `_skipLearn` do not.
        name: What tables call it.

    Raises:
        RecordError: Fewer than 50 decisions with a reward, or rewards that are not in [0, 1].
    """

    about = "A log's own requests; what they earn is a model that was fitted to it."

    def __init__(self, lines: Iterable[Line], *, name: str = "log") -> None:
        kept = [line for line in lines if not line.skip_learn and line.slots[0].reward is not None]
        if len(kept) < LEAST_LINES:
            raise RecordError(
                f"log has {len(kept)} decisions with a reward, must have at least {LEAST_LINES}"
            )
        rewards = np.array([line.slots[0].reward for line in kept], dtype=np.float64)
        if not (rewards.min() >= 0.0 and rewards.max() <= 1.0):
            raise RecordError(
                f"log has rewards from {rewards.min():g} to {rewards.max():g}, must be in [0, 1]"
            )
        self.name = name
        self._contexts = [msgspec.json.encode(line.context) for line in kept]
        self._actions = [
            tuple(Action.of(id_, **features) for id_, features in line.actions) for line in kept
        ]
        drawn = [line.slots[0].order[0] for line in kept]
        rows = [self._rows(number) for number in range(len(kept))]
        taught = _matrix([row[index] for row, index in zip(rows, drawn, strict=True)])
        weights = _solved(taught, rewards)
        low, high = float(rewards.min()), float(rewards.max())
        self._expected = [np.clip(_matrix(row) @ weights, low, high) for row in rows]
        said = [float(e[index]) for e, index in zip(self._expected, drawn, strict=True)]
        self.fit = Fit(
            lines_n=len(kept),
            reward=float(rewards.mean()),
            predicted=float(np.mean(said)),
            explained=_explained(taught, rewards),
        )

    @classmethod
    def read(cls, path: Path, *, name: str = "") -> "LoggedWorld":
        """A world of a DSJSON file.

        Raises:
            RecordError: It can not be read, with the number of the line; or see the class.
        """
        lines = []
        try:
            with path.open("rb") as file:
                for number, raw in enumerate(file, 1):
                    if raw.strip():
                        lines.append(_line(path, number, raw))
        except OSError as exc:
            raise RecordError(f"{path} can not be read: {exc.strerror}") from exc
        return cls(lines, name=name or f"log={path}")

    def rounds(self, rng: np.random.Generator) -> Iterator[Round]:
        """Rounds without end."""
        for_lines, for_luck = streams(rng, 2)
        while True:
            number = int(for_lines.integers(len(self._contexts)))
            expected = self._expected[number]
            rewards = for_luck.random(len(expected)) < expected
            yield Round(
                unit_id=f"line-{number}",
                context=self._contexts[number],
                actions=self._actions[number],
                rewards=tuple(map(float, rewards)),
                expected=tuple(map(float, expected)),
            )

    def _rows(self, number: int) -> list[dict[int, float]]:
        """Columns and values of each candidate of a request."""
        context = features_of(self._contexts[number], "$.context")
        return [
            _crossed(context, action.id, features_of(bytes(action.features)))
            for action in self._actions[number]
        ]


def _line(path: Path, number: int, raw: bytes) -> Line:
    try:
        return read_line(raw)
    except RecordError as exc:
        raise RecordError(f"{exc} - at line {number} of {path}") from exc


def _crossed(context: Features, id_: str, action: Features) -> dict[int, float]:
    """A constant, the context, the action's id and features, and the products of both sides."""
    ours = [("", 1.0), *zip(context.names, context.values, strict=True)]
    theirs = [("", 1.0), (f"id={id_}", 1.0), *zip(action.names, action.values, strict=True)]
    row: dict[int, float] = {}
    for left, x in ours:
        for right, y in theirs:
            place = _place(left, right)
            row[place] = row.get(place, 0.0) + x * y
    return row


def _place(left: str, right: str) -> int:
    """A column; the pair's hash must be equal in every process, so it is none of Python's own."""
    return zlib.crc32(f"{left}\0{right}".encode(errors="surrogatepass")) % PLACES_N


def _matrix(rows: Sequence[dict[int, float]]) -> csr_matrix:
    ends = np.cumsum([0, *map(len, rows)])
    places = np.fromiter((place for row in rows for place in row), np.int64, ends[-1])
    values = np.fromiter((value for row in rows for value in row.values()), float, ends[-1])
    return csr_matrix((values, places, ends), shape=(len(rows), PLACES_N))


def _solved(rows: csr_matrix, rewards: Floats) -> Floats:
    """Ridge regression, its columns of very different sizes brought to one."""
    sizes = np.sqrt(np.asarray(rows.multiply(rows).mean(axis=0)).ravel())
    scale = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > 0.0)
    # A column that is there always has size 1; a rare one is not made large.
    scale = np.minimum(scale, 1.0)
    found = lsqr(rows.multiply(scale).tocsr(), rewards, damp=RIDGE**0.5, iter_lim=200)[0]
    return np.asarray(found * scale)


def _explained(rows: csr_matrix, rewards: Floats) -> float:
    held = np.arange(len(rewards)) % 5 == 0
    weights = _solved(rows[~held], rewards[~held])
    missed = rewards[held] - rows[held] @ weights
    plain = rewards[held] - rewards[~held].mean()
    return float(1.0 - (missed @ missed) / max(float(plain @ plain), 1e-300))
