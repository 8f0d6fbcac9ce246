"""`bandit simulate aa`: false alarms of a surface's own metrics, by splitting its own units."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from bandit.cli.wiring import now_ms, open_store
from bandit.errors import BanditError, RecordError
from bandit.service.reporting_times import moment_ms
from bandit.service.unit_history import UnitHistory, unit_history
from bandit.settings import Settings
from sims.aa import LEAST_UNITS, AaMetric, AaReport, check_metric, in_words, skipped
from sims.scenarios.base import Figure

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("aa")
@click.argument("key", metavar="SURFACE|EXPERIMENT")
@click.option("--since", metavar="TIME", help="Only units that came from then on: 2026-11-01, say.")
@click.option("--metric", "metrics", multiple=True, help="Keys; those of its experiments if none.")
@click.option("--splits", type=click.IntRange(3, 100_000), default=200, show_default=True)
@click.option(
    "--looks",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="How often each split is looked at, equally spaced over its units.",
)
@click.option("--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--out", type=FOLDER, default=Path("artifacts/simulate"), show_default=True)
def command(
    key: str,
    since: str | None,
    metrics: tuple[str, ...],
    splits: int,
    looks: int,
    alpha: float,
    seed: int,
    out: Path,
) -> None:
    """Split the units that the log holds at random, many times, and count false alarms.

    There is nothing to find between halves of the same units, so at most alpha of the splits may be
    called an effect: at one look, and by the intervals for any time at all looks together. Reads
    the log and writes nothing there. Ends with 1 if a metric has more. Writes aa.json into --out;
    equal options over an equal log give identical numbers.
    """
    # Where the output is not a terminal, rich would fold the table at 80 columns.
    console = Console(width=None if sys.stdout.isatty() else 140)
    try:
        since_ms = 0 if since is None else moment_of(since)
        store = open_store(Settings.from_environ(os.environ), readonly=True)
        try:
            history = unit_history(store, key, metrics, at_ms=now_ms(), since_ms=since_ms)
        finally:
            store.close()
    except BanditError as exc:
        raise click.ClickException(str(exc)) from exc
    report = AaReport(
        of=key,
        since_ms=since_ms,
        as_of_ms=history.closed_ms,
        alpha=alpha,
        splits=splits,
        looks=looks,
        seed=seed,
        metrics=tuple(
            check(console, history, place, splits, looks, alpha, seed)
            for place in range(len(history.metrics))
        ),
    )
    console.print(table_of(report, len(history.table.unit_ids)))
    out.mkdir(parents=True, exist_ok=True)
    (out / "aa.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    console.print(f"{out / 'aa.json'}", highlight=False)
    sys.exit(1 if report.alarms else 0)


def moment_of(text: str) -> int:
    """`--since` as milliseconds.

    Raises:
        BadParameter: It is no time.
    """
    try:
        return moment_ms(text)
    except RecordError as exc:
        raise click.BadParameter(str(exc).removeprefix("at is "), param_hint="--since") from exc


def check(
    console: Console,
    history: UnitHistory,
    place: int,
    splits: int,
    looks: int,
    alpha: float,
    seed: int,
) -> AaMetric:
    """Check one metric under a progress bar."""
    metric = history.metrics[place]
    if metric.type == "quantile":
        return skipped(metric.key, len(history.table.unit_ids), "quantile")
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(metric.key, total=splits)
        return check_metric(
            history.table.of(metric),
            splits=splits,
            looks=looks,
            seed=seed,
            alpha=alpha,
            watch=lambda: progress.advance(task),
        )


def table_of(report: AaReport, units_n: int) -> Table:
    """One line per metric."""
    since = datetime.fromtimestamp(report.since_ms // 1000, UTC)
    title = (
        f"{report.of}: {units_n:,} units"
        + (f" since {since:%Y-%m-%d %H:%M} UTC" if report.since_ms else "")
        + f" split {report.splits:,} times; false alarms at nominal {report.alpha:.1%}"
    )
    table = Table(
        Column("metric"),
        Column("units", justify="right"),
        Column("one look", justify="right"),
        Column(f"{report.looks} looks, any time", justify="right"),
        Column("one-look test at each", justify="right"),
        Column("uniform p", justify="right"),
        Column("verdict", overflow="fold"),
        title=title,
        title_justify="left",
        box=None,
        header_style="bold",
    )
    for found in report.metrics:
        table.add_row(
            found.metric,
            f"{found.units_n:,}",
            shown(found.one_look),
            shown(found.peeking),
            shown(found.peeking_fixed),
            "" if found.uniformity_p is None else f"{found.uniformity_p:.2g}",
            in_words(found, report.alpha),
        )
    if units_n < LEAST_UNITS:
        table.caption = f"A check needs {LEAST_UNITS} units."
    return table


def shown(figure: Figure | None) -> str:
    """A share with its interval."""
    if figure is None:
        return ""
    return f"{figure.value:.1%} [{figure.low:.1%}, {figure.high:.1%}]"
