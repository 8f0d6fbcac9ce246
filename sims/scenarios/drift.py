"""Drift: everybody's taste changes at once; how soon does a policy earn what it did before."""

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

import numpy as np

from sims.scenarios.base import Figure, Scenario, in_blocks, mean
from sims.scenarios.populations import Floats
from sims.scenarios.segments import play, policy

SEGMENTS_N, ACTIONS_N = 4, 5
BEFORE_N, AFTER_N = 1000, 1500
RECOVERY_N = 500
"""Rounds after the change that nothing is asked of."""
WINDOW_N = 300
FLOOR = 0.01
HIGH, LOW = 0.8, 0.2


class Change(NamedTuple):
    """The best action of each segment before and after; all others earn `LOW`."""

    before: Floats
    after: Floats

    @classmethod
    def of(cls, rng: np.random.Generator) -> "Change":
        """Every segment's best action becomes another one."""
        best = rng.integers(ACTIONS_N, size=SEGMENTS_N)
        moved = (best + rng.integers(1, ACTIONS_N, size=SEGMENTS_N)) % ACTIONS_N
        return cls(cls._table(best), cls._table(moved))

    def at(self, t: int) -> Floats:
        """The table of a round."""
        return self.before if t < BEFORE_N else self.after

    @staticmethod
    def _table(best: np.ndarray[tuple[int], np.dtype[np.int_]]) -> Floats:
        table = np.full((SEGMENTS_N, ACTIONS_N), LOW)
        table[np.arange(SEGMENTS_N), best] = HIGH
        return table


def follow(window: int | None, rng: np.random.Generator, runs_n: int) -> Floats:
    """Mean expected reward just before the change and, after it, in the recovery and then."""
    found = np.zeros((runs_n, 3))
    for run in range(runs_n):
        change = Change.of(rng)
        values = play(
            policy("drift", floor=FLOOR, window=window), change.at, rng, BEFORE_N + AFTER_N
        ).expected
        found[run] = (
            values[BEFORE_N - RECOVERY_N : BEFORE_N].mean(),
            values[BEFORE_N : BEFORE_N + RECOVERY_N].mean(),
            values[BEFORE_N + RECOVERY_N :].mean(),
        )
    return found


def study(seed: int, repetitions: int, executor: Executor | None) -> Sequence[Figure]:
    """The default policy with and without a window, on the same changes."""
    windowed, plain = (
        np.concatenate(in_blocks(partial(follow, window), seed, repetitions, executor, block=2))
        for window in (WINDOW_N, None)
    )
    both = (("with a window", windowed), ("without", plain))
    return [
        mean(
            f"{RECOVERY_N} rounds after the change: reward ÷ what it was, with a window",
            windowed[:, 2] / windowed[:, 0],
            at_least=0.9,
        ),
        mean("the same without", plain[:, 2] / plain[:, 0]),
        mean(
            "then: reward with a window less without",
            windowed[:, 2] - plain[:, 2],
            at_least=0.0,
        ),
        mean(
            "before the change: reward with a window ÷ without",
            windowed[:, 0] / plain[:, 0],
            at_least=0.95,
        ),
        *(mean(f"reward before the change, {name}", rows[:, 0]) for name, rows in both),
        *(mean(f"in the {RECOVERY_N} rounds after it, {name}", rows[:, 1]) for name, rows in both),
        *(mean(f"then, {name}", rows[:, 2]) for name, rows in both),
    ]


DRIFT = Scenario(
    name="drift",
    claim="When every segment's best action changes at once, a policy with a window earns again "
    "what it did, sooner than one without, and pays little for it before.",
    target=f"≥ 90 % of the reward before, from {RECOVERY_N} rounds after the change on; more than "
    f"without a window; ≥ 95 % of the other's reward before (window {WINDOW_N} lessons)",
    repetitions=60,
    short=2,
    study=study,
)
