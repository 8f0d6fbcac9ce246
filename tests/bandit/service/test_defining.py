"""Declarations: what may stand next to what, and what may change."""

import pytest
from msgspec.structs import replace

from bandit.errors import BadSpec, NotDeclared, VersionConflict
from bandit.event_id import surface_tag
from bandit.service.defining import DefinitionService
from bandit.specs import AnySpec, Experiment, Layer, Metric, PolicySpec, Surface, Variant
from tests.bandit.service.making import (
    EXPERIMENT,
    FIXED,
    NOW_MS,
    SURFACE,
    UNIFORM,
    MemoryDefinitions,
)
from tests.bandit.service.test_assigning import BUTTON

DRAFT = replace(EXPERIMENT, status="draft")
LAYER = Layer(key="page", salt="page-1")
FIRST_HALF = replace(EXPERIMENT, layer="page", layer_buckets=[(0, 5000)])
SECOND_HALF = replace(EXPERIMENT, key="second", layer="page", layer_buckets=[(5000, 10_000)])


def put(spec: AnySpec, *declared: AnySpec, expected: int | None = None) -> MemoryDefinitions:
    """Put a spec next to what is declared already."""
    definitions = MemoryDefinitions(*declared)
    if expected is None and any((d.kind, d.key) == (spec.kind, spec.key) for d in declared):
        expected = 1
    service(definitions).put(spec, expected=expected, author="me")
    return definitions


def service(definitions: MemoryDefinitions) -> DefinitionService:
    return DefinitionService(
        lambda: definitions,  # type: ignore[arg-type, return-value]
        now_ms=lambda: NOW_MS,
        new_id=lambda: "change",
    )


def variants(control: list[tuple[int, int]], treatment: list[tuple[int, int]]) -> list[Variant]:
    return [
        Variant(key="control", policy="random", allocation=control),
        Variant(key="treatment", policy="order", allocation=treatment),
    ]


def test_definition_is_put_with_author_time_and_change() -> None:
    put_ = put(SURFACE, UNIFORM).versions[-1]
    assert (put_.spec, put_.version, put_.author) == (SURFACE, 1, "me")
    assert (put_.created_ms, put_.change_id) == (NOW_MS, "change")


def test_definition_that_changed_meanwhile_is_a_conflict() -> None:
    with pytest.raises(VersionConflict):
        put(SURFACE, UNIFORM, SURFACE, expected=7)


def test_definitions_are_shown_by_kind_key_and_version() -> None:
    definitions = MemoryDefinitions(UNIFORM, FIXED, SURFACE)
    shown = service(definitions)
    assert shown.get("policy", "order").spec == FIXED
    assert [d.key for d in shown.all("policy")] == ["order", "random"]
    with pytest.raises(NotDeclared):
        shown.get("policy", "order", 2)


