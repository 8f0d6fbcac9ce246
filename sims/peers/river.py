"""river: dictionaries of numbers, one `BayesianLinearRegression` an arm."""

from typing import Any, Literal, NamedTuple

import numpy as np

from sims.peers.numbers import Floats, Numbers, library, width_of
from sims.worlds.base import Round, World


class River(NamedTuple):
    """A contender."""

    kind: Literal["linucb"]

    @property
    def key(self) -> str:
        """Its name in tables."""
        return f"river-{self.kind}"

    def learner(self, world: World, seed: int) -> "RiverLearner":
        """Untrained.

        Raises:
            PeerMissing: It is not installed, or does not work with this Python.
        """
        policy = library("river.bandit").LinUCBDisjoint(seed=seed)
        # An arm without a lesson can not be asked; given to the constructor, `burn_in` is taken for
        # `reward_scaler` (river 0.25).
        policy.burn_in = 1
        return RiverLearner(policy, width_of(world))


class RiverLearner:
    """It says which action it pulls, and no probabilities."""

    def __init__(self, policy: Any, width: int) -> None:
        self._policy = policy
        self._numbers = Numbers(width)
        self._x: dict[int, float] = {}

    def pmf(self, this: Round) -> Floats:
        """1 for what `pull` gives; even where its bounds are NaN, of which none is the largest."""
        x = self._numbers.of(this)
        self._x = {int(place): float(x[place]) for place in np.flatnonzero(x)}
        ids = [action.id for action in this.actions]
        try:
            drawn = ids.index(self._policy.pull(ids, context=self._x))
        except IndexError:
            return np.full(len(ids), 1.0 / len(ids))
        pmf = np.zeros(len(ids))
        pmf[drawn] = 1.0
        return pmf

    def learn(self, this: Round, drawn: int, propensity: float, reward: float) -> None:
        """One `update`."""
        self._policy.update(this.actions[drawn].id, self._x, reward)
