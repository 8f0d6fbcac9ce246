"""MABWiser: fixed arms, and a first fit before anything can be asked."""

from typing import Any, Literal, NamedTuple

import numpy as np

from sims.peers.numbers import Arms, Floats, Numbers, arms_n, greedy, library, width_of
from sims.worlds.base import Round, World


class MabWiser(NamedTuple):
    """A contender."""

    kind: Literal["linucb", "lints"]

    @property
    def key(self) -> str:
        """Its name in tables."""
        return f"mabwiser-{self.kind}"

    def learner(self, world: World, seed: int) -> "MabWiserLearner":
        """Untrained.

        Raises:
            PeerMissing: It is not installed, or has too many arms.
        """
        mab = library("mabwiser.mab")
        kinds = {"linucb": mab.LearningPolicy.LinUCB, "lints": mab.LearningPolicy.LinTS}
        return MabWiserLearner(
            mab.MAB(list(range(arms_n(world))), kinds[self.kind](), seed=seed), width_of(world)
        )


class MabWiserLearner:
    """Arms are numbers; what is not offered is passed over."""

    def __init__(self, mab: Any, width: int) -> None:
        self._mab = mab
        self._numbers, self._arms = Numbers(width), Arms()
        self._x: Floats = np.zeros(0)
        self._is_fitted = False

    def pmf(self, this: Round) -> Floats:
        """1 for the best of `predict_expectations`; even, before the first lesson."""
        self._x = self._numbers.of(this)
        arms = self._arms.of(this)
        if not self._is_fitted:
            return np.full(len(arms), 1.0 / len(arms))
        worth = self._mab.predict_expectations(self._x[None])
        return greedy(np.array([worth[arm] for arm in arms]))

    def learn(self, this: Round, drawn: int, propensity: float, reward: float) -> None:
        """`fit` at first, `partial_fit` from then on."""
        teach = self._mab.partial_fit if self._is_fitted else self._mab.fit
        teach([self._arms.of(this)[drawn]], [reward], self._x[None])
        self._is_fitted = True
