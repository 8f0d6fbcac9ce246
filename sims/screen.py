"""How the demo looks: running numbers while it plays, tables at the end."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bandit.ope import Value
from bandit.service.reporting_payloads import ExperimentReport, GroupCounts
from sims.audit import Check
from sims.demo import LEARNED, LEARNING, RANDOM
from sims.ledger import Ledger
from sims.verdict import effect_text

LINES = 10
"""Into how many lines the progress goes where there is no terminal."""
NAMES = {LEARNED: "learned", RANDOM: "random"}


@contextmanager
def progress(console: Console, ledger: Ledger, total_n: int) -> Iterator[Callable[[], None]]:
    """Show decisions made and what each variant earns; call what it gives after each one."""
    if not console.is_terminal:
        yield _lines(console, ledger, total_n)
        return
    columns = (
        TextColumn("decisions"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total_n)
        yield lambda: bar.update(task, completed=len(ledger.shown), description=_means(ledger))


def verdict_tables(report: ExperimentReport, checks: Sequence[Check]) -> list[Table]:
    """What was earned, what it is worth, and what was checked."""
    return [_earned(report), _effects(report), _values(report), _checks(checks)]


def _lines(console: Console, ledger: Ledger, total_n: int) -> Callable[[], None]:
    marks = deque(round(total_n * line / LINES) for line in range(1, LINES + 1))

    def show() -> None:
        if marks and len(ledger.shown) >= marks[0]:
            marks.popleft()
            console.print(f"{len(ledger.shown):>7,} of {total_n:,} decisions; {_means(ledger)}")

    return show


def _means(ledger: Ledger) -> str:
    means = {name: ledger.mean_reward(variant) for variant, name in NAMES.items()}
    shown = (f"{name} {'-' if mean is None else f'{mean:.3f}'}" for name, mean in means.items())
    return f"likes per decision: {', '.join(shown)}"


def _earned(report: ExperimentReport) -> Table:
    table = _table("variant", "policy", "users", "decisions", "likes", "likes per decision")
    for group in sorted(report.variants, key=lambda group: group.label):
        table.add_row(f"{group.label} ({NAMES.get(group.label, '?')})", *_counts(group))
    return table


def _counts(group: GroupCounts) -> tuple[str, ...]:
    return (
        group.policy or "-",
        f"{group.units_n:,}",
        f"{group.counted_n:,}",
        f"{group.reward_sum:,.0f}",
        "-" if group.reward_mean is None else f"{group.reward_mean:.4f}",
    )


def _effects(report: ExperimentReport) -> Table:
    table = _table("metric", "treatment − control, one planned look", "at any look")
    for found in report.effects:
        table.add_row(found.metric, effect_text(found.effect), effect_text(found.anytime))
    return table


def _values(report: ExperimentReport) -> Table:
    table = _table("off-policy, per decision", "from the log of", "SNIPS", "IPS", "as good as")
    for value in report.values:
        table.add_row(
            value.policy,
            "every policy" if value.log == "all" else "the other policies",
            _estimate(value.snips),
            _estimate(value.ips),
            f"{value.snips.ess:,.0f} own decisions",
        )
    return table


def _estimate(value: Value) -> str:
    if value.value is None:
        return f"none: {', '.join(value.reasons)}"
    interval = ""
    if value.ci_low is not None and value.ci_high is not None:
        interval = f" [{value.ci_low:.3f}, {value.ci_high:.3f}]"
    return f"{value.value:.3f}{interval}"


def _checks(checks: Sequence[Check]) -> Table:
    table = _table("", "check", "numbers")
    for check in checks:
        state = "[green]ok[/]" if check.passed else "[red]FAILED[/]"
        table.add_row(state, check.name, check.numbers)
    return table


def summary_text(checks: Sequence[Check]) -> str:
    """Whether all of it holds, and what does not."""
    failed = [check.name for check in checks if not check.passed]
    if failed:
        return f"[red]{len(failed)} of {len(checks)} checks failed:[/] {'; '.join(failed)}"
    return f"[green]all {len(checks)} checks hold[/]"


def latency_text(report: ExperimentReport) -> str:
    """How long feedback took to be served, in words."""
    found = next((p.latency for p in report.health.policies if p.policy == LEARNING.key), None)
    if found is None or found.p50_ms is None or found.p95_ms is None:
        return "feedback to served model: not measured, no decision was served by a later snapshot"
    return (
        f"feedback to served model: p50 {found.p50_ms / 1000:.2f} s, p95 {found.p95_ms / 1000:.2f} "
        f"s after the join window, over {found.decisions_n:,} decisions"
    )


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
