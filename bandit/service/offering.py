"""Which actions a request offers, and where their features come from.

| the request names | offered are | `Offer.catalogue` |
| --- | --- | --- |
| `actions` | those, with the features it brings | 0 |
| `action_ids` | those, with the features that the surface's catalogue has | its version |
| neither | the whole catalogue, in the order in which its actions came | its version |
"""

from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from bandit.errors import RecordError
from bandit.records import Action
from bandit.service.serving_catalogue import ServingCatalogue
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
        RecordError: None, too many, one of them twice, or one that the catalogue does not hold.
    """
    actions = request.actions
    if not actions:
        return _out_of_catalogue(request.action_ids, surface)
    if request.action_ids:
        raise RecordError(
            "actions and action_ids are given, must be one of them - at `$.action_ids`"
        )
    if len(actions) > surface.spec.max_actions:
        _refuse_many(len(actions), surface, "actions")
    if len({action.id for action in actions}) < len(actions):
        check_unique([action.id for action in actions])
    return Offer(actions)


def _out_of_catalogue(ids: list[str], surface: ServingSurface) -> Offer:
    catalogue = surface.catalogue
    if catalogue is None:
        _refuse_without_catalogue(ids, surface)
    if not ids:
        return _whole(catalogue, surface)
    if len(ids) > surface.spec.max_actions:
        _refuse_many(len(ids), surface, "action_ids")
    held = catalogue.actions
    try:
        actions = [held[id_] for id_ in ids]
    except KeyError:
        _refuse_unknown(ids, catalogue, surface)
    if len(set(ids)) < len(ids):
        _refuse_repeated(ids)
    return Offer(actions, catalogue.version)


def _whole(catalogue: ServingCatalogue, surface: ServingSurface) -> Offer:
    held_n = len(catalogue.actions)
    if held_n > surface.spec.max_actions:
        raise RecordError(
            f"the catalogue of surface {surface.spec.key!r} holds {held_n} actions and a request "
            f"may offer {surface.spec.max_actions}, must say which - at `$.action_ids`"
        )
    if not held_n:
        raise RecordError(
            f"the catalogue of surface {surface.spec.key!r} is empty at version "
            f"{catalogue.version}, must hold at least one action or be given some - at `$.actions`"
        )
    return Offer(catalogue.whole, catalogue.version, catalogue.ids)


def _refuse_without_catalogue(ids: list[str], surface: ServingSurface) -> NoReturn:
    if ids:
        raise RecordError(
            f"surface {surface.spec.key!r} has no catalogue, must be given `actions` with their "
            "features - at `$.action_ids`"
        )
    raise RecordError("no action is offered, must be at least one - at `$.actions`")


def _refuse_many(n: int, surface: ServingSurface, where: str) -> NoReturn:
    raise RecordError(
        f"{n} actions are offered, must be at most {surface.spec.max_actions} "
        f"on surface {surface.spec.key!r} - at `$.{where}`"
    )


def _refuse_unknown(
    ids: list[str], catalogue: ServingCatalogue, surface: ServingSurface
) -> NoReturn:
    place, id_ = next((i, id_) for i, id_ in enumerate(ids) if id_ not in catalogue.actions)
    raise RecordError(
        f"action id {id_!r} is not in the catalogue of surface {surface.spec.key!r} at version "
        f"{catalogue.version}, must be - at `$.action_ids[{place}]`"
    )


def _refuse_repeated(ids: list[str]) -> NoReturn:
    place = next(i for i, id_ in enumerate(ids) if id_ in ids[:i])
    raise RecordError(
        f"action id {ids[place]!r} is repeated, must be unique - at `$.action_ids[{place}]`"
    )
