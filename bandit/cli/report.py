"""`bandit report`: print an experiment's or a surface's report."""

import os
import sys

import click
import msgspec
from rich.console import Console

from bandit.cli.report_sections import as_markdown, print_sections, sections_of
from bandit.cli.wiring import now_ms, open_store
from bandit.errors import BanditError
from bandit.service.reporting import ExperimentReport, ReportService, SurfaceReport
from bandit.service.reporting_tables import as_csv, effect_rows, group_rows
from bandit.settings import Settings


@click.command()
@click.argument("experiment", required=False)
@click.option("--surface", metavar="KEY", help="Report a surface instead of an experiment.")
@click.option(
    "--surface-version",
    type=click.IntRange(min=1),
    help="Judge rewards by the rules of that version of the surface, not of the newest.",
)
@click.option("--json", "form", flag_value="json", help="The payload, as the API gives it.")
@click.option("--csv", "form", flag_value="csv", help="Effects (of a surface: policies) as CSV.")
@click.option("--md", "form", flag_value="md", help="Markdown, to paste into a document.")
@click.option("--alpha", default=0.05, show_default=True, help="1 − the level of the intervals.")
def command(
    experiment: str | None,
    surface: str | None,
    surface_version: int | None,
    form: str | None,
    alpha: float,
) -> None:
    """Print the report of EXPERIMENT, or of a surface: effects, values, counts, health."""
    if (experiment is None) == (surface is None):
        raise click.UsageError("name an EXPERIMENT or a --surface, and not both")
    try:
        settings = Settings.from_environ(os.environ)
        store = open_store(settings, readonly=True)
        try:
            reports = ReportService(store, now_ms, silent_after_ms=settings.silent_host_ms)
            report = (
                reports.surface(surface, alpha, surface_version=surface_version)
                if surface is not None
                else reports.experiment(str(experiment), alpha, surface_version=surface_version)
            )
        finally:
            store.close()
    except BanditError as exc:
        click.echo(f"bandit report: {exc}", err=True)
        sys.exit(1)
    _print(report, form)


def _print(report: ExperimentReport | SurfaceReport, form: str | None) -> None:
    if form == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(report)))
    elif form == "csv":
        rows = (
            group_rows(report.policies)
            if isinstance(report, SurfaceReport)
            else effect_rows(report.effects)
        )
        click.echo(as_csv(rows), nl=False)
    elif form == "md":
        click.echo(as_markdown(sections_of(report)), nl=False)
    else:
        print_sections(Console(width=None if sys.stdout.isatty() else 140), sections_of(report))
