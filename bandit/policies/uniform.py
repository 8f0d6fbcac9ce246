"""Every action has the same chance: the reference that any other policy must beat."""

from collections.abc import Sequence

from bandit.policies.features import check_features
from bandit.records import Action


class Uniform:
    """The same probability for every action.

    >>> Uniform().pmf(b"{}", [Action(id=name) for name in "abcd"])
    [0.25, 0.25, 0.25, 0.25]
    """

    def pmf(self, context: bytes, actions: Sequence[Action], slot: bytes = b"") -> list[float]:
        """`1/k` for each of `k` actions; see `bandit.policies.base.Policy`."""
        check_features(context, actions)
        return [1.0 / len(actions)] * len(actions)
