"""Whether an experiment's numbers may be believed: split, units left out, metrics that ceased."""

from collections.abc import Sequence

import streamlit as st

from bandit.service.reporting import ExperimentReport
from bandit.service.reporting_payloads import GroupCounts, MetricEffect
from bandit.service.reporting_words import (
    exceptions_in_words,
    in_words,
    number,
    p_value,
    percent,
)
from dashboard.parts import show_list, show_table, show_texts, with_counts


def show_trust(report: ExperimentReport) -> None:
    """Variants with their counts, and every check with its own."""
    st.header("Variants", anchor=False)
    show_table(variant_rows(report))
    st.markdown(split_in_words(report))
    show_list(exceptions_in_words(report.variants, report.forced_n))
    st.header("Checks", anchor=False)
    show_texts(check_rows(report))


def check_rows(report: ExperimentReport) -> list[dict[str, str]]:
    """A line per check: what was found, with its count; also where all is well."""
    units_n = sum(variant.units_n for variant in report.variants)
    silent = [found for found in report.effects if found.silence is not None]
    return [
        _split_row(report),
        _left_out_row("crossover", report.crossed_units_n, units_n, "seen in two variants"),
        _left_out_row("bots", report.bots_units_n, units_n, "made more decisions than a person"),
        _left_out_row("set by hand", report.forced_units_n, units_n, "of testers"),
        *([_silence_row(found) for found in silent] or [_row("metric silence", "● fine", "none")]),
        _row("waiting", "● fine" if not _unripe(report) else "○ waiting", _waiting(report)),
    ]


def _row(check: str, state: str, found: str) -> dict[str, str]:
    return {"check": check, "state": state, "found": found}


def _split_row(report: ExperimentReport) -> dict[str, str]:
    watched = report.srm_sequential
    fixed = report.sequential == "fixed" or watched is None
    verdict = report.srm.verdict if fixed or watched is None else watched.verdict
    p = report.srm.p_value if fixed or watched is None else watched.p_value
    states = {"fine": "● fine", "mismatch": "■ mismatch", "unknown": "○ can not be told"}
    expected = report.srm.expected
    units = ", ".join(
        f"{one.label} {one.units_n:,} of {expected.get(one.label, 0.0):,.0f} expected"
        for one in report.variants
    )
    return _row("split of units (SRM)", states[verdict], f"{units}; p = {p_value(p)}")


def _left_out_row(check: str, n: int, units_n: int, what: str) -> dict[str, str]:
    if not n:
        return _row(check, "● fine", "none")
    share = percent(n / (n + units_n))
    state = "● fine" if n <= 0.01 * units_n else "▲ look into it"
    return _row(check, state, f"{n:,} units ({share}) {what}, left out")


def _silence_row(found: MetricEffect) -> dict[str, str]:
    silence = found.silence
    assert silence is not None
    if silence.since is None:
        text = f"{found.metric}: none of {silence.units_n:,} units ever had an event"
    else:
        text = (
            f"{found.metric}: since {silence.since} none of {silence.units_n:,} units had an "
            f"event; at least {number(silence.expected_n)} should have"
        )
    return _row("metric silence", "▲ look into it", f"{text} ({found.treatment})")


def _unripe(report: ExperimentReport) -> int:
    return sum(one.open_n for one in report.variants) + max(
        (found.unripe_n for found in report.effects), default=0
    )


def _waiting(report: ExperimentReport) -> str:
    open_n = sum(one.open_n for one in report.variants)
    unripe_n = max((found.unripe_n for found in report.effects), default=0)
    texts = []
    if open_n:
        texts.append(f"{open_n:,} decisions for their join window")
    if unripe_n:
        texts.append(f"{unripe_n:,} units for a metric's window")
    return " and ".join(texts) or "nothing waits"


def variant_rows(report: ExperimentReport) -> list[dict[str, str]]:
    """A line per variant; of payloads only what they have."""
    rows: list[dict[str, str]] = []
    for variant in report.variants:
        row = {
            "variant": variant.label,
            "role": "control" if variant.label == report.control else "treatment",
            "serves": variant.policy or "payload",
            "share": percent(variant.share),
            "units": f"{variant.units_n:,}",
        }
        rows.append(row if report.surface is None else row | _decisions(variant))
    return with_counts(
        rows,
        report.variants,
        {"pinned": "pinned_n", "overridden": "overridden_n", "bots": "bots_n"},
    )


def _decisions(variant: GroupCounts) -> dict[str, str]:
    return {
        "decisions": f"{variant.decisions_n:,}",
        "waiting for rewards": f"{variant.open_n:,}",
        "counted": f"{variant.counted_n:,}",
        "rewarded": f"{variant.rewarded_n:,}",
        "exposed": f"{variant.exposed_n:,}",
        "reward": number(variant.reward_sum),
        "per decision": number(variant.reward_mean),
    }


def split_in_words(report: ExperimentReport) -> str:
    """Whether units arrived as they were allocated."""
    split = report.srm
    texts = {
        "fine": f"Units are split as allocated (p = {p_value(split.p_value)}).",
        "mismatch": f"**Units are not split as allocated** (p = {p_value(split.p_value)}).",
        "unknown": f"The split can not be checked: {in_words([split.reason or ''])}.",
    }
    watched = report.srm_sequential
    if watched is not None and report.sequential != "fixed":
        texts |= {
            "fine": f"Units are split as allocated (p = {p_value(watched.p_value)}, watched).",
            "mismatch": f"**Units are not split as allocated** (p = {p_value(watched.p_value)}, "
            "watched).",
        }
    verdict = split.verdict if watched is None or report.sequential == "fixed" else watched.verdict
    return texts[verdict] + _left_out(report)


def _left_out(report: ExperimentReport) -> str:
    parts: Sequence[tuple[int, str]] = (
        (report.crossed_units_n, "were seen in two variants and are left out."),
        (report.forced_units_n, "were set by hand and are left out."),
        (report.bots_units_n, "made more decisions than a person and are left out."),
    )
    return "".join(f" {n:,} units {text}" for n, text in parts if n)
