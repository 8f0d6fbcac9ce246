"""Offers: by value, by id, or the whole catalogue; one that can't be made says why and where."""

import pytest

from bandit.errors import RecordError
from bandit.records import Action
from bandit.service.offering import offer_of
from bandit.service.serving_catalogue import WHOLE_N, ServingCatalogue
from bandit.service.serving_state import ServingState, ServingSurface, assemble
from bandit.store.catalogue import ChangedAction
from bandit.wire import RankRequest
from tests.bandit.service.making import SURFACE, UNIFORM, defined, runnable


def surface(*ids: str, version: int = 7) -> ServingSurface:
    """A surface of at most 10 actions a request, with a catalogue if there are ids."""
    actions = {id_: Action.of(id_, topic=id_) for id_ in ids}
    state = assemble(
        1,
        defined(UNIFORM, SURFACE),
        {UNIFORM.key: runnable(UNIFORM)},
        ServingState(),
        {SURFACE.key: ServingCatalogue(version, actions)} if ids else None,
    )
    return state.surface(SURFACE.key)


def asked(**fields: object) -> RankRequest:
    return RankRequest(surface=SURFACE.key, unit_id="u", **fields)  # type: ignore[arg-type]


def test_actions_by_value_are_offered_as_they_came() -> None:
    actions = [Action.of("a", topic="go"), Action.of("b")]
    assert offer_of(asked(actions=actions), surface("a", "c")) == (actions, 0, b"")


def test_ids_are_offered_in_their_order_with_the_catalogues_features() -> None:
    of = surface(*"abc")
    offer = offer_of(asked(action_ids=["c", "a"]), of)
    assert list(offer.actions) == [Action.of("c", topic="c"), Action.of("a", topic="a")]
    assert (offer.catalogue, offer.ids) == (7, b"")


def test_nothing_named_offers_the_whole_catalogue_and_says_which_ids() -> None:
    offer = offer_of(asked(), surface(*"cab"))
    assert [action.id for action in offer.actions] == ["c", "a", "b"]
    assert (offer.catalogue, offer.ids) == (7, b'["c","a","b"]')


@pytest.mark.parametrize(
    ("fields", "held", "error"),
    [
        ({}, [], "no action is offered, must be at least one - at `$.actions`"),
        (
            {"action_ids": ["a"]},
            [],
            "surface 'home.feed' has no catalogue, must be given `actions` with their features "
            "- at `$.action_ids`",
        ),
        (
            {"action_ids": ["a", "x", "y"]},
            ["a"],
            "action id 'x' is not in the catalogue of surface 'home.feed' at version 7, must be "
            "- at `$.action_ids[1]`",
        ),
        (
            {"action_ids": ["a", "b", "a"]},
            ["a", "b"],
            "action id 'a' is repeated, must be unique - at `$.action_ids[2]`",
        ),
        (
            {"action_ids": ["a"] * 11},
            ["a"],
            "11 actions are offered, must be at most 10 on surface 'home.feed' - at `$.action_ids`",
        ),
        (
            {},
            [str(n) for n in range(11)],
            "the catalogue of surface 'home.feed' holds 11 actions and a request may offer 10, "
            "must say which - at `$.action_ids`",
        ),
        (
            {"actions": [Action.of("a")], "action_ids": ["a"]},
            ["a"],
            "actions and action_ids are given, must be one of them - at `$.action_ids`",
        ),
        (
            {"actions": [Action.of("a"), Action.of("a")]},
            [],
            "action id 'a' is repeated, must be unique - at `$.actions[1].id`",
        ),
    ],
)
def test_what_can_not_be_offered_is_said(
    fields: dict[str, object], held: list[str], error: str
) -> None:
    with pytest.raises(RecordError) as caught:
        offer_of(asked(**fields), surface(*held))
    assert str(caught.value) == error


def test_empty_catalogue_is_told_from_none() -> None:
    of = surface("a")
    assert of.catalogue is not None
    emptied = of.catalogue.changed(8, [ChangedAction("a", None)])
    state = assemble(
        1,
        defined(UNIFORM, SURFACE),
        {UNIFORM.key: runnable(UNIFORM)},
        ServingState(),
        {SURFACE.key: emptied},
    )
    with pytest.raises(RecordError, match="is empty at version 8"):
        offer_of(asked(), state.surface(SURFACE.key))


def test_a_catalogue_that_no_request_may_offer_whole_is_not_prepared_for_it() -> None:
    actions = {f"a{n}": Action.of(f"a{n}") for n in range(WHOLE_N + 1)}
    catalogue = ServingCatalogue(1, actions)
    assert (catalogue.whole, catalogue.ids) == ((), b"[]")
    assert len(catalogue.changed(2, [ChangedAction("a0", None)]).whole) == WHOLE_N
