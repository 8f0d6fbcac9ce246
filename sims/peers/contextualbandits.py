"""contextualbandits (Cortes): scikit-learn's manner, one lesson a `partial_fit`."""

from typing import Any, Literal, NamedTuple

import numpy as np

from sims.peers.numbers import Arms, Floats, Numbers, arms_n, greedy, library, width_of
from sims.worlds.base import Round, World


class ContextualBandits(NamedTuple):
    """A contender."""

    kind: Literal["linucb", "bootstrap"]

    @property
    def key(self) -> str:
        """Its name in tables."""
        return f"contextualbandits-{self.kind}"

    def learner(self, world: World, seed: int) -> "ContextualBanditsLearner":
        """Untrained.

        Raises:
            PeerMissing: It is not installed, or has too many arms.
        """
        online, arms = library("contextualbandits.online"), arms_n(world)
        seed += 1  # it refuses 0
        if self.kind == "linucb":
            model = online.LinUCB(arms, random_state=seed)
        else:
            base = library("contextualbandits.linreg").LinearRegression(lambda_=1.0)
            model = online.BootstrappedUCB(
                base, arms, nsamples=5, batch_train=True, random_state=seed, njobs_arms=1
            )
        return ContextualBanditsLearner(model, width_of(world))


class ContextualBanditsLearner:
    """Arms are numbers; what is not offered is passed over."""

    def __init__(self, model: Any, width: int) -> None:
        self._model = model
        self._numbers, self._arms = Numbers(width), Arms()
        self._x: Floats = np.zeros(0)
        self._is_fitted = False

    def pmf(self, this: Round) -> Floats:
        """1 for the best of `decision_function`; even, before the first lesson."""
        self._x = self._numbers.of(this)[1:]  # it adds a constant of its own
        arms = self._arms.of(this)
        if not self._is_fitted:
            return np.full(len(arms), 1.0 / len(arms))
        return greedy(np.asarray(self._model.decision_function(self._x[None]))[0][arms])

    def learn(self, this: Round, drawn: int, propensity: float, reward: float) -> None:
        """One row."""
        arm = np.array([self._arms.of(this)[drawn]])
        self._model.partial_fit(self._x[None], arm, np.array([reward]))
        self._is_fitted = True