@pytest.mark.parametrize(
    ("spec", "declared", "says"),
    [
        (SURFACE, [], "policy 'random' is not declared"),
        (replace(SURFACE, shadows=["order"]), [UNIFORM], "policy 'order' is not declared"),
        (replace(SURFACE, shadows=["order", "order"]), [UNIFORM, FIXED], "must be different"),
        (SURFACE, [replace(UNIFORM, floor=0.11)], r"0.11 \* 10, must be at most 1"),
        (replace(UNIFORM, floor=0.11), [UNIFORM, SURFACE], r"0.11 \* 10, must be at most 1"),
        (replace(SURFACE, max_actions=11), [replace(UNIFORM, floor=0.1)], r"0.1 \* 11"),
        (replace(UNIFORM, type="fixed"), [UNIFORM], "type of policy 'random' is 'fixed', must"),
        (EXPERIMENT, [UNIFORM, FIXED], "surface 'home.feed' is not declared"),
        (EXPERIMENT, [UNIFORM, SURFACE], "policy 'order' is not declared"),
        (
            replace(EXPERIMENT, metrics=["clicks"]),
            [UNIFORM, FIXED, SURFACE],
            "metric 'clicks' is not declared",
        ),
        (
            replace(EXPERIMENT, key="second"),
            [UNIFORM, FIXED, SURFACE, EXPERIMENT],
            "experiment 'feed' is running on surface 'home.feed'",
        ),
        (
            replace(EXPERIMENT, key="second", layer="page"),
            [UNIFORM, FIXED, SURFACE, EXPERIMENT, LAYER],
            "unless both are in one layer",
        ),
        (
            replace(SECOND_HALF, layer_buckets=[(4999, 10_000)]),
            [UNIFORM, FIXED, SURFACE, FIRST_HALF, LAYER],
            "layer_buckets of experiment 'second' share 1 with running experiment 'feed', 4999 the",
        ),
        (replace(BUTTON, layer="page"), [], "layer 'page' is not declared"),
        (
            replace(BUTTON, layer="page", layer_buckets=[(0, 5001)]),
            [UNIFORM, FIXED, SURFACE, LAYER, SECOND_HALF],
            "share 1 with running experiment 'second', 5000 the first",
        ),
        (replace(BUTTON, layer="page", salt="page-1"), [LAYER], "must differ from its layer's"),
        (replace(LAYER, salt="exp-7"), [replace(BUTTON, layer="page")], "must differ from its lay"),
        (replace(LAYER, key="other"), [LAYER], "as that of layer 'page', must be its own"),
        (replace(BUTTON, layer_buckets=[(0, 1)]), [], "must be left out without a layer"),
        (replace(BUTTON, targeting="context.a >"), [], "can not be parsed at line 1, column 12"),
        (replace(BUTTON, status="stopped"), [], "must be 'draft' or 'running' at first"),
        (PolicySpec(key="kill-switch", type="fixed"), [], "built in, must have another key"),
        (PolicySpec(key="uniform-slice", type="uniform"), [], "built in, must have another key"),
        (replace(SURFACE, policy="kill-switch"), [], "policy 'kill-switch' is not declared"),
        (
            replace(UNIFORM, floor=0.11),
            [UNIFORM, FIXED, replace(SURFACE, policy="order"), LAYER, FIRST_HALF, SECOND_HALF],
            r"0.11 \* 10, must be at most 1",
        ),
        (
            replace(SURFACE, max_actions=11, policy="order"),
            [replace(UNIFORM, floor=0.1), FIXED, LAYER, SECOND_HALF],
            r"0.1 \* 11, must be at most 1",
        ),
    ],
)
def test_spec_that_could_not_be_served_is_refused(
    spec: AnySpec, declared: list[AnySpec], says: str
) -> None:
    with pytest.raises(BadSpec, match=says):
        put(spec, *declared)


def test_surface_whose_event_ids_would_look_like_another_ones_is_refused() -> None:
    taken = surface_tag("home.feed")
    twin = next(key for key in (f"s{n}" for n in range(100_000)) if surface_tag(key) == taken)
    with pytest.raises(BadSpec, match="must have its own: choose another key"):
        put(Surface(key=twin, policy="random"), UNIFORM, SURFACE)


