"""Single actions of a surface as titled tables; pure."""

from collections.abc import Sequence

from bandit.cli.report_sections import Section, moment
from bandit.service.reporting_actions import (
    ActionEstimate,
    ActionsReport,
    ActionValue,
    NotJudged,
)
from bandit.service.reporting_tables import Row
from bandit.service.reporting_words import DASH, in_words, number, p_value

LEFT_OUT = {
    "forced_n": "whose variant was set by hand",
    "unseen_n": "that nobody saw",
    "pinned_n": "with a pinned top slot",
    "overridden_n": "that showed something else",
    "killed_n": "under the kill switch",
    "certain_n": "whose policy left nothing to chance",
}
AUDIT = {
    "fine": "The actions were drawn as often as their logged propensities say.",
    "mismatch": "The actions were NOT drawn as often as their logged propensities say: trust none "
    "of these numbers.",
    "unknown": "Too few draws to tell whether the logged propensities are those drawn with.",
}


def action_sections(report: ActionsReport) -> list[Section]:
    """All of a report in the order in which it should be read."""
    about = [
        f"As of {moment(report.as_of_ms)}. Rewards are judged by the rules of version "
        f"{report.surface_version} of the surface.",
        f"{report.judged_n:,} decisions tell of actions; left out are {_left_out(report)}.",
        AUDIT[report.audit],
    ]
    shown = f"the {len(report.actions)} most shown of {report.actions_n:,}"
    return [
        Section(f"Actions of surface {report.key}", about),
        Section(
            f"What always showing an action would earn per decision: {shown}",
            [
                "By the logged propensities, over decisions where it could be drawn. The plain "
                "mean is biased where a policy learnt from it.",
            ],
            header=(
                "action",
                "shown",
                "plain mean",
                "value, one look",
                "any time",
                f"less {report.reference}, one look",
                "any time",
                "draws (worth)",
            ),
            rows=[_row(value) for value in report.actions],
        ),
        Section(
            "The same in other ways, and the audit of propensities",
            header=("action", "Hájek", "two-point weights", "drawn", "expected", "z", "p"),
            rows=[_other(value) for value in report.actions],
        ),
    ]


def action_rows(actions: Sequence[ActionValue]) -> list[Row]:
    """One flat row per action, with all digits."""
    rows: list[Row] = []
    for value in actions:
        row: Row = {
            name: getattr(value, name)
            for name in ("action", "shown_n", "rewarded_n", "mean", "eligible_n", "drawn_n")
        }
        row["effective_n"] = value.effective_n
        for name in ("value", "hajek", "two_point", "difference"):
            estimate = getattr(value, name) or ActionEstimate()
            for field in ActionEstimate.__struct_fields__:
                key = name if field == "value" else f"{name}_{field}"
                row[key] = getattr(estimate, field)
        row |= {"audit": value.audit.verdict, "audit_z": value.audit.z}
        rows.append(row | {"audit_p_value": value.audit.p_value})
    return rows


def _row(value: ActionValue) -> tuple[str, ...]:
    difference = value.difference
    return (
        value.action,
        f"{value.shown_n:,}",
        number(value.mean),
        _one_look(value.value),
        _any_time(value.value),
        DASH if difference is None else _one_look(difference, sign="+"),
        DASH if difference is None else _any_time(difference),
        f"{value.drawn_n:,} ({number(value.effective_n)})",
    )


def _other(value: ActionValue) -> tuple[str, ...]:
    audit = value.audit
    return (
        value.action,
        _one_look(value.hajek),
        _one_look(value.two_point),
        f"{audit.drawn:,}",
        number(audit.expected),
        number(audit.z, sign="+") if audit.reason is None else f"({in_words([audit.reason])})",
        p_value(audit.p_value),
    )


def _one_look(found: ActionEstimate, sign: str = "") -> str:
    if found.reason is not None:
        return f"{number(found.value, sign)} ({in_words([found.reason])})"
    return f"{number(found.value, sign)} [{number(found.ci_low)}, {number(found.ci_high)}]"


def _any_time(found: ActionEstimate) -> str:
    if found.anytime_reason is not None:
        same = found.anytime_reason == found.reason
        return DASH if same else f"{DASH} ({in_words([found.anytime_reason])})"
    return f"[{number(found.anytime_ci_low)}, {number(found.anytime_ci_high)}]"


def _left_out(report: ActionsReport) -> str:
    counts = ((getattr(report.not_judged, name), LEFT_OUT[name]) for name in _FIELDS)
    return ", ".join(f"{n:,} {what}" for n, what in counts if n) or "none"


_FIELDS = NotJudged.__struct_fields__
