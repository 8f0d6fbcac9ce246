"""Disjoint LinUCB and LinTS in NumPy: what anybody would write first.

Source: Li et al. 2010, "A contextual-bandit approach to personalized news article recommendation",
algorithm 1; Agrawal & Goyal 2013, "Thompson sampling for contextual bandits with linear payoffs".
"""

from typing import Literal, NamedTuple

import numpy as np

from sims.peers.numbers import Floats, Numbers, greedy, width_of
from sims.worlds.base import Round, World


class Ridge(NamedTuple):
    """A contender.

    Attributes:
        kind: How it explores.
        scale: α of LinUCB, v of LinTS.
        ridge: λ.
    """

    kind: Literal["linucb", "lints"]
    scale: float = 0.5
    ridge: float = 1.0

    @property
    def key(self) -> str:
        """Its name in tables."""
        return self.kind

    def learner(self, world: World, seed: int) -> "RidgeLearner":
        """Untrained."""
        return RidgeLearner(self, seed, width_of(world))


class RidgeLearner:
    """For each action id A⁻¹ and A⁻¹·b, updated by Sherman and Morrison's formula."""

    def __init__(self, contender: Ridge, seed: int, width: int) -> None:
        self._like = contender
        self._width = width
        self._rng = np.random.default_rng(seed)
        self._numbers = Numbers(width)
        self._inverse: dict[str, Floats] = {}
        self._theta: dict[str, Floats] = {}
        self._x = np.zeros(self._width)

    def pmf(self, this: Round) -> Floats:
        """1 for the action whose index, or whose sample, is the largest."""
        x = self._x = self._numbers.of(this)
        for action in this.actions:
            if action.id not in self._theta:
                self._inverse[action.id] = np.eye(self._width) / self._like.ridge
                self._theta[action.id] = np.zeros(self._width)
        means = np.array([self._theta[action.id] @ x for action in this.actions])
        spread = np.array([x @ self._inverse[action.id] @ x for action in this.actions])
        width = self._like.scale * np.sqrt(np.maximum(spread, 0.0))
        if self._like.kind == "lints":
            width *= self._rng.normal(size=len(width))
        return greedy(means + width)

    def learn(self, this: Round, drawn: int, propensity: float, reward: float) -> None:
        """One step of recursive least squares."""
        id_, x = this.actions[drawn].id, self._x
        seen = self._inverse[id_] @ x
        size = 1.0 + x @ seen
        self._inverse[id_] -= np.outer(seen, seen / size)
        self._theta[id_] += seen * ((reward - self._theta[id_] @ x) / size)
