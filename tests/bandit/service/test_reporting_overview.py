"""An experiment in one line, from judgements made by hand."""

import msgspec
import pytest

from bandit.errors import RecordError
from bandit.service.judging import Judged, judge
from bandit.service.reporting_overview import (
    broken_headline,
    days_left_of,
    headline_of,
    health_of_experiment,
)
from bandit.store.definitions import Definition
from tests.bandit.service.making_numbers import (
    arrivals,
    exactly,
    experiment_of,
    metric_of,
    moments_of,
    numbers_of,
    slice_of,
)

PACE = arrivals({"c": 100, "t": 100}, days=7)


def judged(experiment=None, gain: float = 0.1, **more) -> Judged:
    rows = {"c": [exactly(400, 10.0, 4.0)], "t": [exactly(400, 10.0 + gain, 4.0)]}
    return judge(
        numbers_of(moments_of("reward", rows), **more),
        experiment or experiment_of(),
        [metric_of()],
        alpha=0.05,
    )


def definition(experiment) -> Definition:
    return Definition(
        kind="experiment", key="e", version=3, created_ms=5, author="ana", change_id="x",
        spec=experiment,
    )  # fmt: skip


def test_the_owner_is_who_declared_it_unless_it_names_another():
    assert headline_of(definition(experiment_of()), judged(), 7).owner == "ana"
    owned = definition(experiment_of(owner="bo"))
    assert headline_of(owned, judged(), 7).owner == "bo"
    broken = broken_headline(owned, RecordError("metric is unknown"))
    assert (broken.owner, broken.health) == ("bo", "broken")
    assert broken.health_reason == "Metric is unknown."


def test_days_left_are_those_of_the_pace_of_the_last_week():
    found = judged(periods=PACE)
    days, reason = days_left_of(experiment_of(), found)
    assert days == pytest.approx(found.effects[0].outlook.units_more / 200, rel=1e-3)
    assert reason is None


@pytest.mark.parametrize(
    ("status", "periods", "reason"),
    [("stopped", PACE, "not_running"), ("running", (), "no_arrivals")],
)
def test_days_left_have_a_reason_where_there_are_none(status: str, periods, reason: str):
    experiment = experiment_of(status=status)
    assert days_left_of(experiment, judged(experiment, periods=periods)) == (None, reason)


def test_a_plan_is_over_when_its_units_are_in():
    plan = {"sequential": "planned", "looks": 5}
    far, near = (experiment_of(planned_units=n, **plan) for n in (1800, 800))
    assert days_left_of(far, judged(far, periods=PACE)) == (pytest.approx(1000 / 200), None)
    assert days_left_of(near, judged(near, periods=PACE)) == (0.0, None)


def test_health_names_what_is_the_matter():
    assert health_of_experiment(judged()) == ("fine", "")
    assert health_of_experiment(judged(units={"c": 0, "t": 0}))[0] == "unknown"
    state, reason = health_of_experiment(judged(units={"c": 500, "t": 300}))
    assert state == "broken"
    assert "500" in reason
    state, reason = health_of_experiment(judged(crossed_n=50, bots_n={"c": 3}))
    assert (state, reason) == ("attention", "50 units were seen in two variants")


def test_a_metric_that_ceased_is_told_with_its_day_and_units():
    loud = {key: [[1.0, 0.0] * 200] for key in "ct"}
    days = [
        slice_of("first_day", f"2026-11-0{day}", moments_of("reward", rows))
        for day, rows in (
            (1, loud),
            (2, {key: [[0.0] * 100] for key in "ct"}),
            (3, {key: [[0.0] * 100] for key in "ct"}),
        )
    ]
    found = judged(slices=days)
    silence = found.effects[0].silence
    assert silence is not None
    assert (silence.since, silence.units_n) == ("2026-11-02", 400)
    assert silence.expected_n == pytest.approx(200, rel=0.02)  # half of them had one before
    _, why = health_of_experiment(found)
    assert why.startswith("reward: no unit that came lately has an event")
    never = msgspec.structs.replace(
        numbers_of(moments_of("reward", {key: [[0.0] * 300] for key in "ct"}))
    )
    silence = judge(never, experiment_of(), [metric_of()], alpha=0.05).effects[0].silence
    assert silence is not None
    assert (silence.since, silence.units_n, silence.expected_n) == (None, 600, None)