@pytest.mark.parametrize(
    ("spec", "declared"),
    [
        (Metric(key="clicks", source="reward"), []),
        (PolicySpec(key="vw", type="uniform", surface="not.declared.yet"), []),
        (replace(UNIFORM, floor=0.1), [UNIFORM, SURFACE]),
        (replace(EXPERIMENT, key="second", status="draft"), [UNIFORM, FIXED, SURFACE, EXPERIMENT]),
        (EXPERIMENT, [UNIFORM, FIXED, SURFACE, DRAFT]),
        (
            replace(EXPERIMENT, key="second"),
            [UNIFORM, FIXED, SURFACE, replace(EXPERIMENT, status="stopped")],
        ),
        (replace(EXPERIMENT, status="stopped"), [UNIFORM, FIXED, SURFACE, EXPERIMENT]),
        (
            replace(DRAFT, salt="other", variants=variants([(0, 1)], [(1, 2)])),
            [UNIFORM, FIXED, SURFACE, DRAFT],
        ),
        (
            replace(EXPERIMENT, variants=variants([(0, 5000)], [(5000, 7000), (9000, 10_000)])),
            [UNIFORM, FIXED, SURFACE, EXPERIMENT],
        ),
        (replace(BUTTON, salt="button-1"), [UNIFORM, FIXED, SURFACE, EXPERIMENT]),
        (replace(BUTTON, key="other", salt="other-1"), [BUTTON]),
        (SECOND_HALF, [UNIFORM, FIXED, SURFACE, LAYER, FIRST_HALF]),
        (
            replace(SECOND_HALF, layer_buckets=[(0, 10_000)]),
            [UNIFORM, FIXED, SURFACE, LAYER, replace(FIRST_HALF, status="stopped")],
        ),
        (
            replace(BUTTON, layer="page", layer_buckets=[(0, 5000)]),
            [UNIFORM, FIXED, SURFACE, LAYER, SECOND_HALF],
        ),
        (
            replace(FIRST_HALF, layer_buckets=[(0, 5000), (9000, 10_000)]),
            [UNIFORM, FIXED, SURFACE, LAYER, FIRST_HALF],
        ),
        (replace(EXPERIMENT, overrides={"qa": "control"}), [UNIFORM, FIXED, SURFACE, EXPERIMENT]),
        (replace(BUTTON, status="archived"), [BUTTON]),
        (replace(BUTTON, status="archived"), [replace(BUTTON, status="archived")]),
        (
            replace(LAYER, holdout=[(0, 100)]),
            [LAYER, replace(BUTTON, layer="page", status="draft")],
        ),
        (replace(LAYER, salt="new"), [LAYER, replace(BUTTON, layer="page", status="stopped")]),
        (replace(LAYER, description="new"), [LAYER, replace(BUTTON, layer="page")]),
    ],
)
def test_spec_that_can_be_served_is_declared(spec: AnySpec, declared: list[AnySpec]) -> None:
    assert put(spec, *declared).versions[-1].spec == spec


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (replace(EXPERIMENT, status="draft"), "must not go back from 'running'"),
        (replace(EXPERIMENT, salt="exp-8"), "salt of experiment 'feed' is 'exp-8', must stay"),
        (replace(EXPERIMENT, control="treatment"), "control of experiment"),
        (replace(EXPERIMENT, layer="page"), "layer of experiment 'feed' is 'page', must stay None"),
        (replace(EXPERIMENT, targeting="true"), "targeting of experiment 'feed' is 'true', must"),
        (
            replace(EXPERIMENT, variants=variants([(0, 4999)], [(5000, 7000)])),
            "allocation of variant 'control' of experiment 'feed' loses 1 of its buckets, 4999 the",
        ),
        (
            replace(
                EXPERIMENT,
                variants=[
                    Variant(key="control", policy="random", allocation=[(0, 5000)]),
                    Variant(key="treatment", policy="random", allocation=[(5000, 7000)]),
                ],
            ),
            "variant 'treatment' of experiment 'feed' must stay, with policy 'order'",
        ),
        (
            replace(
                EXPERIMENT,
                variants=[
                    Variant(key="control", policy="random", allocation=[(0, 5000)]),
                    Variant(key="new", policy="order", allocation=[(5000, 7000)]),
                ],
            ),
            "variant 'treatment' of experiment 'feed' must stay",
        ),
    ],
)
def test_running_experiment_keeps_its_units_where_they_are(change: Experiment, says: str) -> None:
    with pytest.raises(BadSpec, match=says):
        put(change, UNIFORM, FIXED, SURFACE, LAYER, EXPERIMENT)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (BUTTON, replace(BUTTON, variants=BUTTON.variants[::-1], status="draft"), "not go back"),
        (replace(BUTTON, status="archived"), replace(BUTTON, status="stopped"), "must not go back"),
        (replace(BUTTON, status="stopped"), BUTTON, "must not go back from 'stopped'"),
        (
            BUTTON,
            replace(
                BUTTON, variants=[BUTTON.variants[0], replace(BUTTON.variants[1], payload="green")]
            ),
            "payload of variant 'red' of experiment 'button' must stay {'colour': 'red'}",
        ),
        (
            FIRST_HALF,
            replace(FIRST_HALF, layer_buckets=[(0, 4999)]),
            "layer_buckets of experiment 'feed' loses 1 of its buckets, 4999 the first",
        ),
        (LAYER, replace(LAYER, salt="other"), "salt of layer 'page' is 'other', must stay"),
        (LAYER, replace(LAYER, holdout=[(0, 1)]), "while experiment 'feed' is running in it"),
    ],
)
def test_what_was_once_running_keeps_its_meaning(
    before: AnySpec, after: AnySpec, says: str
) -> None:
    others = [spec for spec in (LAYER, FIRST_HALF) if spec.key != before.key]
    with pytest.raises(BadSpec, match=says):
        put(after, UNIFORM, FIXED, SURFACE, *others, before)


