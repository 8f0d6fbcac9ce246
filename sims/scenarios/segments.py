"""Segments of users with a table of expected rewards that changes: where policies must follow."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bandit.records import Action
from bandit.specs import PolicySpec
from sims.learners import SURFACE, Served
from sims.scenarios.populations import Floats
from sims.worlds.base import Round

ACTIONS = tuple(Action.of(f"a{number}") for number in range(12))
Table = Callable[[int], Floats]
"""Round → `(segments, actions)` expected rewards; the actions that are on offer in that round."""


@dataclass(frozen=True)
class Played:
    """What a policy did in one run.

    Attributes:
        segments: Who asked, `(rounds,)`.
        pmfs: What was drawn from, `(rounds, actions)`; 0 for an action that was not on offer.
        expected: Of the pmf, `(rounds,)`: Σ p(a) E[r(a)].
    """

    segments: np.ndarray[tuple[int], np.dtype[np.int_]]
    pmfs: Floats
    expected: Floats


def policy(key: str, *, floor: float, window: int | None = None) -> PolicySpec:
    """The default policy."""
    return PolicySpec(key=key, type="vw", surface=SURFACE, floor=floor, window=window)


def play(spec: PolicySpec, table: Table, rng: np.random.Generator, rounds_n: int) -> Played:
    """Let a policy learn from every round at once; equal generators give equal rounds and luck."""
    learner = Served(spec)
    k = max(table(t).shape[1] for t in (0, rounds_n - 1))
    segments = np.zeros(rounds_n, dtype=np.int_)
    pmfs, values = np.zeros((rounds_n, k)), np.zeros(rounds_n)
    for t in range(rounds_n):
        means = table(t)
        draws = rng.random(3)
        segments[t] = int(draws[0] * len(means))
        expected = means[segments[t]]
        this = Round(
            unit_id="unit",
            context=b'{"segment":"s%d"}' % segments[t],
            actions=ACTIONS[: len(expected)],
            rewards=tuple((draws[1] < expected).astype(float).tolist()),
            expected=tuple(expected.tolist()),
        )
        pmf = np.asarray(learner.pmf(this))
        drawn = min(int(np.searchsorted(np.cumsum(pmf), draws[2])), len(pmf) - 1)
        learner.learn(this, drawn, float(pmf[drawn]), this.rewards[drawn])
        pmfs[t, : len(pmf)] = pmf
        values[t] = float(pmf @ expected)
    return Played(segments, pmfs, values)
