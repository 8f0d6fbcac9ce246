"""Thompson sampling over action ids: an action's probability is that of being the best one.

Worths are independent; each one's is known by its tally, n lessons with total reward s:

| posterior | worth of an action |
| --- | --- |
| `beta` | Beta(w·m + s, w·(1−m) + n − s), rewards in [0, 1] |
| `gaussian` | Normal((w·m + s)/(w + n), noise²/(w + n)), any rewards |

with prior mean m and strength w. A reward between 0 and 1 counts in part for both sides of the Beta
(a Bernoulli draw with that chance, as in the paper, would be no function of the log). The pmf is
P(argmax), integrated, not sampled: `bandit.policies.argmax`.

Source:
    Thompson 1933; Agrawal & Goyal 2013, "Further optimal regret bounds for Thompson sampling",
    algorithms 1 (Beta) and 2 (Gaussian: w = 1, m = 0, noise = 1).
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import msgspec
import numpy as np

from bandit.errors import BadSpec, RecordError
from bandit.policies.argmax import beta_argmax, normal_argmax
from bandit.policies.base import Lesson
from bandit.policies.context_free import ContextFree, ContextFreeParameters
from bandit.policies.parameters import Positive
from bandit.policies.tallies import Tally


class ThompsonParameters(ContextFreeParameters, frozen=True, kw_only=True):
    """Parameters of `thompson`.

    Attributes:
        posterior: `beta` for rewards in [0, 1], `gaussian` for others.
        prior_mean: What an action is thought to be worth before its first lesson.
        prior_strength: How many lessons that counts for. For `beta`, at least 1/m and 1/(1−m), so
            that no action's chance piles up at 0 or 1.
        noise: Standard deviation of one reward, for `gaussian`.
    """

    posterior: Literal["beta", "gaussian"] = "beta"
    prior_mean: Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)] = 0.5
    prior_strength: Positive = 2.0
    noise: Positive = 0.5

    def __post_init__(self) -> None:
        mean, strength = self.prior_mean, self.prior_strength
        if self.posterior == "beta" and min(mean, 1.0 - mean) * strength < 1.0 - 1e-9:
            raise BadSpec(
                f"prior_mean {mean!r} with prior_strength {strength!r} is Beta({mean * strength:g},"
                f" {(1.0 - mean) * strength:g}), must have both at least 1"
            )


class Thompson(ContextFree[ThompsonParameters]):
    """Thompson sampling with exact propensities.

    >>> from bandit.records import Action
    >>> policy = Thompson(ThompsonParameters())
    >>> actions = (Action(id="a"), Action(id="b"))
    >>> for _ in range(2):
    ...     policy.learn(
    ...         Lesson(context=b"{}", actions=actions, drawn=1, propensity=0.5, reward=1.0)
    ...     )
    >>> [round(p, 3) for p in policy.pmf(b"{}", actions)]  # Beta(1, 1) against Beta(3, 1)
    [0.25, 0.75]
    """

    magic: ClassVar[bytes] = b"bandit-thompson\x01"

    def check(self, lesson: Lesson) -> None:
        """Refuse a lesson that `learn` would refuse."""
        super().check(lesson)
        if self.parameters.posterior == "beta" and not 0.0 <= lesson.reward <= 1.0:
            raise RecordError(
                f"reward is {lesson.reward!r}, must be in [0, 1] for a Beta posterior"
            )

    def probabilities(self, tallies: Sequence[Tally]) -> list[float]:
        """P(argmax) over actions with these tallies."""
        mean, strength = self.parameters.prior_mean, self.parameters.prior_strength
        if self.parameters.posterior == "beta":
            won, lost = max(mean * strength, 1.0), max((1.0 - mean) * strength, 1.0)
            return beta_argmax(
                [won + s for _, s in tallies],
                [lost + max(n - s, 0.0) for n, s in tallies],
            )
        weights = np.array([strength + n for n, _ in tallies])
        totals = np.array([strength * mean + s for _, s in tallies])
        return normal_argmax(totals / weights, self.parameters.noise / np.sqrt(weights))
