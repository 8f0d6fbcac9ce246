"""`bandit plan`: how many units and days an experiment needs."""

import os
import sys
from typing import Any, get_args

import click
import msgspec
from rich.console import Console

from bandit.cli.report_sections import Section, as_markdown, print_sections
from bandit.cli.wiring import now_ms, open_store
from bandit.errors import BanditError
from bandit.service.planning import Hypothesis, Planning, PlanQuestion
from bandit.service.planning_words import (
    answer_in_words,
    baseline_row,
    design_row,
    traffic_in_words,
)
from bandit.service.reporting import ReportService
from bandit.service.reporting_planning import typed_planning
from bandit.service.reporting_words import number, percent
from bandit.settings import Settings
from bandit.specs import MetricType


@click.command()
@click.argument("surface", required=False)
@click.option("--metric", metavar="KEY", help="To plan for; the first that is known if left out.")
@click.option("--effect", type=float, help="One cares about, as a share of the mean: 0.05.")
@click.option("--absolute", is_flag=True, help="The effect is in the metric's own unit.")
@click.option("--shows", type=click.Choice(get_args(Hypothesis)), default="different")
@click.option("--power", type=float, default=0.8, show_default=True)
@click.option("--alpha", type=float, default=0.05, show_default=True)
@click.option("--treatments", type=int, default=1, show_default=True, help="Beside the control.")
@click.option("--share", type=float, default=1.0, show_default=True, help="Of the traffic.")
@click.option("--units-per-day", type=float, help="New ones; as the surface has them if left out.")
@click.option("--mean", type=float, help="Of the metric, in place of what is known.")
@click.option("--sd", type=float, help="Its standard deviation per unit.")
@click.option("--type", "type", type=click.Choice(get_args(MetricType)), default="mean")
@click.option("--covariates/--no-covariates", default=True, help="Count on the metric's.")
@click.option("--json", "form", flag_value="json", help="The payload, as the API gives it.")
@click.option("--md", "form", flag_value="md", help="Markdown, to paste into a document.")
def command(
    surface: str | None, metric: str | None, form: str | None, absolute: bool, **asked: Any
) -> None:
    """Print how many units and days an experiment on SURFACE needs, and what it can find.

    By numbers that are kept of its past experiments; without SURFACE by --mean, --sd and
    --units-per-day alone.
    """
    if surface is None and asked["mean"] is None:
        raise click.UsageError("name a SURFACE, or give a --mean")
    if surface is None and metric is not None:
        raise click.UsageError("--metric is of a SURFACE")
    try:
        question = PlanQuestion(effect_scale="absolute" if absolute else "relative", **asked)
        found = _planned(surface, metric, question)
    except BanditError as exc:
        click.echo(f"bandit plan: {exc}", err=True)
        sys.exit(1)
    if form == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found)))
    elif form == "md":
        click.echo(as_markdown(sections(found)), nl=False)
    else:
        print_sections(Console(width=None if sys.stdout.isatty() else 140), sections(found))


def _planned(surface: str | None, metric: str | None, question: PlanQuestion) -> Planning:
    if surface is None:
        return typed_planning(question)
    settings = Settings.from_environ(os.environ)
    store = open_store(settings, readonly=True)
    try:
        return ReportService(store, now_ms).planning(surface, question, metric)
    finally:
        store.close()


def sections(found: Planning) -> list[Section]:
    """A plan in the order in which it should be read."""
    answer = [text for text in answer_in_words(found) if text]
    about = [] if found.key is None else [traffic_in_words(found)]
    told = [Section(f"Plan for {found.key or 'typed-in numbers'}", [*answer, *about])]
    if found.plan is not None and found.plan.designs:
        rows = [design_row(one) for one in found.plan.designs]
        told.append(_table("Ways of looking", rows))
    if found.plan is not None and found.plan.curve:
        points = [
            {
                "days": number(point.days),
                "units": number(point.units),
                "least effect found": number(point.effect, sign="+"),
                "relative": percent(point.relative_effect, sign="+"),
            }
            for point in found.plan.curve
        ]
        told.append(_table("What is found by when", points))
    if found.metrics:
        told.append(_table("What is known", [baseline_row(one) for one in found.metrics]))
    return told


def _table(title: str, rows: list[dict[str, str]]) -> Section:
    header = list(rows[0])
    return Section(
        title, header=header, rows=[[row.get(name, "") for name in header] for row in rows]
    )
