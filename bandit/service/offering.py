"""Which actions a request offers, and where their features come from."""

from collections.abc import Sequence
from typing import NamedTuple

from bandit.errors import RecordError
from bandit.records import Action
from bandit.service.serving_state import ServingSurface
from bandit.wire import RankRequest, check_unique


class Offer(NamedTuple):
    """The candidates of one request.

    Attributes:
        catalogue: Version of the catalogue that their features are from; 0: the request brought
            them.
        ids: JSON array of their ids, for the log, if the request named none.
    """

    actions: Sequence[Action]
    catalogue: int = 0
    ids: bytes = b""


def offer_of(request: RankRequest, surface: ServingSurface) -> Offer:
    """The candidates of a request.

    Raises:
        RecordError: None, too many, or one of them twice.
    """
    actions = request.actions
    if not actions:
        raise RecordError("no action is offered, must be at least one - at `$.actions`")
    if len(actions) > surface.spec.max_actions:
        raise RecordError(
            f"{len(actions)} actions are offered, must be at most {surface.spec.max_actions} "
            f"on surface {surface.spec.key!r} - at `$.actions`"
        )
    if len({action.id for action in actions}) < len(actions):
        check_unique([action.id for action in actions])
    return Offer(actions)
