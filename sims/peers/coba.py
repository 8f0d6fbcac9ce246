"""coba's learners over Vowpal Wabbit, which it drives through the main binding."""

from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from bandit.policies.features import features_of
from sims.peers.numbers import Floats, library
from sims.worlds.base import Round, World


class Coba(NamedTuple):
    """A contender."""

    kind: Literal["squarecb", "epsilon"]

    @property
    def key(self) -> str:
        """Its name in tables."""
        return f"coba-{self.kind}"

    def learner(self, world: World, seed: int) -> "CobaLearner":
        """Untrained, with the options that coba chooses.

        Raises:
            PeerMissing: It is not installed.
        """
        learners = library("coba.learners")
        kinds = {
            "squarecb": learners.VowpalSquarecbLearner,
            "epsilon": learners.VowpalEpsilonLearner,
        }
        return CobaLearner(kinds[self.kind](seed=seed))


class CobaLearner:
    """It draws by itself and says with which probability; its draw is ours."""

    def __init__(self, learner: Any) -> None:
        self._learner = learner
        self._asked: tuple[dict[str, float], list[dict[str, float]]] = ({}, [])
        self._told: tuple[float, dict[str, Any]] = (1.0, {})

    def pmf(self, this: Round) -> Floats:
        """1 for what `predict` gives."""
        context = _flat(this.context)
        actions = [{f"id={a.id}": 1.0, **_flat(bytes(a.features))} for a in this.actions]
        action, probability, *more = self._learner.predict(context, actions)
        self._asked, self._told = (context, actions), (probability, more[0] if more else {})
        pmf = np.zeros(len(actions))
        pmf[actions.index(action)] = 1.0
        return pmf

    def learn(self, this: Round, drawn: int, propensity: float, reward: float) -> None:
        """With the probability that it said itself."""
        (context, actions), (probability, more) = self._asked, self._told
        self._learner.learn(context, actions[drawn], reward, probability, **more)


def _flat(raw: bytes) -> dict[str, float]:
    features = features_of(bytes(msgspec.Raw(raw)))
    return dict(zip(features.names, features.values, strict=True))
