"""`bandit report`: print an experiment's or a surface's report."""

import os
import sys
from typing import Any, NamedTuple, get_args

import click
import msgspec
from rich.console import Console

from bandit.cli.report_actions import action_rows, action_sections
from bandit.cli.report_sections import Section, as_markdown, print_sections, sections_of
from bandit.cli.wiring import now_ms, open_store
from bandit.errors import BanditError
from bandit.service.reporting import ExperimentReport, ReportService, SurfaceReport
from bandit.service.reporting_actions import MOST, ActionReports, ActionsReport
from bandit.service.reporting_payloads import SequentialMode
from bandit.service.reporting_tables import Row, as_csv, effect_rows, group_rows, segment_rows
from bandit.service.reporting_times import moment_ms
from bandit.settings import Settings

Report = ExperimentReport | SurfaceReport | ActionsReport

ACTIONS_N = 20
QUERY_S = 300.0
"""How long one query may take: what is not kept is read from the log."""


@click.command()
@click.argument("experiment", required=False)
@click.option("--surface", metavar="KEY", help="Report a surface instead of an experiment.")
@click.option(
    "--actions", is_flag=True, help="Of the surface: what always showing each action would earn."
)
@click.option(
    "--limit", type=click.IntRange(1, MOST), help=f"Actions at most.  [default: {ACTIONS_N}]"
)
@click.option("--reference", metavar="ID", help="Compare with this action, not the most shown.")
@click.option("--since", metavar="TIME", help="Of actions: only decisions from then on.")
@click.option(
    "--surface-version",
    type=click.IntRange(min=1),
    help="Judge rewards by the rules of that version of the surface, not of the newest.",
)
@click.option("--at", metavar="TIME", help="As of when: 2026-11-23T10:00:00Z, 2026-11-23, or ms.")
@click.option(
    "--sequential", type=click.Choice(get_args(SequentialMode)), help="Which interval decides."
)
@click.option("--fresh", is_flag=True, help="Make the numbers from the log, whatever is kept.")
@click.option("--json", "form", flag_value="json", help="The payload, as the API gives it.")
@click.option("--csv", "form", flag_value="csv", help="Effects (of a surface: policies) as CSV.")
@click.option(
    "--segments", is_flag=True, help="With --csv: of each segment instead, and how it differs."
)
@click.option("--md", "form", flag_value="md", help="Markdown, to paste into a document.")
@click.option("--alpha", default=0.05, show_default=True, help="1 − the level of the intervals.")
def command(**given: Any) -> None:
    """Print the report of EXPERIMENT, or of a surface: effects, values, counts, health.

    The numbers are those that `bandit refresh` has kept last, and the report says of what time they
    are; where none are kept, or with --fresh, they are made from the log.
    """
    asked = _Asked(**given)
    _check(asked)
    try:
        report = _reported(asked)
    except BanditError as exc:
        click.echo(f"bandit report: {exc}", err=True)
        sys.exit(1)
    if asked.segments and isinstance(report, ExperimentReport):
        click.echo(as_csv(_segments(report)), nl=False)
    else:
        _print(report, asked.form)


class _Asked(NamedTuple):
    """The options, as given."""

    experiment: str | None
    surface: str | None
    surface_version: int | None
    form: str | None
    alpha: float
    actions: bool
    limit: int | None
    reference: str | None
    since: str | None
    at: str | None
    sequential: SequentialMode | None
    fresh: bool
    segments: bool


def _check(asked: _Asked) -> None:
    """Refuse options that do not go together."""
    if (asked.experiment is None) == (asked.surface is None):
        raise click.UsageError("name an EXPERIMENT or a --surface, and not both")
    if asked.actions and asked.surface is None:
        raise click.UsageError("--actions is of a --surface")
    for name in ("limit", "reference", "since"):
        if getattr(asked, name) is not None and not asked.actions:
            raise click.UsageError(f"--{name} is of --actions")
    if asked.sequential and asked.surface is not None:
        raise click.UsageError("--sequential is of an EXPERIMENT")
    if asked.fresh and asked.actions:
        raise click.UsageError("--actions are always made from the log, without --fresh")
    if asked.segments and (asked.form != "csv" or asked.surface is not None):
        raise click.UsageError("--segments is of an EXPERIMENT, as --csv")


def _reported(asked: _Asked) -> Report:
    """The report that is asked for, by the store of this environment."""
    at_ms = None if asked.at is None else moment_ms(asked.at)
    settings = Settings.from_environ(os.environ)
    store = open_store(settings, readonly=True, timeout_s=QUERY_S)
    try:
        if asked.surface is not None and asked.actions:
            return ActionReports(store, now_ms).actions(
                asked.surface,
                asked.alpha,
                limit=asked.limit or ACTIONS_N,
                reference=asked.reference,
                since_ms=0 if asked.since is None else moment_ms(asked.since),
                at_ms=at_ms,
                surface_version=asked.surface_version,
            )
        reports = ReportService(store, now_ms, silent_after_ms=settings.silent_host_ms)
        version = asked.surface_version
        if asked.surface is not None:
            return reports.surface(asked.surface, asked.alpha, at_ms, version, fresh=asked.fresh)
        return reports.experiment(
            str(asked.experiment),
            asked.alpha,
            at_ms,
            version,
            sequential=asked.sequential,
            fresh=asked.fresh,
        )
    finally:
        store.close()


def _segments(report: ExperimentReport) -> list[Row]:
    rows = segment_rows(report.segments)
    if not rows:
        click.echo(
            f"bandit report: {report.key!r} has no segments to compare: its definition must name "
            "members of the context under `segments`, and units must differ in them",
            err=True,
        )
        sys.exit(1)
    return rows


def _print(report: Report, form: str | None) -> None:
    if form == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(report)))
    elif form == "csv":
        click.echo(as_csv(_rows(report)), nl=False)
    elif form == "md":
        click.echo(as_markdown(_sections(report)), nl=False)
    else:
        print_sections(Console(width=None if sys.stdout.isatty() else 140), _sections(report))


def _rows(report: Report) -> list[Row]:
    if isinstance(report, ActionsReport):
        return action_rows(report.actions)
    if isinstance(report, SurfaceReport):
        return group_rows(report.policies)
    return effect_rows(report.effects)


def _sections(report: Report) -> list[Section]:
    return action_sections(report) if isinstance(report, ActionsReport) else sections_of(report)
