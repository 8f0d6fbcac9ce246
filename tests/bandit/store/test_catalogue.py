from functools import partial

import msgspec
import pytest

from bandit.errors import NotFound, VersionConflict
from bandit.records import Action
from bandit.store.catalogue import Catalogues, ChangedAction
from bandit.store.client import Store
from tests.bandit.store.making import SURFACE, T0, at_once


@pytest.fixture
def catalogues(store: Store) -> Catalogues:
    return Catalogues(store)


def put(
    catalogues: Catalogues,
    expected: int,
    *changes: ChangedAction,
    surface: str = SURFACE,
    change_id: str = "c",
) -> int:
    return catalogues.put(
        surface, changes, expected=expected, author="ann", change_id=change_id, now_ms=T0
    )


def action(id_: str, **features: object) -> ChangedAction:
    return ChangedAction(id_, Action.of(id_, **features).features)


def gone(id_: str) -> ChangedAction:
    return ChangedAction(id_, None)


def test_versions_are_added_and_each_stays_as_it_was(catalogues: Catalogues) -> None:
    assert put(catalogues, 0, action("b", topic="go"), action("a", topic="py")) == 1
    assert put(catalogues, 1, action("c"), action("b", topic="chess")) == 2
    assert put(catalogues, 2, gone("a"), action('d"\n🎰')) == 3
    a, b = Action.of("a", topic="py"), Action.of("b", topic="go")
    changed_b, c, d = Action.of("b", topic="chess"), Action.of("c"), Action.of('d"\n🎰')
    assert catalogues.at(SURFACE, 1) == [b, a]
    assert catalogues.at(SURFACE, 2) == [changed_b, a, c]
    assert catalogues.at(SURFACE, 3) == [changed_b, c, d]
    assert catalogues.at(SURFACE, 0) == []
    assert catalogues.version(SURFACE) == 3
    assert catalogues.heads() == {SURFACE: 3}


def test_deleted_action_that_comes_again_comes_last(catalogues: Catalogues) -> None:
    put(catalogues, 0, action("a"), action("b"))
    put(catalogues, 1, gone("a"))
    put(catalogues, 2, action("c"))
    put(catalogues, 3, action("a", new=True))
    put(catalogues, 4, action("b", new=True))
    assert [one.id for one in catalogues.at(SURFACE, 5)] == ["b", "c", "a"]


def test_changes_give_what_lies_between_two_versions(catalogues: Catalogues) -> None:
    put(catalogues, 0, action("a"))
    put(catalogues, 1, action("b", topic="go"), gone("a"))
    put(catalogues, 2, action("c"))
    assert catalogues.changes(SURFACE, 1, 3) == [
        (2, action("b", topic="go")),
        (2, gone("a")),
        (3, action("c")),
    ]
    assert catalogues.changes(SURFACE, 3, 9) == []


def test_surfaces_do_not_mix(catalogues: Catalogues) -> None:
    put(catalogues, 0, action("a"))
    put(catalogues, 0, action("b"), surface="home.hero")
    assert [one.id for one in catalogues.at(SURFACE, 1)] == ["a"]
    assert catalogues.heads() == {SURFACE: 1, "home.hero": 1}


def test_pages_go_by_id_and_tell_what_changed_last(catalogues: Catalogues) -> None:
    put(catalogues, 0, *(action(id_) for id_ in "dbca"))
    put(catalogues, 1, action("c", topic="go"), gone("b"))
    first = catalogues.page(SURFACE, 2, after="", limit=2)
    assert [(one.action.id, one.changed) for one in first] == [("a", 1), ("c", 2)]
    rest = catalogues.page(SURFACE, 2, after="c", limit=2)
    assert [one.action for one in rest] == [Action.of("d")]
    assert [one.action.id for one in catalogues.page(SURFACE, 1, after="", limit=9)] == [*"abcd"]


def test_one_action_is_shown_as_it_was_at_a_version(catalogues: Catalogues) -> None:
    put(catalogues, 0, action("a", topic="go"))
    put(catalogues, 1, gone("a"))
    assert catalogues.action(SURFACE, 1, "a") == (Action.of("a", topic="go"), 1)
    with pytest.raises(NotFound, match=r"action 'a' is not in the catalogue .* at version 2"):
        catalogues.action(SURFACE, 2, "a")


@pytest.mark.parametrize("expected", [0, 2])
def test_change_against_another_version_is_a_conflict(
    catalogues: Catalogues, expected: int
) -> None:
    put(catalogues, 0, action("a"))
    with pytest.raises(VersionConflict, match=f"catalogue '{SURFACE}' is at version 1"):
        put(catalogues, expected, action("b"))
    assert catalogues.version(SURFACE) == 1


def test_of_writers_at_once_one_wins_and_nothing_is_seen_of_the_other(
    catalogues: Catalogues, store: Store
) -> None:
    for version in range(5):
        n = version * 10
        answers = at_once(
            *(
                partial(
                    put,
                    catalogues,
                    version,
                    *(action(f"{writer}-{n + i}") for i in range(10)),
                    change_id=f"{writer}-{version}",
                )
                for writer in "ba"
            )
        )
        won = [writer for writer, answer in zip("ba", answers, strict=True) if answer == n / 10 + 1]
        lost = [answer for answer in answers if isinstance(answer, VersionConflict)]
        assert len(won) == len(lost) == 1
        held = {one.id for one in catalogues.at(SURFACE, version + 1)}
        assert {f"{won[0]}-{n + i}" for i in range(10)} <= held
        assert len(held) == n + 10
        changes = catalogues.changes(SURFACE, version, version + 1)
        assert {change.id.split("-")[0] for _, change in changes} == set(won)
    before = catalogues.at(SURFACE, 5)
    store.apply("OPTIMIZE TABLE catalogue$local FINAL")
    assert catalogues.at(SURFACE, 5) == before


def test_a_change_of_ten_thousand_actions_is_one_version(
    catalogues: Catalogues, store: Store
) -> None:
    features = {f"name {i}": "text " * 20 for i in range(5)}
    changes = [action(f"item-{n:05}", n=n, **features) for n in range(10_000)]
    assert put(catalogues, 0, *changes) == 1
    held = catalogues.at(SURFACE, 1)
    assert [(one.id, one.features) for one in held] == changes
    assert len(catalogues.digests(SURFACE, 1)) == 10_000


def test_revision_changes_with_every_change(catalogues: Catalogues) -> None:
    seen = [catalogues.revision()]
    for version in range(3):
        put(catalogues, version, action("a", n=version))
        seen.append(catalogues.revision())
    assert len(set(seen)) == 4


def test_features_come_back_byte_for_byte(catalogues: Catalogues) -> None:
    sent = b'{ "topic" : "\\u0000\\n|:" , "n": 1.50 }'
    put(catalogues, 0, ChangedAction("a", msgspec.Raw(sent)))
    assert [bytes(one.features) for one in catalogues.at(SURFACE, 1)] == [sent]
