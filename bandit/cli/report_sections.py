"""A report as titled tables, for a terminal or as Markdown; pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from rich.console import Console
from rich.table import Column, Table

from bandit.service.reporting_ope_words import agreement_in_words, exploration_in_words
from bandit.service.reporting_payloads import (
    Agreement,
    ExperimentReport,
    GroupCounts,
    Health,
    MetricEffect,
    PolicyValue,
    SequentialMode,
    SurfaceReport,
)
from bandit.service.reporting_words import (
    DASH,
    HOLDS,
    duration,
    effect_in_words,
    exceptions_in_words,
    in_words,
    judgements,
    margin_in_words,
    notes_of,
    number,
    outlook_in_words,
    p_value,
    percent,
    segment_in_words,
    value_in_words,
    yardstick_in_words,
)
from bandit.stats import Effect


class Section(NamedTuple):
    """A title, some lines, and a table if there is one."""

    title: str
    lines: Sequence[str] = ()
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def sections_of(report: ExperimentReport | SurfaceReport) -> list[Section]:
    """All of a report in the order in which it should be read."""
    first = _of_surface(report) if isinstance(report, SurfaceReport) else _of_experiment(report)
    values = [_values(report.values)] if report.values else []
    return [*first, *values, *_health(report.health)]


def _of_surface(report: SurfaceReport) -> list[Section]:
    served = f"Policy {report.policy} serves whoever is in no experiment."
    if report.killed:
        served = "The kill switch is on: everybody is served the offered order."
    about = [f"{served} As of {moment(report.as_of_ms)}.", _rules(report.surface_version)]
    earned = _groups("What each policy earned", report.policies, report.forced_n)
    against = (
        [Section("The policy against chance", yardstick_in_words(report.uniform))]
        if report.uniform
        else []
    )
    exploring = (
        [Section("What exploring gives up", exploration_in_words(report.exploration))]
        if report.exploration
        else []
    )
    return [Section(f"Surface {report.key}", about), earned, *against, *exploring]


def _of_experiment(report: ExperimentReport) -> list[Section]:
    verdict = report.verdict
    where = "of payloads" if report.surface is None else f"on {report.surface}"
    lines = [
        verdict.headline,
        verdict.reason,
        f"Next: {verdict.next_step}",
        f"As of {moment(report.as_of_ms)}.",
    ]
    if report.surface_version is not None:
        lines.append(_rules(report.surface_version))
    return [
        Section(f"Experiment {report.key} {where}", lines),
        *_effects(report),
        _groups("Variants", report.variants, report.forced_n),
        *([_agreement(report.agreement)] if report.agreement else []),
    ]


def _agreement(panels: Sequence[Agreement]) -> Section:
    """What each arm's log foretold of the other, beside what that one earned."""
    header = ("judged", "from the log of", "foretold", "earned", "difference", "relative", "p", "")
    return Section(
        "Off-policy evaluation beside the A/B test",
        agreement_in_words(panels),
        header=header,
        rows=[
            (
                f"{panel.judged} ({panel.policy})",
                panel.log,
                value_in_words(panel.foretold),
                number(panel.earned),
                _difference(panel),
                percent(panel.relative, "+"),
                p_value(panel.p_value),
                panel.state + (f": {in_words(panel.reasons)}" if panel.reasons else ""),
            )
            for panel in panels
        ],
    )


def _difference(panel: Agreement) -> str:
    if panel.difference_low is None:
        return number(panel.difference, "+")
    ends = f"[{number(panel.difference_low, '+')}, {number(panel.difference_high, '+')}]"
    return f"{number(panel.difference, '+')} {ends}"


def _rules(version: int) -> str:
    return f"Rewards are judged by the rules of version {version} of the surface."


def as_markdown(sections: Sequence[Section]) -> str:
    """Sections as Markdown."""
    parts = []
    for section in sections:
        parts.append(f"## {section.title}\n")
        parts += [f"{line}\n" for line in section.lines]
        if section.rows:
            parts.append("\n".join(_markdown_table(section)) + "\n")
    return "\n".join(parts)


def print_sections(console: Console, sections: Sequence[Section]) -> None:
    """Sections on a terminal."""
    for section in sections:
        console.print(f"\n[bold]{section.title}[/bold]")
        for line in section.lines:
            console.print(line, markup=False, highlight=False)
        if section.rows:
            # Folded, not cut: a narrow terminal must not hide a number.
            table = Table(*(Column(name, overflow="fold") for name in section.header))
            for row in section.rows:
                table.add_row(*row)
            console.print(table)


