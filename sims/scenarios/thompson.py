"""Thompson sampling in thousands of runs at once, with the probabilities that it drew from."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from sims.scenarios.populations import Floats

_NODES = np.linspace(-5.0, 5.0, 41)
_WEIGHTS = np.exp(-(_NODES**2) / 2.0) / np.exp(-(_NODES**2) / 2.0).sum()


@dataclass(frozen=True)
class Design:
    """Actions with means, and how Thompson sampling explores them.

    Attributes:
        means: Of each action's reward; noise is uniform on ∓ 1 around them.
        floor: Least probability of an action, or how fast it falls: `t` gives t^−0.7 ÷ actions.
    """

    name: str
    means: tuple[float, ...]
    floor: float | None = None

    def floor_at(self, t: int) -> float:
        """Least probability of an action at decision `t`, from 1 on."""
        return t**-0.7 / len(self.means) if self.floor is None else self.floor


class Logs(NamedTuple):
    """Logs of many runs.

    Attributes:
        arms: Action drawn, `(runs, decisions)`.
        rewards: The same shape.
        propensities: Of every action, `(runs, decisions, actions)`.
    """

    arms: NDArray[np.int_]
    rewards: Floats
    propensities: Floats


def best_probabilities(means: Floats, sds: Floats) -> Floats:
    """Probability that each action is the best one under normal beliefs, `(runs, actions)`.

    ∫ φ((x − μ_w)/σ_w) Π_v≠w Φ((x − μ_v)/σ_v) dx on a grid of 41 points.
    """
    found = np.empty_like(means)
    k = means.shape[1]
    for w in range(k):
        at = means[:, w, None] + sds[:, w, None] * _NODES
        below = np.ones_like(at)
        for v in range(k):
            if v != w:
                below *= ndtr((at - means[:, v, None]) / sds[:, v, None])
        found[:, w] = below @ _WEIGHTS
    total: Floats = found / found.sum(axis=1, keepdims=True)
    return total


def run(design: Design, rng: np.random.Generator, runs_n: int, decisions_n: int) -> Logs:
    """Let Thompson sampling with normal beliefs run; every decision learns from all before it."""
    truth, k = np.array(design.means), len(design.means)
    counts, sums = np.zeros((runs_n, k)), np.zeros((runs_n, k))
    arms = np.empty((runs_n, decisions_n), dtype=np.int_)
    rewards, rows = np.empty((runs_n, decisions_n)), np.arange(runs_n)
    propensities = np.empty((runs_n, decisions_n, k))
    for t in range(decisions_n):
        # A prior worth one reward of 0; the noise has variance 1/3.
        beliefs = sums / (counts + 1.0), np.sqrt(1.0 / 3.0 / (counts + 1.0))
        floor = design.floor_at(t + 1)
        p = floor + (1.0 - k * floor) * best_probabilities(*beliefs)
        drawn = (rng.random(runs_n)[:, None] > np.cumsum(p, axis=1)[:, :-1]).sum(axis=1)
        earned = truth[drawn] + rng.uniform(-1.0, 1.0, runs_n)
        counts[rows, drawn] += 1.0
        sums[rows, drawn] += earned
        arms[:, t], rewards[:, t], propensities[:, t] = drawn, earned, p
    return Logs(arms, rewards, propensities)
