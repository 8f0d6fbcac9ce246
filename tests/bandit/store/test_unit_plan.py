"""Metrics compiled to parameters."""

import msgspec
import pytest

from bandit.errors import NotDeclared, RecordError
from bandit.specs.metrics import Denominator
from bandit.store import migrations
from bandit.store.unit_plan import UnitPlan
from tests.bandit.store.test_unit_numbers import (
    DECLARED,
    METRICS,
    SURFACE,
    experiment,
    outcome,
    reward,
)

PLAN = UnitPlan.of(experiment(), SURFACE, METRICS, DECLARED)


def generation(**changes) -> str:
    given = {"experiment": experiment(), "surface": SURFACE, "metrics": METRICS} | changes
    return UnitPlan.of(**given, covariate_metrics=DECLARED).generation


@pytest.mark.parametrize(
    "changes",
    [
        {"experiment": experiment(bot_decisions=None)},
        {"experiment": experiment(segments=["country"])},
        {"surface": msgspec.structs.replace(SURFACE, join_window_s=2.0)},
        {"surface": msgspec.structs.replace(SURFACE, reward_weights={})},
        {"metrics": METRICS[::-1]},
        {"metrics": [msgspec.structs.replace(METRICS[0], at_least=0.0), *METRICS[1:]]},
    ],
)
def test_what_the_numbers_depend_on_makes_another_generation(changes: dict) -> None:
    assert generation(**changes) != PLAN.generation


def test_a_changed_covariate_makes_another_generation() -> None:
    other = DECLARED | {"orders": msgspec.structs.replace(DECLARED["orders"], at_least=2.0)}
    metrics = [metric for metric in METRICS if metric.key != "orders"]
    before = UnitPlan.of(experiment(), SURFACE, metrics, DECLARED).generation
    assert UnitPlan.of(experiment(), SURFACE, metrics, other).generation != before


def test_what_they_do_not_depend_on_does_not() -> None:
    worded = [msgspec.structs.replace(METRICS[0], description="!", margin=0.5), *METRICS[1:]]
    ramped = experiment(status="running", salt="other", description="!", correction="bh")
    killed = msgspec.structs.replace(SURFACE, killed=True, description="!")
    assert generation(experiment=ramped, surface=killed, metrics=worded) == PLAN.generation


def test_every_metric_has_its_columns() -> None:
    ticket = DECLARED["ticket"]
    assert [column for column, _ in PLAN.columns(ticket)] == [
        "value",
        "denominator",
        "covariate",
        "covariate_denominator",
    ]
    named = [column for column, _ in PLAN.columns(DECLARED["revenue"])]
    assert named == ["value", "covariate", "covariate:total", "covariate:ticket"]
    assert PLAN.reach_ms == 30_000


@pytest.mark.parametrize(
    "metric",
    [
        reward("clicks"),
        outcome("share", type="ratio", denominator=Denominator()),
        outcome("other", covariate_window_s=1.0, covariates=["clicks"]),
    ],
)
def test_rewards_of_an_experiment_without_a_surface_are_refused(metric) -> None:
    with pytest.raises(RecordError, match="must be of outcomes: the experiment has no surface"):
        UnitPlan.of(experiment(surface=None), None, [metric], {"clicks": reward("clicks")})


def test_a_covariate_that_nobody_declared_is_named() -> None:
    metric = outcome("m", covariate_window_s=1.0, covariates=["nobody"])
    with pytest.raises(NotDeclared, match="'nobody' is not declared"):
        UnitPlan.of(experiment(), SURFACE, [metric], {})


def test_another_surface_is_refused() -> None:
    with pytest.raises(RecordError, match="must be the experiment's: 'home'"):
        UnitPlan.of(experiment(), None, METRICS, DECLARED)


def view(file: str, name: str) -> str:
    text = migrations._text(file)
    start = text.index(f"VIEW $database.{name}$on_cluster AS")
    return text[text.index("\n", start) : text.index(";\n", start)]


def test_decisions_are_judged_by_one_set_of_rules() -> None:
    # The longer view filters rows; what it makes of them is the same, to the letter.
    rules = view("0005_judged_decisions.sql", "judged_decisions")
    rows = view("0013_cheaper_views.sql", "judged_rows").replace("    context,\n", "")
    head = rules[: rules.index("\nFROM (")]
    assert rows.startswith(head)
    for line in rules.splitlines():
        assert line in rows


def test_units_of_the_log_and_of_states_are_judged_alike() -> None:
    of_log = view("0013_cheaper_views.sql", "unit_values_of_log")
    of_states = view("0013_cheaper_views.sql", "unit_values")
    assert (
        of_log[: of_log.index("FROM $database")] == of_states[: of_states.index("FROM $database")]
    )