def moment(at_ms: int) -> str:
    """A time in UTC.

    >>> moment(1_790_000_000_000)
    '2026-09-21 14:13:20 UTC'
    """
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _markdown_table(section: Section) -> list[str]:
    lines = [section.header, ["---"] * len(section.header), *section.rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _effects(report: ExperimentReport) -> list[Section]:
    """The effects of metrics, then the guardrails, then what the reader should know of both."""
    metrics = [found for found in report.effects if found.role != "guardrail"]
    guards = [found for found in report.effects if found.role == "guardrail"]
    header = (
        "metric", "comparison", "holds", "control", "treatment", "effect", "relative", "p",
        "p corrected",
    )  # fmt: skip
    sections = [
        Section(
            "Effects",
            [
                "Look as often as you like by the intervals that hold at any time; the others hold "
                "for one look at a time that was planned. What decides is marked with *."
            ],
            header=header,
            rows=[
                _effect(found, mode, effect, report.sequential)
                for found in metrics
                for mode, effect in judgements(found)
            ],
        )
    ]
    if guards:
        sections.append(_guardrails(guards, report.sequential))
    sections += [_beliefs(metrics)] if metrics else []
    notes = [(found, text) for found in report.effects for text in notes_of(found)]
    if notes:
        lines = [f"{one.metric}, {one.treatment} − {one.control}: {text}." for one, text in notes]
        sections.append(Section("Notes", lines))
    if report.segments:
        sections.append(Section("Segments", [segment_in_words(one) for one in report.segments]))
    return sections


def _effect(
    found: MetricEffect, mode: SequentialMode, effect: Effect, decides: SequentialMode
) -> tuple[str, ...]:
    return (
        f"{found.metric} per {found.per}" + (" (primary)" if found.is_primary else ""),
        f"{found.treatment} − {found.control}",
        HOLDS[mode] + (" *" if mode == decides else ""),
        number(effect.control),
        number(effect.treatment),
        effect_in_words(effect),
        effect_in_words(effect, relative=True),
        p_value(effect.p_value),
        p_value(effect.p_value_adjusted),
    )


def _guardrails(guards: Sequence[MetricEffect], decides: SequentialMode) -> Section:
    return Section(
        "Guardrails",
        ["A guardrail is ok when it is shown not to be worse by its margin."],
        header=("metric", "comparison", "state", "margin", "effect", "relative", "p of the margin"),
        rows=[
            (
                found.metric,
                f"{found.treatment} − {found.control}",
                found.guardrail or DASH,
                DASH
                if found.non_inferiority is None or found.non_inferiority.margin is None
                else margin_in_words(
                    found.non_inferiority.margin, found.non_inferiority.margin_scale
                ),
                effect_in_words(found.by(decides)),
                effect_in_words(found.by(decides), relative=True),
                p_value(None if found.non_inferiority is None else found.non_inferiority.p_value),
            )
            for found in guards
        ],
    )


def _beliefs(metrics: Sequence[MetricEffect]) -> Section:
    """Bayesian numbers and what is to come."""
    return Section(
        "Chances and outlook",
        [
            "Chance to win and expected loss describe one look; watched, they mislead. The least "
            "effect is what is found in four of five runs."
        ],
        header=("metric", "comparison", "chance to win", "expected loss", "least effect found"),
        rows=[
            (
                found.metric,
                f"{found.treatment} − {found.control}",
                percent(None if found.bayes is None else found.bayes.chance_to_win),
                number(None if found.bayes is None else found.bayes.expected_loss),
                outlook_in_words(found.outlook),
            )
            for found in metrics
        ],
    )


def _groups(title: str, groups: Sequence[GroupCounts], forced_n: int) -> Section:
    header = ("", "policy", "units", "decisions", "open", "counted", "rewarded", "reward", "mean")
    return Section(
        title,
        exceptions_in_words(groups, forced_n),
        header=header,
        rows=[
            (
                group.label,
                group.policy or DASH,
                f"{group.units_n:,}",
                f"{group.decisions_n:,}",
                f"{group.open_n:,}",
                f"{group.counted_n:,}",
                f"{group.rewarded_n:,}",
                number(group.reward_sum),
                number(group.reward_mean),
            )
            for group in groups
        ],
    )


def _values(values: Sequence[PolicyValue]) -> Section:
    return Section(
        "What each policy would earn per decision (SNIPS)",
        header=("policy", "log", "value", "decisions", "worth", "same top", "verdict"),
        rows=[
            (
                found.policy,
                found.log,
                value_in_words(found.snips),
                f"{found.snips.n:,}",
                number(found.snips.ess),
                percent(found.agreement),
                found.snips.verdict
                + (
                    f": {in_words(found.snips.reasons)}" if found.snips.verdict == "caution" else ""
                ),
            )
            for found in values
        ],
    )


def _health(health: Health) -> list[Section]:
    counts = (
        f"{health.decisions.distinct_n:,} decisions, {health.rewards.distinct_n:,} rewards and "
        f"{health.exposures.distinct_n:,} exposures in the log; {health.open_n:,} decisions wait "
        f"for their join window; the log is {duration(health.drain_lag_ms)} behind."
    )
    problems = [f"{problem.text} {problem.next_step}" for problem in health.problems]
    rows = []
    for policy in health.policies:
        learning, latency = policy.learning, policy.latency
        rows.append(
            (
                policy.policy,
                policy.type,
                DASH if policy.served_snapshot is None else str(policy.served_snapshot),
                DASH if learning is None else f"{learning.snapshot} ({duration(learning.age_ms)})",
                DASH if learning is None else f"{learning.trained:,} + {learning.defaulted:,}",
                DASH
                if learning is None
                else f"{learning.late:,} / {learning.duplicate:,} / {learning.orphan:,}",
                DASH
                if latency is None
                else f"{duration(latency.p50_ms)} / {duration(latency.p95_ms)}",
            )
        )
    header = (
        "policy",
        "type",
        "served",
        "newest (age)",
        "trained + defaulted",
        "late / repeated / orphan",
        "feedback → served, p50 / p95",
    )
    return [Section("Health", [counts, *problems]), Section("Learning", header=header, rows=rows)]
