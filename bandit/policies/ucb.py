"""Upper confidence bounds over action ids, with ties drawn at random.

Index of an action with n lessons and total reward s, after N lessons of all actions:

    s/n + exploration · √(2·ln N / n),  infinite for n = 0

All actions with the largest index share the probability equally. UCB itself is deterministic, so
the policy's floor is what gives the other actions a propensity.

Source:
    Auer, Cesa-Bianchi & Fischer 2002, "Finite-time analysis of the multiarmed bandit problem",
    figure 1 (UCB1: exploration = 1, rewards in [0, 1]).
"""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar

import msgspec

from bandit.policies.context_free import ContextFree, ContextFreeParameters
from bandit.policies.tallies import Tally


class UcbParameters(ContextFreeParameters, frozen=True, kw_only=True):
    """Parameters of `ucb`.

    Attributes:
        exploration: Factor of the confidence radius; the range of the rewards if it is not 1.
    """

    exploration: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 1.0


class Ucb(ContextFree[UcbParameters]):
    """UCB1 with randomised ties.

    >>> from bandit.policies.base import Lesson
    >>> from bandit.records import Action
    >>> policy = Ucb(UcbParameters())
    >>> actions = (Action(id="a"), Action(id="b"), Action(id="c"))
    >>> policy.learn(Lesson(context=b"{}", actions=actions, drawn=0, propensity=0.5, reward=1.0))
    >>> policy.pmf(b"{}", actions)
    [0.0, 0.5, 0.5]
    """

    magic: ClassVar[bytes] = b"bandit-ucb\x01"

    def probabilities(self, tallies: Sequence[Tally]) -> list[float]:
        """Equal shares for the largest indices."""
        spread = 2.0 * math.log(max(self.tallies.lessons_n, 1))
        scale = self.parameters.exploration
        return shared(
            [s / n + scale * math.sqrt(spread / n) if n else math.inf for n, s in tallies]
        )


def shared(values: Sequence[float]) -> list[float]:
    """Equal probabilities for the largest of some values, 0 for the others.

    >>> shared([1.0, 3.0, 3.0])
    [0.0, 0.5, 0.5]
    """
    largest = max(values)
    share = 1.0 / values.count(largest)
    return [share if value == largest else 0.0 for value in values]
