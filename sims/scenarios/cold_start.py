"""Cold start: an action is offered that nobody has seen; how soon it gets what it is worth."""

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

import numpy as np

from sims.scenarios.base import Figure, Scenario, exact, in_blocks, mean
from sims.scenarios.populations import Floats
from sims.scenarios.segments import Played, play, policy
from sims.worlds.base import Flags

SEGMENTS_N, ACTIONS_N = 4, 5
LIKERS_N = 2
"""Segments, the first ones, for whom the new action is the best one."""
BEFORE_N, AFTER_N = 1000, 1500
LEARNING_N = 1000
"""Rounds after its arrival that nothing but the floor is asked of."""
FLOOR = 0.02
RUN_N = 20
BEST, LOW, GOOD = 0.6, 0.2, 0.9
"""What each segment's best old action earns, what all others do, and what a good new one does."""


class Arrival(NamedTuple):
    """Old actions, and one more from round `BEFORE_N` on."""

    old: Floats
    new: Floats

    @classmethod
    def of(cls, rng: np.random.Generator, good: float) -> "Arrival":
        """A new action that earns `good` of its likers, and `LOW` of the others."""
        old = np.full((SEGMENTS_N, ACTIONS_N), LOW)
        old[np.arange(SEGMENTS_N), rng.integers(ACTIONS_N, size=SEGMENTS_N)] = BEST
        worth = np.where(np.arange(SEGMENTS_N) < LIKERS_N, good, LOW)
        return cls(old, np.column_stack([old, worth]))

    def at(self, t: int) -> Floats:
        """The table of a round."""
        return self.old if t < BEFORE_N else self.new


def shares(played: Played) -> list[float]:
    """What became of the new action and of the others.

    Returns:
        Its least probability ever; rounds until its likers are shown it every other time; its
        probability among them after `LEARNING_N` rounds; expected reward of its likers, and of the
        others, then ÷ that of the same before it came.
    """
    new, likes = played.pmfs[BEFORE_N:, -1], played.segments < LIKERS_N
    at = np.arange(len(likes))
    then, before = at >= BEFORE_N + LEARNING_N, (at < BEFORE_N) & (at >= BEFORE_N // 2)
    return [
        float(new.min()),
        float(_half(new, likes[BEFORE_N:])),
        float(played.pmfs[then & likes, -1].mean()),
        float(played.expected[then & likes].mean() / played.expected[before & likes].mean()),
        float(played.expected[then & ~likes].mean() / played.expected[before & ~likes].mean()),
    ]


def _half(new: Floats, likes: Flags) -> int:
    """Rounds until `RUN_N` likers in a row have it with half on average; all, if they never do."""
    at = np.flatnonzero(likes)
    running = np.convolve(new[at], np.full(RUN_N, 1.0 / RUN_N), "valid")
    reached = np.flatnonzero(running >= 0.5)
    return int(at[reached[0]]) if reached.size else len(new)


def welcome(good: float, floor: float, rng: np.random.Generator, runs_n: int) -> Floats:
    """`shares` of each run."""
    spec = policy("cold", floor=floor)
    return np.array(
        [
            shares(play(spec, Arrival.of(rng, good).at, rng, BEFORE_N + AFTER_N))
            for _ in range(runs_n)
        ]
    )


def study(seed: int, repetitions: int, executor: Executor | None) -> Sequence[Figure]:
    """A good new action with and without a floor, and one that is no better than the worst."""
    good, bare, bad = (
        np.concatenate(
            in_blocks(partial(welcome, worth, floor), seed, repetitions, executor, block=2)
        )
        for worth, floor in ((GOOD, FLOOR), (GOOD, 0.0), (LOW, FLOOR))
    )
    later = f"{LEARNING_N} rounds after it came"
    return [
        exact(
            "a new action's least probability ever ÷ the floor",
            float(np.concatenate([good, bad])[:, 0].min()) / FLOOR,
            at_least=1.0 - 1e-6,
        ),
        mean("rounds until a good one has half of its likers' exposure", good[:, 1]),
        mean("the same with a floor of 0 (at most all there are)", bare[:, 1]),
        mean(f"probability of a good one among its likers, {later}", good[:, 2], at_least=0.5),
        mean("the same with a floor of 0", bare[:, 2]),
        mean(f"reward of its likers ÷ before, {later}", good[:, 3], at_least=1.1),
        mean("reward of the others ÷ before, with a good one", good[:, 4], at_least=0.95),
        mean(
            "reward of everybody's ÷ before, with a bad one", bad[:, 3:].mean(axis=1), at_least=0.95
        ),
        mean("probability of a bad one among the same, then", bad[:, 2], at_most=0.1),
    ]


COLD_START = Scenario(
    name="cold-start",
    claim="An action that nobody has seen gets the floor at once and, if it is good, its exposure "
    "soon, while the others keep theirs.",
    target=f"probability ≥ the floor ({FLOOR}) from the first round on; ≥ 50 % among its likers "
    f"from {LEARNING_N} rounds on, who earn ≥ 1.1 times what they did; the others, and everybody "
    "beside a bad one, ≥ 95 %",
    repetitions=60,
    short=2,
    study=study,
)
