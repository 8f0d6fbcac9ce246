"""Catalogue changes: checked whole, made again after others', bounded."""

import itertools
from functools import partial

import pytest

from bandit.errors import NotDeclared, NotFound, RecordError, VersionConflict
from bandit.records import Action
from bandit.service.cataloguing import MOST_CHANGES, CatalogueChange, CatalogueService
from bandit.store.catalogue import Catalogues, ChangedAction
from bandit.store.client import Store
from tests.bandit.service.making import (
    NOW_MS,
    SURFACE,
    MemoryCatalogues,
    MemoryDefinitions,
)
from tests.bandit.store.making import at_once

KEY = SURFACE.key


class Race(MemoryCatalogues):
    """Somebody else is quicker, so many times."""

    def __init__(self, lost_n: int) -> None:
        super().__init__()
        self.lost_n = lost_n

    def put(self, surface: str, changes: object, **given: object) -> int:  # type: ignore[override]
        if self.lost_n:
            self.lost_n -= 1
            other = ChangedAction(f"other-{self.lost_n}", Action.of("x").features)
            super().put(surface, [other], **given)  # type: ignore[arg-type]
        return super().put(surface, changes, **given)  # type: ignore[arg-type]


CHANGES = itertools.count()


def service(catalogues: MemoryCatalogues | Catalogues, most_actions: int = 9) -> CatalogueService:
    return CatalogueService(
        lambda: catalogues,  # type: ignore[arg-type, return-value]
        lambda: MemoryDefinitions(SURFACE),  # type: ignore[arg-type, return-value]
        now_ms=lambda: NOW_MS,
        new_id=lambda: f"change-{next(CHANGES)}",
        most_actions=most_actions,
    )


def change(
    to: CatalogueService, *upsert: Action, delete: list[str] | None = None, **given: int | None
) -> CatalogueChange:
    return to.change(KEY, upsert, delete or [], author="ann", **given)


def test_a_change_says_what_came_of_it() -> None:
    mine = service(MemoryCatalogues())
    change(mine, Action.of("a"), Action.of("b", n=1), Action.of("c"))
    made = change(mine, Action.of("a"), Action.of("b", n=2), Action.of("d"), delete=["c", "x"])
    assert made == CatalogueChange(version=2, actions=3, added=1, changed=1, unchanged=1, deleted=1)


def test_what_is_there_already_makes_no_version_and_stores_nothing() -> None:
    catalogues = MemoryCatalogues()
    mine = service(catalogues)
    change(mine, Action.of("a", n=1), Action.of("b"))
    again = change(mine, Action.of("b"), Action.of("a", n=1), delete=["x"])
    assert (again.version, again.unchanged) == (1, 2)
    part = change(mine, Action.of("b"), Action.of("a", n=2))
    assert part.version == 2
    assert [one.id for one in catalogues.made[KEY][1]] == ["a"]


def test_a_change_that_came_second_is_made_again_on_top() -> None:
    catalogues = Race(lost_n=3)
    made = change(service(catalogues), Action.of("mine"))
    assert (made.version, made.actions) == (4, 4)
    assert [one.id for one in catalogues.at(KEY, 4)] == ["other-2", "other-1", "other-0", "mine"]


def test_a_change_against_a_version_is_not_made_again() -> None:
    catalogues = Race(lost_n=1)
    with pytest.raises(VersionConflict):
        change(service(catalogues), Action.of("mine"), expected=0)
    assert [one.id for one in catalogues.at(KEY, 1)] == ["other-0"]
    with pytest.raises(VersionConflict, match="is at version 1, the change was made against"):
        change(service(catalogues), Action.of("mine"), expected=7)


def test_two_writers_at_once_lose_nothing(store: Store) -> None:
    catalogues = Catalogues(store)
    writers = {name: service(catalogues, most_actions=100) for name in "ab"}

    def write(name: str) -> list[int]:
        return [change(writers[name], Action.of(f"{name}{n}", n=n)).version for n in range(5)]

    answers = at_once(*(partial(write, name) for name in writers))
    versions = [version for answer in answers if isinstance(answer, list) for version in answer]
    assert sorted(versions) == list(range(1, 11))
    held = catalogues.at(KEY, 10)
    assert {one.id for one in held} == {f"{name}{n}" for name in "ab" for n in range(5)}


def test_a_catalogue_is_bounded_but_never_stuck() -> None:
    mine = service(MemoryCatalogues(), most_actions=2)
    with pytest.raises(RecordError, match=r"would hold 3 actions, must hold at most 2 - at"):
        change(mine, *(Action.of(id_) for id_ in "abc"))
    change(mine, Action.of("a"), Action.of("b"))
    assert change(mine, Action.of("c"), delete=["a"]).actions == 2
    assert change(mine, Action.of("c", n=1)).changed == 1


@pytest.mark.parametrize("n", [0, MOST_CHANGES + 1])
def test_a_change_names_something_and_not_too_much(n: int) -> None:
    catalogues = MemoryCatalogues()
    with pytest.raises(RecordError, match=f"names {n} actions, must name 1 to {MOST_CHANGES}"):
        change(service(catalogues), delete=[str(i) for i in range(n)])


def test_bad_features_are_refused_with_their_place_before_anything_is_stored() -> None:
    catalogues = MemoryCatalogues()
    with pytest.raises(RecordError, match=r"- at `\$\.upsert\[1\]\.features\.n`"):
        change(service(catalogues), Action.of("a"), Action.of("b", n=1e10))
    assert catalogues.made == {}


def test_a_surface_must_be_declared_and_a_version_must_be_there() -> None:
    mine = service(MemoryCatalogues())
    with pytest.raises(NotDeclared, match=r"surface 'home\.hero' is not declared"):
        mine.change("home.hero", [Action.of("a")], [], author="ann")
    assert mine.page(KEY) == (0, [])
    with pytest.raises(NotFound, match="is at version 0, not 1"):
        mine.page(KEY, version=1)
