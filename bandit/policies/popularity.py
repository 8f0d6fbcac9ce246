"""Whatever earns most, whoever asks: the baseline that a contextual policy must beat.

Rate of an action with n lessons and total reward s: `(w·m + s)/(w + n)`, smoothed by a prior mean m
of strength w, so that one lucky lesson makes nothing popular.

Source:
    Gelman et al. 2013, "Bayesian data analysis", 3rd ed., section 2.4: the posterior mean under a
    conjugate prior. Sutton & Barto 2018, "Reinforcement learning", 2nd ed., equation 13.2 for the
    softmax.
"""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import msgspec

from bandit.policies.context_free import ContextFree, ContextFreeParameters
from bandit.policies.parameters import Positive
from bandit.policies.tallies import Tally
from bandit.policies.ucb import shared


class PopularityParameters(ContextFreeParameters, frozen=True, kw_only=True):
    """Parameters of `popularity`.

    Attributes:
        prior_mean: What an action is thought to earn before its first lesson.
        prior_strength: How many lessons that counts for.
        choice: `greedy`: all with the largest rate share the probability equally; `softmax`: the
            probability is ∝ exp(rate/temperature).
        temperature: For `softmax`: a rate that is smaller by so much has 1/e of the probability.
    """

    prior_mean: Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)] = 0.0
    prior_strength: Positive = 10.0
    choice: Literal["greedy", "softmax"] = "greedy"
    temperature: Annotated[float, msgspec.Meta(ge=1e-6, le=1e6)] = 0.1


class Popularity(ContextFree[PopularityParameters]):
    """Greedy or softmax by smoothed rate.

    >>> from bandit.policies.base import Lesson
    >>> from bandit.records import Action
    >>> policy = Popularity(PopularityParameters())
    >>> actions = (Action(id="a"), Action(id="b"), Action(id="c"))
    >>> policy.learn(Lesson(context=b"{}", actions=actions, drawn=1, propensity=0.5, reward=1.0))
    >>> policy.pmf(b"{}", actions)
    [0.0, 1.0, 0.0]
    """

    magic: ClassVar[bytes] = b"bandit-popularity\x01"

    def probabilities(self, tallies: Sequence[Tally]) -> list[float]:
        """Equal shares for the largest rates, or their softmax."""
        mean, strength = self.parameters.prior_mean, self.parameters.prior_strength
        rates = [(strength * mean + s) / (strength + n) for n, s in tallies]
        if self.parameters.choice == "greedy":
            return shared(rates)
        largest = max(rates)
        sizes = [math.exp((rate - largest) / self.parameters.temperature) for rate in rates]
        total = math.fsum(sizes)
        return [size / total for size in sizes]
