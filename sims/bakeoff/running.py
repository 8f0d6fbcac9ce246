"""Data sets × reward kinds × policies × seeds, on the runner of all simulations."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sims.bakeoff.entries import LeftOut, contenders_of, playing
from sims.bakeoff.worlds import Encoding, NamedWorld, Reward, has_numbers
from sims.learners import Contender
from sims.running.plan import Plan, plan_of
from sims.running.playing import marks_of
from sims.running.runs import run_plan

Floats = npt.NDArray[np.float64]
LATE = 0.75


class Options(NamedTuple):
    """What is to be run.

    Attributes:
        rounds_n: At most; no more than a table has rows, so that nobody learns one by heart.
    """

    tables: tuple[str, ...]
    rewards: tuple[Reward, ...] = ("clean", "clicks")
    encodings: tuple[Encoding, ...] = ("raw",)
    policies: tuple[str, ...] = ("auto", "vw")
    seeds: tuple[int, ...] = tuple(range(10))
    rounds_n: int = 5_000


class Score(NamedTuple):
    """One policy in one world.

    Attributes:
        seeds: In order.
        whole, late: `(seeds,)` mean of the expected reward over all rounds and over the last
            quarter; an expectation, so that the luck of clicks is not counted.
        regret: `(seeds,)` how much less than the best that was, a round.
        micros: Processor time of a round, asking, learning and the world's own.
    """

    world: str
    policy: str
    seeds: tuple[int, ...]
    whole: Floats
    late: Floats
    regret: Floats
    micros: float | None


class Played(NamedTuple):
    """All that came out."""

    scores: list[Score]
    left_out: list[LeftOut]


def bake(
    options: Options,
    cache: Path,
    folder: Path | None,
    *,
    executor: Executor | None = None,
    workers_n: int = 1,
    told: Callable[[str], None] = lambda text: None,
    watch: Callable[[str, int, int], None] = lambda what, done, of: None,
    finished: Callable[[Played], None] = lambda played: None,
) -> Played:
    """Run what is not finished yet in `folder`, seed by seed: whoever stops has whole seeds.

    Args:
        options: What.
        cache: Keeps data sets.
        folder: Keeps cells; None: nothing is kept.
        executor: Runs cells elsewhere; None: here.
        workers_n: How many it has.
        told: Told where each data set is from.
        watch: Told seed and data set that is being played, rounds done there and rounds in all.
        finished: Told all that came out so far, when everybody has played a seed everywhere.

    Raises:
        DataSetUnavailable: A data set can not be fetched.
        BadSpec: A policy that nobody has.
    """
    contenders = contenders_of(options.policies)
    stages: list[_Stage] = []
    left_out: list[LeftOut] = []
    for name in options.tables:
        worlds = worlds_of(name, options, cache)
        told(f"{name}: {worlds[0].about}")
        able, others = playing(contenders, worlds[0])
        left_out += [one._replace(world=name) for one in others]
        if able:
            stages.append(_Stage(name, worlds, able))
    games: dict[tuple[str, str], list[_Game]] = {}
    played = Played([], left_out)
    for seed in options.seeds:
        for name, worlds, able in stages:
            plan = plan_of(worlds, able, rounds_n=worlds[0].rounds_n, seeds=(seed,))
            counter = _Counter(partial(watch, f"{seed} {name}"), plan.rounds_in_all)
            table, seconds = run_plan(
                plan, folder, executor=executor, workers_n=workers_n, watch=counter
            )
            columns = {name: table.column(name).to_numpy() for name in ("expected", "regret")}
            for key, game in _games(plan, columns, seconds):
                games.setdefault(key, []).append(game)
        played = Played([_score(*key, each) for key, each in games.items()], left_out)
        finished(played)
    return played


def worlds_of(name: str, options: Options, cache: Path) -> list[NamedWorld]:
    """A table's worlds; `bucketed` ones only where there are numbers."""
    raw = NamedWorld(name, "clean", "raw", options.rounds_n, cache)
    rows_n = len(raw.table.rows)
    rounds_n = options.rounds_n if raw.table.offered_n else min(options.rounds_n, rows_n)
    encodings = [e for e in options.encodings if e == "raw" or has_numbers(raw.table)]
    return [
        NamedWorld(name, reward, encoding, rounds_n, cache)
        for encoding in encodings
        for reward in options.rewards
    ]


class _Stage(NamedTuple):
    """A data set's worlds, and who can play in them."""

    name: str
    worlds: list[NamedWorld]
    able: list[Contender]


class _Game(NamedTuple):
    """One policy in one world with one seed.

    Attributes:
        rounds_n: `(m,)` rounds at each checkpoint.
        expected, regret: `(m,)` sums so far.
        micros: Processor time of a round.
    """

    seed: int
    rounds_n: list[int]
    expected: Floats
    regret: Floats
    micros: float | None


def _games(
    plan: Plan, columns: dict[str, Floats], seconds: dict[str, float]
) -> Iterator[tuple[tuple[str, str], _Game]]:
    """Games of a plan by world and policy; its cells have a seed each."""
    marks = marks_of(plan.rounds_n)
    for place, cell in enumerate(plan.cells):
        part = slice(place * len(marks), (place + 1) * len(marks))
        spent = seconds.get(cell.digest)
        yield (
            (plan.worlds[cell.world].name, plan.contenders[cell.policy].key),
            _Game(
                seed=cell.seeds[0],
                rounds_n=marks,
                expected=columns["expected"][part],
                regret=columns["regret"][part],
                micros=None if spent is None else spent * 1e6 / plan.rounds_n,
            ),
        )


def _score(world: str, policy: str, games: Sequence[_Game]) -> Score:
    marks = games[0].rounds_n
    start = max((i for i, mark in enumerate(marks) if mark <= LATE * marks[-1]), default=0)
    expected = np.array([game.expected for game in games])
    regret = np.array([game.regret for game in games])
    known = [game.micros for game in games if game.micros is not None]
    return Score(
        world=world,
        policy=policy,
        seeds=tuple(game.seed for game in games),
        whole=expected[:, -1] / marks[-1],
        late=(expected[:, -1] - expected[:, start]) / max(marks[-1] - marks[start], 1),
        regret=regret[:, -1] / marks[-1],
        micros=float(np.median(known)) if known else None,
    )


class _Counter:
    def __init__(self, watch: Callable[[int, int], None], of: int) -> None:
        self._watch, self._of, self._done = watch, of, 0

    def __call__(self, more_n: int) -> None:
        self._done += more_n
        self._watch(self._done, self._of)


def seeds_in_common(scores: Sequence[Score]) -> tuple[int, ...]:
    """Seeds that all have played."""
    common = set.intersection(*(set(score.seeds) for score in scores)) if scores else set()
    return tuple(sorted(common))
