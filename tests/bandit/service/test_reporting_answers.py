"""The three questions of everybody, answered from judgements made by hand."""

import pytest

from bandit.service.judging import judge
from bandit.service.reporting_answers import answers_of
from bandit.service.reporting_overview import days_left_of, health_of_experiment
from bandit.service.reporting_payloads import ExperimentReport
from bandit.service.reporting_series import NO_SERIES
from tests.bandit.service.making_numbers import (
    arrivals,
    exactly,
    experiment_of,
    metric_of,
    moments_of,
    numbers_of,
)


def report_of(
    gain: float = 0.1, units: dict[str, int] | None = None, **declared
) -> ExperimentReport:
    experiment = experiment_of(**declared)
    rows = {"c": [exactly(400, 10.0, 4.0)], "t": [exactly(400, 10.0 + gain, 4.0)]}
    numbers = numbers_of(
        moments_of("reward", rows), units=units, periods=arrivals({"c": 100, "t": 100}, 7)
    )
    judged = judge(numbers, experiment, [metric_of()], alpha=0.05)
    state, reason = health_of_experiment(judged)
    days, why = days_left_of(experiment, judged)
    return ExperimentReport(
        as_of_ms=0, alpha=0.05, key="e", version=1, surface="home", status=experiment.status,
        description="", control="c", health_state=state, health_reason=reason, days_left=days,
        days_left_reason=why, values=(), series=NO_SERIES, health=None, **judged._asdict(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("report", "won", "stop", "healthy"),
    [
        (report_of(gain=2.0), "Yes", "Yes", "Yes"),
        (report_of(gain=-2.0), "No, it is worse", "Yes", "Yes"),
        (report_of(), "Can not be told yet", "Not yet", "Yes"),
        (report_of(gain=2.0, sequential="fixed"), "Yes", "Yes, at the planned look", "Yes"),
        (report_of(status="stopped"), "Can not be told yet", "It is stopped", "Yes"),
        (report_of(units={"c": 500, "t": 300}), "Can not be told", "Yes, to repair it", "No"),
        (report_of(units={"c": 0, "t": 0}), "No data", "No", "There is nothing yet"),
        (
            report_of(sequential="planned", looks=5, planned_units=800),
            "Can not be told yet",
            "Yes",
            "Yes",
        ),
    ],
)
def test_three_questions_have_short_answers(
    report: ExperimentReport, won: str, stop: str, healthy: str
):
    answers = answers_of(report)
    assert [answer.short for answer in answers] == [won, stop, healthy]
    assert all(answer.why for answer in answers)


def test_not_yet_says_how_long():
    _, stop, _ = answers_of(report_of())
    assert stop.why == "About 15.3 days to go."
