"""Logged decisions get back the features that they were made with, or none."""

import struct
from collections.abc import Sequence

import msgspec
import pytest

from bandit.errors import StoreUnavailable
from bandit.records import Action, Decision, LoggedDecision
from bandit.store.catalogue import Catalogues, ChangedAction
from bandit.store.catalogue_history import CatalogueHistory
from bandit.store.client import Store
from bandit.store.decisions import Decisions
from bandit.store.sink import ClickHouseSink
from bandit.store.tail import Tail
from tests.bandit.store.making import SURFACE, T0, Entry, decision, request


class Shop:
    """A surface whose catalogue changes while decisions are made."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.catalogues = Catalogues(store)
        self.sink = ClickHouseSink(store, now_ms=lambda: T0)
        self.version = 0
        self.decided_n = 0

    def change(self, **features: int | None) -> None:
        """Every action's number from now on; None deletes it."""
        changes = [
            ChangedAction(id_, None if n is None else Action.of(id_, n=n).features)
            for id_, n in features.items()
        ]
        self.version = self.catalogues.put(
            SURFACE,
            changes,
            expected=self.version,
            author="",
            change_id=f"c{self.version}",
            now_ms=T0,
        )

    def decide(self, *ids: str, version: int | None = None, whole: bool = False) -> Decision:
        """A decision that named ids, or nothing."""
        self.decided_n += 1
        made = decision(
            self.decided_n,
            request(actions=[], action_ids=[] if whole else list(ids), slots=1),
            pmf=struct.pack(f"<{len(ids)}f", *[1 / len(ids)] * len(ids)),
            ranking=(0,),
            propensities=(1 / len(ids),),
            catalogue=self.version if version is None else version,
            offered=msgspec.json.encode(ids) if whole else b"",
        )
        self.sink.insert("decisions", "w", [Entry(self.decided_n, made)], f"t{self.decided_n}")
        return made

    def read(self) -> list[LoggedDecision]:
        return Tail(self.store).read(SURFACE, {}).decisions


@pytest.fixture
def shop(store: Store) -> Shop:
    return Shop(store)


def numbers(logged: LoggedDecision) -> dict[str, int]:
    return {action.id: msgspec.json.decode(action.features)["n"] for action in logged.actions}


def test_features_are_those_of_the_version_that_was_decided_with(shop: Shop) -> None:
    shop.change(a=1, b=1, c=1)
    first = shop.decide("c", "a")
    shop.change(a=2, b=None)
    second = shop.decide("c", "a", whole=True)
    shop.change(b=3, c=None)
    third = shop.decide("a", "b", whole=True)
    late = shop.decide("b", "a", version=1)
    expected = [{"c": 1, "a": 1}, {"c": 1, "a": 2}, {"a": 2, "b": 3}, {"b": 1, "a": 1}]
    assert [numbers(logged) for logged in shop.read()] == expected
    assert [list(numbers(one)) for one in shop.read()] == [list(one) for one in expected]
    decisions = Decisions(shop.store)
    for made, was in zip((first, second, third, late), expected, strict=True):
        assert numbers(decisions.find(made.event_id)) == was
    sample = {one.event_id: numbers(one) for one in decisions.sample(SURFACE, 10, seed=1)}
    assert sample == {
        made.event_id: was for made, was in zip((first, second, third, late), expected, strict=True)
    }


def test_decisions_by_value_and_out_of_the_catalogue_are_read_together(shop: Shop) -> None:
    shop.change(a=1)
    shop.decide("a")
    by_value = decision(50, request())
    shop.sink.insert("decisions", "w", [Entry(2, by_value)], "by value")
    out_of_catalogue, sent = shop.read()
    assert numbers(out_of_catalogue) == {"a": 1}
    assert list(sent.actions) == request().actions


def test_no_features_are_stored_with_the_decision(shop: Shop) -> None:
    shop.change(a=1, b=2)
    shop.decide("a", "b")
    [logged] = shop.store.rows(
        "tail_decisions",
        surface=SURFACE,
        writers=["w"],
        after=[0],
        upto=[1],
        decided_since_ms=0,
        arrived_since_ms=0,
    )
    assert (logged[10], logged[11], logged[29]) == (["a", "b"], [], 1)


def test_a_version_that_is_not_there_yet_is_waited_for(shop: Shop) -> None:
    shop.change(a=1)
    made = shop.decide("a", version=2)
    tail = Tail(shop.store)
    with pytest.raises(StoreUnavailable, match=r"is at version 1, must be at 2"):
        tail.read(SURFACE, {})
    shop.change(a=7)
    [logged] = tail.read(SURFACE, {}).decisions
    assert numbers(logged) == {"a": 7}
    assert numbers(Decisions(shop.store).find(made.event_id)) == {"a": 7}


def test_an_action_that_the_version_does_not_hold_gets_no_features(shop: Shop) -> None:
    shop.change(a=1, b=1)
    shop.change(b=None)
    made = shop.decide("a", "b")
    with pytest.raises(StoreUnavailable, match="action 'b' was offered out of version 2"):
        shop.read()
    with pytest.raises(StoreUnavailable, match="action 'b' was offered out of version 2"):
        Decisions(shop.store).find(made.event_id)


def test_a_reader_that_goes_on_loads_only_what_changed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.change(a=1)
    shop.decide("a")
    tail = Tail(shop.store)
    batch = tail.read(SURFACE, {})
    asked: list[tuple[str, object]] = []
    rows = shop.store.rows

    def noting(name: str, **parameters: object) -> list[tuple[object, ...]]:
        if name.startswith("catalogue"):
            asked.append((name, parameters.get("after")))
        return rows(name, **parameters)

    monkeypatch.setattr(shop.store, "rows", noting)
    shop.decide("a")
    batch = tail.read(SURFACE, batch.cursor)
    assert asked == []
    shop.change(a=2)
    shop.decide("a")
    asked.clear()
    batch = tail.read(SURFACE, batch.cursor)
    assert [numbers(one) for one in batch.decisions] == [{"a": 2}]
    assert asked == [("catalogue_newest_version", None), ("catalogue_changes", 1)]


@pytest.mark.parametrize("most_bytes", [0, 1_500, 10**9])
def test_however_little_is_kept_the_features_are_right(shop: Shop, most_bytes: int) -> None:
    made: list[tuple[Decision, dict[str, int]]] = []
    for n in range(1, 9):
        shop.change(a=n, **{f"other-{n}": n})
        made.append((shop.decide("a", f"other-{n}"), {"a": n, f"other-{n}": n}))
    history = CatalogueHistory(shop.store, most_bytes=most_bytes)
    rows = shop.store.rows(
        "tail_decisions",
        surface=SURFACE,
        writers=["w"],
        after=[0],
        upto=[8],
        decided_since_ms=0,
        arrived_since_ms=0,
    )

    def read(places: Sequence[int]) -> list[dict[str, int]]:
        return [numbers(one) for one in history.decisions_of([rows[place] for place in places])]

    for places in ([0, 1], [1, 3, 2], [7], [0], [4, 6], [6, 7]):
        assert read(places) == [made[place][1] for place in places]
