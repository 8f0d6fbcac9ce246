"""`bandit promote`: ask the gate, begin a ramp, move ramps on, take a challenger back."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click
import msgspec
from rich.console import Console

from bandit.cli.report_sections import Section, moment, print_sections
from bandit.cli.wiring import now_ms, open_migrated
from bandit.errors import BanditError
from bandit.service.promoting import PromotionService
from bandit.service.promoting_records import Gate, Promotion, PromotionPlan
from bandit.service.reporting_words import DASH, duration, number, percent
from bandit.settings import Settings

AUTHOR = "cli"
REFUSED = 3
"""Exit code of a refusal, so that a script can tell it from a failure."""


def _ramp(_: click.Context, __: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} must be numbers with commas: 1,10,50,100") from None


@click.command()
@click.argument("surface", required=False)
@click.argument("challenger", required=False)
@click.option("--dry-run", is_flag=True, help="Only ask the gate: nothing is kept or done.")
@click.option(
    "--ramp",
    default="1,10,50,100",
    show_default=True,
    callback=_ramp,
    help="Percent of units at each stage; at most 50 until 100.",
)
@click.option(
    "--stage-hours",
    type=click.FloatRange(min=0),
    default=24.0,
    show_default=True,
    help="How long each stage lasts at least.",
)
@click.option(
    "--stage-decisions",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="How many decisions of each variant must count before a stage ends.",
)
@click.option("--alpha", default=0.05, show_default=True, help="1 − the level of the intervals.")
@click.option("--since-ms", type=click.IntRange(min=0), help="Only decisions from then on.")
@click.option(
    "--segment",
    "segments",
    multiple=True,
    help="Member of the context whose groups may not be worse; else those with few values.",
)
@click.option("--metric", "metrics", multiple=True, help="Of the ramp, the primary one first.")
@click.option("--guardrail", "guardrails", multiple=True, help="Metric that must hold.")
@click.option("--evaluation", help="Id of a saved evaluation, in place of the shadow's log.")
@click.option("--author", default=AUTHOR, show_default=True, help="For the history.")
@click.option("--advance", is_flag=True, help="Move ramps that are under way (of SURFACE, if any).")
@click.option("--revert", type=click.IntRange(min=1), metavar="ID", help="Take it back.")
@click.option("--reason", default="", help="Of a revert, for the history.")
@click.option("--list", "listed", is_flag=True, help="Show the promotions of SURFACE.")
@click.option("--show", type=click.IntRange(min=1), metavar="ID", help="Show one with its steps.")
@click.option("--json", "as_json", is_flag=True, help="The payload, as the API gives it.")
def command(surface: str | None, challenger: str | None, **given: object) -> None:
    """Let CHALLENGER replace the policy of SURFACE, if the log proves that it is better.

    Exits with 3 if the gate refuses.
    """
    asked = _asked(surface, challenger, given)
    try:
        with _service() as service:
            found = asked(service)
    except BanditError as exc:
        click.echo(f"bandit promote: {exc}", err=True)
        sys.exit(1)
    if given["as_json"]:
        click.echo(msgspec.json.format(msgspec.json.encode(found)))
    else:
        _print(found)
    if isinstance(found, Promotion) and found.state == "refused" and challenger is not None:
        sys.exit(REFUSED)


def _asked(
    surface: str | None, challenger: str | None, given: dict[str, object]
) -> Callable[[PromotionService], Promotion | list[Promotion]]:
    """What is asked of the service; a usage error if that makes no sense."""
    chosen = [name for name in ("advance", "revert", "listed", "show") if given[name]]
    if len(chosen) > 1:
        raise click.UsageError("name one of --advance, --revert, --list and --show")
    if chosen == ["advance"]:
        return lambda service: service.advance(surface or "")
    if surface is None:
        raise click.UsageError("name a SURFACE")
    if chosen == ["listed"]:
        return lambda service: service.all(surface)
    if chosen == ["show"]:
        return lambda service: service.get(surface, int(str(given["show"])))
    author = str(given["author"])
    if chosen == ["revert"]:
        number, reason = int(str(given["revert"])), str(given["reason"])
        return lambda service: service.revert(surface, number, reason, author=author)
    if challenger is None:
        raise click.UsageError("name a CHALLENGER")
    try:
        plan = msgspec.convert(
            {
                "ramp": given["ramp"],
                "stage_s": 3600.0 * float(str(given["stage_hours"])),
                "stage_n": given["stage_decisions"],
                "alpha": given["alpha"],
                "since_ms": given["since_ms"],
                "segments": given["segments"] or None,
                "metrics": given["metrics"],
                "guardrails": given["guardrails"],
                "evaluation": given["evaluation"],
            },
            PromotionPlan,
        )
    except msgspec.ValidationError as exc:
        raise click.UsageError(str(exc)) from exc
    if given["dry_run"]:
        return lambda service: service.ask(surface, challenger, plan)
    return lambda service: service.start(surface, challenger, plan, author=author)


@contextmanager
def _service() -> Iterator[PromotionService]:
    store = open_migrated(Settings.from_environ(os.environ))
    try:
        yield PromotionService(store, now_ms=now_ms, new_id=lambda: os.urandom(16).hex())
    finally:
        store.close()


def _print(found: Promotion | Sequence[Promotion]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 140)
    if isinstance(found, Promotion):
        print_sections(console, sections_of(found))
        return
    rows = [
        (
            f"{one.surface} {one.id}",
            one.state,
            one.challenger,
            one.live,
            percent(one.share),
            moment(one.at_ms),
            one.reason,
        )
        for one in found
    ]
    header = ("promotion", "state", "challenger", "instead of", "share", "since", "why")
    print_sections(console, [Section("Promotions", [] if rows else ["None."], header, rows)])


def sections_of(found: Promotion) -> list[Section]:
    """A promotion in the order in which it should be read."""
    title = f"{found.challenger} in place of {found.live} on {found.surface}: {found.state}"
    lines = [found.reason]
    if found.id is not None:
        lines.append(f"Promotion {found.id}, begun by {found.author}.")
    if found.state == "ramping":
        lines.append(
            f"It serves {percent(found.share)} of units by experiment {found.experiment}; stages: "
            f"{', '.join(f'{share:g}' for share in found.plan.ramp)} %, each at least "
            f"{duration(1000 * found.plan.stage_s)}."
        )
    if found.look is not None:
        lines.append(f"Now: {found.look.reason}")
    sections = [Section(title, lines)]
    if found.gate is not None:
        sections += _gate(found.gate)
    if found.steps:
        sections.append(
            Section(
                "Steps",
                header=("", "state", "share", "at", "by", "why"),
                rows=[
                    (
                        str(step.seq),
                        step.state,
                        percent(step.share),
                        moment(step.at_ms),
                        step.author,
                        step.reason,
                    )
                    for step in found.steps
                ],
            )
        )
    return sections


def _gate(gate: Gate) -> list[Section]:
    marks = {True: "passed", False: "REFUSED"}
    checks = Section(
        "The gate",
        header=("check", "", "what was found"),
        rows=[(check.code, marks[check.passed], check.text) for check in gate.checks],
    )
    if not gate.segments:
        return [checks]
    rows = [
        (
            f"{one.by} = {one.value or DASH}",
            f"{one.n:,}",
            f"[{number(one.low, '+')}, {number(one.high, '+')}]",
            "worse" if one.is_worse else "",
        )
        for one in gate.segments[:20]
    ]
    header = ("segment", "decisions", "challenger − live, at any look", "")
    return [checks, Section("Segments, the worst first", header=header, rows=rows)]
