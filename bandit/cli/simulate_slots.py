"""`bandit simulate slots`: which slot model earns more where, and is our log enough to judge by."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from bandit.records import Record
from bandit.specs import PolicySpec
from sims.slots import (
    MODELS,
    UNIFORM,
    Comparison,
    Unbiased,
    compare,
    run_slots,
    small_worlds,
    spec_of,
    unbiasedness,
)
from sims.worlds.slots import slot_worlds

FOLDER = click.Path(file_okay=False, path_type=Path)


class SlotReport(Record, frozen=True, kw_only=True):
    """Everything the command found."""

    seed: int
    comparisons: list[Comparison]
    unbiased: list[Unbiased]


@click.command("slots")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--rounds", type=click.IntRange(min=2), default=4000, show_default=True)
@click.option("--seeds", type=click.IntRange(min=2), default=10, show_default=True)
@click.option(
    "--runs",
    type=click.IntRange(min=2),
    default=200,
    show_default=True,
    help="Logs that another policy is judged by.",
)
@click.option("--run-rounds", type=click.IntRange(min=2), default=300, show_default=True)
@click.option("--out", type=FOLDER, default=Path("artifacts/simulate"), show_default=True)
def command(seed: int, rounds: int, seeds: int, runs: int, run_rounds: int, out: Path) -> None:
    """Compare slot models, and judge a policy by the log of another.

    Writes slots.json into --out; equal options give identical numbers.
    """
    # Where the output is not a terminal, rich would fold the tables at 80 columns.
    console = Console(width=None if sys.stdout.isatty() else 120)
    specs = [*map(spec_of, MODELS), UNIFORM]
    comparisons = []
    for found in compared(specs, rounds, range(seed, seed + seeds)):
        console.print(comparison_table(found, rounds, seeds))
        comparisons += found
    unbiased = [
        one
        for world in small_worlds()
        for model in MODELS
        if model != "position"  # it draws as `shared` does
        for one in unbiasedness(world, model, runs_n=runs, rounds_n=run_rounds, seed=seed)
    ]
    console.print(unbiased_table(unbiased, runs, run_rounds))
    report = SlotReport(seed=seed, comparisons=comparisons, unbiased=unbiased)
    out.mkdir(parents=True, exist_ok=True)
    (out / "slots.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    console.print(f"{out / 'slots.json'}", highlight=False)


def compared(specs: list[PolicySpec], rounds: int, seeds: range) -> Iterator[list[Comparison]]:
    """World after world, every policy on the same rounds."""
    for world in slot_worlds():
        yield compare(
            [run_slots(world, spec, rounds_n=rounds, seed=seed) for spec in specs for seed in seeds]
        )


def comparison_table(found: list[Comparison], rounds: int, seeds: int) -> Table:
    """One line per policy."""
    title = f"{found[0].world}: clicks per ranking, last half of {rounds:,} rounds, {seeds} seeds"
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    table.add_column("slot model")
    for name in ("clicks", "95 %", f"more than {found[0].policy}", "95 %", "of the best"):
        table.add_column(name, justify="right")
    for one in found:
        table.add_row(
            one.policy,
            f"{one.reward:.4f}",
            f"{one.reward_low:.4f} to {one.reward_high:.4f}",
            f"{one.gain:+.4f}",
            f"{one.gain_low:+.4f} to {one.gain_high:+.4f}",
            f"{one.share:.1%}",
        )
    return table


def unbiased_table(found: list[Unbiased], runs: int, rounds: int) -> Table:
    """One line per estimate."""
    title = f"value of another policy from our log: {runs} logs of {rounds:,} rankings"
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for name in ("world", "slot model", "estimate"):
        table.add_column(name)
    for name in ("truth", "mean", "z"):
        table.add_column(name, justify="right")
    for one in found:
        table.add_row(
            one.world,
            one.mode,
            one.what,
            f"{one.truth:.4f}",
            f"{one.mean:.4f}",
            f"{one.z:+.2f}",
        )
    return table
