"""What metrics may be declared, and which an experiment may be judged by."""

import msgspec
import pytest

from bandit.errors import BadSpec
from bandit.service.declared import Declared
from bandit.service.defining_experiments import check_experiment
from bandit.service.defining_metrics import check_metric, check_metrics_of
from bandit.specs import AnySpec, Experiment, Metric, Variant
from bandit.specs.metrics import Denominator
from bandit.store.definitions import Definition
from tests.bandit.service.making_numbers import experiment_of

VISITS = Metric(key="visits", source="outcome", type="count")
REVENUE = Metric(key="revenue", source="outcome", covariate_window_s=60.0, covariates=["visits"])
EARNED = Metric(key="earned", source="reward")
PER_DECISION = Metric(
    key="per-decision", source="outcome", type="ratio", denominator=Denominator(source="decision")
)
BUTTON = Experiment(
    key="button",
    salt="button",
    control="blue",
    variants=[
        Variant(key="blue", payload=1, allocation=[(0, 5000)]),
        Variant(key="red", payload=2, allocation=[(5000, 10_000)]),
    ],
)
replace = msgspec.structs.replace


def declared(*specs: AnySpec) -> Declared:
    return Declared(
        Definition(
            kind=spec.kind,
            key=spec.key,
            version=1,
            spec=spec,
            created_ms=0,
            author="",
            change_id="",
        )
        for spec in specs
    )


@pytest.mark.parametrize(
    ("metric", "others", "says"),
    [
        (REVENUE, [], "metric 'visits' is not declared"),
        (replace(REVENUE, covariates=["visits", "visits"]), [VISITS], r"\['visits'\] twice"),
        (replace(REVENUE, covariates=["revenue"]), [], "names? 'revenue' itself"),
        (
            replace(REVENUE, covariates=["slow"]),
            [Metric(key="slow", source="outcome", type="quantile", quantile=0.9)],
            "metric 'slow' is a quantile and a covariate of metric 'revenue', must be one of sum",
        ),
        (
            replace(VISITS, type="retention", window_s=9.0),
            [REVENUE],
            "metric 'visits' is a retention and a covariate of metric 'revenue'",
        ),
        (replace(VISITS, margin=1.0), [], r"margin is 1.0 of the control, must be below 1"),
        (
            replace(VISITS, source="reward"),
            [replace(BUTTON, metrics=["visits"])],
            "metric 'visits' is of rewards and experiment 'button' has no surface",
        ),
        (
            replace(VISITS, source="reward"),
            [REVENUE, replace(BUTTON, guardrails=["revenue"])],
            "metric 'visits' is of rewards and experiment 'button' has no surface",
        ),
    ],
)
def test_a_metric_that_could_not_be_computed_is_refused(metric, others, says):
    with pytest.raises(BadSpec, match=says):
        check_metric(metric, declared(*others))


def test_metrics_that_can_be_computed_are_declared():
    check_metric(REVENUE, declared(VISITS))
    check_metric(replace(VISITS, margin=3.0, better="lower"), declared(REVENUE, BUTTON))
    archived = replace(BUTTON, metrics=["visits"], status="archived")
    check_metric(replace(VISITS, source="reward"), declared(archived))


@pytest.mark.parametrize(
    ("change", "others", "says"),
    [
        ({"metrics": ["visits"]}, [], "metric 'visits' is not declared"),
        ({"guardrails": ["visits"]}, [], "metric 'visits' is not declared"),
        ({"metrics": ["visits", "visits"]}, [VISITS], r"metrics name \['visits'\] twice"),
        ({"guardrails": ["visits"] * 2}, [VISITS], r"at `\$.guardrails`"),
        ({"metrics": ["earned"]}, [EARNED], "is of rewards and experiment 'button'"),
        ({"guardrails": ["earned"]}, [EARNED], "is of rewards and experiment 'button'"),
        ({"metrics": ["per-decision"]}, [PER_DECISION], "is of decisions and experiment 'button'"),
        (
            {"metrics": ["revenue"]},
            [REVENUE, replace(VISITS, source="reward")],
            "metric 'visits' is of rewards",
        ),
    ],
)
def test_payloads_are_judged_by_outcomes_that_are_declared(change, others, says):
    with pytest.raises(BadSpec, match=says):
        check_metrics_of(replace(BUTTON, **change), declared(*others))


def test_on_a_surface_rewards_and_decisions_may_be_asked_for():
    experiment = experiment_of(metrics=["earned", "per-decision"], guardrails=["visits"])
    check_metrics_of(experiment, declared(EARNED, PER_DECISION, VISITS))
    with pytest.raises(BadSpec, match=r"segments name \['country'\] twice"):
        check_metrics_of(
            replace(experiment_of(metrics=[]), segments=["country", "country"]), declared()
        )


def test_a_plan_stays_once_units_were_assigned():
    plan = replace(BUTTON, status="running", sequential="planned", looks=4, planned_units=1000)
    with pytest.raises(BadSpec, match="planned_units of experiment 'button' is 2000, must stay"):
        check_experiment(replace(plan, planned_units=2000), declared(plan))
    draft = replace(plan, status="draft")
    check_experiment(replace(draft, planned_units=2000), declared(draft))
