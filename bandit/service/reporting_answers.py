"""The three questions that everybody asks of an experiment, answered from its report; pure."""

from typing import NamedTuple

from bandit.service.reporting_payloads import ExperimentReport
from bandit.service.reporting_words import in_words, so_many_days


class Answer(NamedTuple):
    """A question, its answer in a word or two, and why."""

    question: str
    short: str
    why: str


_WON = {
    "better": "Yes",
    "worse": "No, it is worse",
    "guardrail": "Yes, but a guardrail is open",
    "broken": "Can not be told",
    "not_yet": "Not yet",
    "unclear": "Can not be told yet",
    "waiting": "Too early",
    "no_data": "No data",
}
_BELIEVED = {
    "fine": "Yes",
    "attention": "Look into it first",
    "broken": "No",
    "unknown": "There is nothing yet",
}


def answers_of(report: ExperimentReport) -> tuple[Answer, Answer, Answer]:
    """Did treatment win? May I stop? Is the data healthy?"""
    several = len(report.variants) > 2
    stop, why = _may_stop(report)
    fine = "Units are split as allocated, and every metric gets its data."
    return (
        Answer(
            "Did a treatment win?" if several else "Did treatment win?",
            _WON[report.verdict.state],
            report.verdict.headline,
        ),
        Answer("May I stop?", stop, why),
        Answer(
            "Is the data healthy?", _BELIEVED[report.health_state], report.health_reason or fine
        ),
    )


def _may_stop(report: ExperimentReport) -> tuple[str, str]:
    state, plan = report.verdict.state, report.plan
    if report.status != "running":
        return f"It is {report.status}", "Nobody is assigned to it."
    if state == "broken":
        return "Yes, to repair it", "More units do not mend what is wrong."
    if state in ("waiting", "no_data"):
        return "No", "Nothing can be told before the first units count."
    if state == "guardrail":
        return "Not for good news", "A guardrail is not shown to hold."
    if state in ("better", "worse"):
        if report.sequential == "fixed":
            return "Yes, at the planned look", "The answer holds for the one look that was planned."
        return "Yes", "The answer holds however often you looked."
    if plan is not None and report.sequential == "planned" and plan.finished:
        return "Yes", "The plan is over, and no effect was shown."
    return "Not yet", days_in_words(report.days_left, report.days_left_reason)


def days_in_words(days: float | None, reason: str | None) -> str:
    """How long it still takes, or why nobody knows.

    >>> days_in_words(3.25, None)
    'About 3.2 days to go.'
    >>> days_in_words(None, "no_arrivals")[:31]
    'How long it takes is not known:'
    """
    if days is None:
        return f"How long it takes is not known: {in_words([reason or 'no_estimate'])}."
    if days == 0.0:
        return (
            "The units that were asked for are in: it shows no effect of the size one cares about."
        )
    return f"About {so_many_days(days)} to go."
