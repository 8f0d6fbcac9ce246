"""The client's order, as it came: the baseline that a product had before."""

from collections.abc import Sequence

from bandit.policies.features import check_features
from bandit.records import Action


class Fixed:
    """All probability on the first action.

    `draw_ranking` then keeps the offered order, each slot with propensity 1.

    >>> Fixed().pmf(b"{}", [Action(id=name) for name in "abc"])
    [1.0, 0.0, 0.0]
    """

    def pmf(self, context: bytes, actions: Sequence[Action], slot: bytes = b"") -> list[float]:
        """1 for the first action, 0 for the others; see `bandit.policies.base.Policy`."""
        check_features(context, actions)
        return [1.0, *[0.0] * (len(actions) - 1)]
