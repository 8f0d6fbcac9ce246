from functools import partial

import pytest

from bandit.errors import NotDeclared, VersionConflict
from bandit.specs import AnySpec, Experiment, Metric, PolicySpec, Surface, Variant
from bandit.store.client import Store
from bandit.store.definitions import Definition, Definitions
from tests.bandit.store.making import T0, at_once

SURFACE = Surface(key="home.feed", policy="feed", description='quotes " and \n lines 🎰')
POLICY = PolicySpec(key="feed", type="vw", arguments="--squarecb -q UA", surface="home.feed")
EXPERIMENT = Experiment(
    key="feed-2026",
    surface="home.feed",
    salt="s",
    variants=[
        Variant(key="control", policy="random", allocation=[(0, 5_000)]),
        Variant(key="treatment", policy="feed", allocation=[(5_000, 10_000)]),
    ],
    control="control",
)
METRIC = Metric(key="clicks", source="reward")


@pytest.fixture
def definitions(store: Store) -> Definitions:
    return Definitions(store)


def put(
    definitions: Definitions,
    spec: AnySpec,
    expected: int | None,
    change_id: str = "c",
    at: int = T0,
) -> Definition:
    return definitions.put(spec, expected=expected, author="ann", change_id=change_id, now_ms=at)


@pytest.mark.parametrize("spec", [SURFACE, POLICY, EXPERIMENT, METRIC], ids=lambda spec: spec.kind)
def test_what_was_declared_comes_back(definitions: Definitions, spec: AnySpec) -> None:
    made = put(definitions, spec, None)
    assert made == Definition(
        kind=spec.kind,
        key=spec.key,
        version=1,
        created_ms=T0,
        author="ann",
        change_id="c",
        spec=spec,
    )
    assert definitions.get(spec.kind, spec.key) == made
    assert definitions.all() == [made]


def test_versions_are_added_and_all_stay(definitions: Definitions) -> None:
    first = put(definitions, POLICY, None, "c1")
    changed = PolicySpec(key="feed", type="uniform")
    second = put(definitions, changed, 1, "c2", at=T0 - 5)
    assert second.version == 2
    assert definitions.get("policy", "feed") == second
    assert definitions.get("policy", "feed", 1) == first
    assert definitions.history("policy", "feed") == [first, second]
    other = put(definitions, SURFACE, None)
    assert definitions.all() == [second, other]


def test_what_nobody_declared_is_not_there(definitions: Definitions) -> None:
    assert definitions.all() == []
    assert definitions.history("policy", "feed") == []
    with pytest.raises(NotDeclared, match="policy 'feed' is not declared"):
        definitions.get("policy", "feed")
    put(definitions, POLICY, None)
    with pytest.raises(NotDeclared):
        definitions.get("policy", "feed", 2)
    with pytest.raises(NotDeclared):
        definitions.get("surface", "feed")


@pytest.mark.parametrize("expected", [None, 1, 3])
def test_change_against_another_version_is_a_conflict(
    definitions: Definitions, expected: int | None
) -> None:
    put(definitions, METRIC, None)
    put(definitions, METRIC, 1)
    with pytest.raises(VersionConflict) as caught:
        put(definitions, METRIC, expected)
    assert (caught.value.have, caught.value.given) == (2, expected)


def test_change_of_what_does_not_exist_is_a_conflict(definitions: Definitions) -> None:
    with pytest.raises(VersionConflict) as caught:
        put(definitions, METRIC, 1)
    assert caught.value.have == 0


def test_revision_changes_with_every_change(definitions: Definitions) -> None:
    seen = [definitions.revision()]
    for version in range(3):
        put(definitions, METRIC, version or None, f"c{version}")
        seen.append(definitions.revision())
    assert len(set(seen)) == 4


def test_slow_writer_with_an_earlier_clock_does_not_overturn_a_change(
    definitions: Definitions, store: Store
) -> None:
    won = put(definitions, POLICY, None, "z", at=T0)
    late = Definition(
        kind="policy",
        key="feed",
        version=1,
        created_ms=T0 - 60_000,
        author="bob",
        change_id="a",
        spec=PolicySpec(key="feed", type="uniform"),
    )
    definitions._insert(late)
    store.apply("OPTIMIZE TABLE definitions$local FINAL")
    assert definitions.get("policy", "feed") == won
    assert definitions.all() == [won]
    assert definitions.history("policy", "feed") == [won]


def test_of_writers_at_once_exactly_one_wins(definitions: Definitions) -> None:
    for version in range(5):
        first, second = at_once(
            partial(put, definitions, METRIC, version or None, f"b-{version}"),
            partial(put, definitions, METRIC, version or None, f"a-{version}"),
        )
        won, lost = (first, second) if isinstance(first, Definition) else (second, first)
        assert isinstance(lost, VersionConflict)
        assert definitions.get("metric", "clicks") == won
