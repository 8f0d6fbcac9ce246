"""`bandit simulate scenarios`: claims, the studies that test them, and whether they hold."""

import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Column, Table

from sims.scenarios import SCENARIOS
from sims.scenarios.base import Figure, Finding

FOLDER = click.Path(file_okay=False, path_type=Path)
NAMES = [scenario.name for scenario in SCENARIOS]
VERDICTS = {"yes": "holds", "no": "FAILS", "unsure": "is not refuted, and not shown either"}


@click.command("scenarios")
@click.argument("names", nargs=-1, type=click.Choice(NAMES), metavar="[NAME]...")
@click.option("--repetitions", type=click.IntRange(min=2), help="Of each; as many as it needs.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes; the numbers do not depend on how many.",
)
@click.option("--list", "listed", is_flag=True, help="Print names and claims, and run nothing.")
@click.option("--out", type=FOLDER, default=Path("artifacts/simulate"), show_default=True)
def command(
    names: tuple[str, ...],
    repetitions: int | None,
    seed: int,
    workers: int,
    listed: bool,
    out: Path,
) -> None:
    """Test the claims NAME… (all of them, if none is named) by simulation.

    A figure holds if its whole Monte-Carlo interval meets the target, fails if none of it does,
    and is unsure between: more --repetitions tell. Ends with 1 if a claim fails. Writes
    scenarios.json into --out; equal options give identical numbers on any number of workers.
    """
    # Where the output is not a terminal, rich would fold the tables at 80 columns.
    console = Console(width=None if sys.stdout.isatty() else 140)
    wanted = [one for one in SCENARIOS if not names or one.name in names]
    if listed:
        for one in wanted:
            console.print(f"[bold]{one.name}[/bold] {one.claim} ({one.target})", highlight=False)
        return
    findings = []
    with executor_of(workers) as executor:
        for one in wanted:
            findings.append(one.run(seed, repetitions, executor))
            show(console, findings[-1])
    out.mkdir(parents=True, exist_ok=True)
    (out / "scenarios.json").write_bytes(msgspec.json.format(msgspec.json.encode(findings)))
    console.print(f"{out / 'scenarios.json'}", highlight=False)
    sys.exit(1 if any(finding.holds == "no" for finding in findings) else 0)


@contextmanager
def executor_of(workers: int) -> Iterator[Executor | None]:
    """Processes to run blocks in; None for this one."""
    if workers == 1:
        yield None
        return
    # Spawned, not forked: a fork of a process with threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as executor:
        yield executor


def show(console: Console, finding: Finding) -> None:
    """One claim: what was claimed, and every figure beside its target."""
    console.print(f"\n[bold]{finding.scenario}[/bold] {VERDICTS[finding.holds]}", highlight=False)
    console.print(
        f"{finding.claim} Target: {finding.target}. "
        f"{finding.repetitions:,} repetitions, seed {finding.seed}. {counted(finding)}",
        highlight=False,
    )
    console.print(figure_table(finding.figures))


def figure_table(figures: Sequence[Figure]) -> Table:
    """Each figure beside its target."""
    table = Table(
        Column("figure", overflow="fold"),
        Column("got", justify="right"),
        Column("95 % Monte Carlo", justify="right"),
        Column("target", justify="right"),
        "holds",
        box=None,
        header_style="bold",
    )
    for figure in figures:
        table.add_row(
            figure.name,
            f"{figure.value:.4g}",
            "exact" if figure.low == figure.high else f"{figure.low:.4g} to {figure.high:.4g}",
            target_of(figure),
            figure.holds or "(beside it)",
        )
    return table


def counted(finding: Finding) -> str:
    """How many of the figures with a target hold, are unsure, and fail.

    >>> from sims.scenarios.base import Scenario, exact, rate
    >>> figures = exact("power", 0.8, at_least=0.78), rate("covers", 95, 100, at_least=0.93)
    >>> counted(Scenario("name", "claim", "target", 1, 1, lambda *_: figures).run())
    'Of 2 figures with a target 1 holds, 1 is unsure, 0 fail.'
    """
    each = [figure.holds for figure in finding.figures if figure.holds]
    yes, unsure, no = (each.count(one) for one in ("yes", "unsure", "no"))
    return (
        f"Of {len(each)} figures with a target {yes} hold{'s' * (yes == 1)}, "
        f"{unsure} {'is' if unsure == 1 else 'are'} unsure, {no} fail{'s' * (no == 1)}."
    )


def target_of(figure: Figure) -> str:
    """The target in signs.

    >>> from sims.scenarios.base import exact
    >>> target_of(exact("power", 0.8, at_least=0.78)), target_of(exact("beside", 1.0))
    ('≥ 0.78', '')
    """
    least = None if figure.at_least is None else f"{figure.at_least:.4g}"
    most = None if figure.at_most is None else f"{figure.at_most:.4g}"
    if least is not None and most is not None:
        return f"{least} to {most}"
    return f"≥ {least}" if least is not None else f"≤ {most}" if most is not None else ""
