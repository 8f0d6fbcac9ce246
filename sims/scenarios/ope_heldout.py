"""The off-policy claims again, in worlds that nothing was chosen or tuned in.

What was chosen while looking at the worlds of the other `ope-` studies is told in sims/README.md.
The worlds, sizes and targets here were fixed before the first number came out of them. Who changes
an estimator after having seen these figures has to write other worlds.
"""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial

import numpy as np

from sims.scenarios.base import Figure, Scenario, in_blocks, mean, rate
from sims.scenarios.ope_accuracy import SLACK, beside_best, errors_of
from sims.scenarios.ope_coverage import LOOKS, Found, intervals_of, modelled, sequence_of
from sims.scenarios.ope_heldout_worlds import WORLDS
from sims.scenarios.ope_worlds import World

SIZES = (200, 1000, 10_000)
BLOCK = 25
ANYTIME_BLOCK = 10
Errors = dict[str, list[float]]


def look(world: World, n: int, rng: np.random.Generator, runs_n: int) -> tuple[Found, Errors]:
    """Intervals and squared errors of the same `runs_n` logs."""
    found: Found = defaultdict(list)
    errors: Errors = defaultdict(list)
    for _ in range(runs_n):
        judged = world.log(rng, n)
        log = modelled(judged, world.k)
        for name, one in intervals_of(log).items():
            found[name].append((one.low <= judged.truth <= one.high, one.width))
        for name, error in errors_of(judged, log, world.k).items():
            errors[name].append(error)
    return dict(found), dict(errors)


def watch(world: World, rng: np.random.Generator, runs_n: int) -> list[tuple[bool, float]]:
    """Whether the truth was ever missed over 60 looks, and the last width, of each log."""
    found = []
    for _ in range(runs_n):
        judged = world.log(rng, LOOKS[-1])
        looks = sequence_of(judged, world.k)
        missed = any(not one.low <= judged.truth <= one.high for one in looks)
        found.append((missed, looks[-1].width))
    return found


def one_look(world: World, n: int, blocks: Sequence[tuple[Found, Errors]]) -> list[Figure]:
    """Figures of one world and size."""
    found: Found = defaultdict(list)
    errors: Errors = defaultdict(list)
    for runs, each in blocks:
        for name in runs:
            found[name] += runs[name]
        for name in each:
            errors[name] += each[name]
    figures, cell = [], f"{world.name}, n = {n:,}"
    for name, both in found.items():
        ours = name == "default"
        beside, at_least = ("", 0.93) if ours else ("beside it: ", None)
        hits = sum(hit for hit, _ in both)
        figures.append(rate(f"{beside}{cell}: {name} covers", hits, len(both), at_least=at_least))
        figures.append(mean(f"{beside}{cell}: {name} is wide", [width for _, width in both]))
    # Accuracy is claimed from 1,000 decisions on, here as in `ope-accuracy`.
    return figures + (beside_best(cell, errors, SLACK) if n >= 1000 else [])


def study(seed: int, repetitions: int, executor: Executor | None) -> Sequence[Figure]:
    """Coverage and accuracy of each world and size, then 60 looks in each world."""
    figures: list[Figure] = []
    for place, (world, n) in enumerate((w, n) for w in WORLDS for n in SIZES):
        # Long logs take long; too few of them say nothing.
        if (runs_n := min(repetitions, repetitions * 7500 // n)) < 4:
            continue
        work = partial(look, world, n)
        blocks = in_blocks(work, seed, runs_n, executor, part=place, block=BLOCK)
        figures += one_look(world, n, blocks)
    runs_n = (repetitions + 1) // 2
    for place, world in enumerate(WORLDS, len(WORLDS) * len(SIZES)):
        work_on = partial(watch, world)
        runs = in_blocks(work_on, seed, runs_n, executor, part=place, block=ANYTIME_BLOCK)
        both = [one for block in runs for one in block]
        missed = sum(each for each, _ in both)
        name = f"{world.name}: sequence"
        figures.append(rate(f"{name} ever misses in 60 looks", missed, len(both), at_most=0.05))
        figures.append(mean(f"{name} is wide in the end", [width for _, width in both]))
    return figures


OPE_HELDOUT = Scenario(
    name="ope-heldout",
    claim="What ope-coverage, ope-anytime and ope-accuracy claim holds in four worlds that nothing "
    "was chosen or tuned in.",
    target="covers ≥ 93 % in twelve cells; squared error at most a tenth above the best of eight "
    "in eight; ever misses in at most 5 % of 60-look runs in four",
    repetitions=1000,
    short=4,
    study=study,
)