def test_two_experiments_that_run_do_not_split_units_alike() -> None:
    twin = replace(BUTTON, key="twin")
    with pytest.raises(BadSpec, match="must be its own: else their variants go together"):
        put(twin, BUTTON)
    put(replace(twin, salt="another"), BUTTON)


def test_payloads_are_judged_by_outcomes_only() -> None:
    earned = Metric(key="earned", source="reward")
    with pytest.raises(BadSpec, match="must be of outcomes"):
        put(replace(BUTTON, metrics=["earned"]), earned)


THEIRS = replace(UNIFORM, key="theirs", project="b")


def test_a_project_sees_declares_and_names_its_own_definitions_only() -> None:
    definitions = MemoryDefinitions(UNIFORM, THEIRS)
    mine = service(definitions).of("default")
    assert [d.key for d in mine.all("policy")] == ["random"]
    for look in (mine.get, mine.history):
        with pytest.raises(NotDeclared):
            look("policy", "theirs")
    for foreign in (THEIRS, replace(THEIRS, project="default")):
        with pytest.raises(NotDeclared):
            mine.current(foreign)
        with pytest.raises(NotDeclared):
            mine.put(foreign, expected=1, author="me")
    with pytest.raises(BadSpec, match="project is 'b', must be 'default'"):
        mine.put(replace(UNIFORM, key="new", project="b"), expected=None, author="me")
    with pytest.raises(BadSpec, match="policy 'theirs' is not declared"):
        mine.put(replace(SURFACE, policy="theirs"), expected=None, author="me")
    assert definitions.revision() == 2


def test_a_definition_never_changes_its_project_nor_names_another() -> None:
    with pytest.raises(BadSpec, match="project of policy 'random' is 'b', must stay 'default'"):
        put(replace(UNIFORM, project="b"), UNIFORM)
    with pytest.raises(BadSpec, match="policy 'theirs' is not declared"):
        put(replace(SURFACE, policy="theirs"), THEIRS)


def test_a_policy_learns_from_no_log_of_another_project() -> None:
    spy = PolicySpec(key="spy", type="vw", surface="home.feed", project="b")
    with pytest.raises(BadSpec, match=r"surface 'home\.feed' is not of project 'b'"):
        put(spy, UNIFORM, SURFACE)
    with pytest.raises(BadSpec, match=r"a policy of another project names"):
        put(SURFACE, UNIFORM, spy)


def test_the_rules_of_one_project_do_not_look_at_another() -> None:
    other = replace(LAYER, key="other", project="b")
    put(LAYER, other)  # the same salt: no unit of one project is a unit of the other
