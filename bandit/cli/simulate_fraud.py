"""`bandit simulate fraud`: how much hostile traffic can take for one action, and what holds it."""

import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from sims.fraud import Found, found_of, run_fraud, scenarios

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("fraud")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--rounds", type=click.IntRange(min=2), default=10_000, show_default=True)
@click.option("--seeds", type=click.IntRange(min=2), default=5, show_default=True)
@click.option("--share", type=click.FloatRange(0, 0.5), default=0.02, show_default=True)
@click.option("--out", type=FOLDER, default=Path("artifacts/simulate"), show_default=True)
def command(seed: int, rounds: int, seeds: int, share: float, out: Path) -> None:
    """Attack a surface by rewards, with and without tokens and caps.

    Ends with 1 if the attacked action gets more than 5 points above the baseline on a signed
    surface. Writes fraud.json into --out; equal options give identical numbers.
    """
    # Where the output is not a terminal, rich would fold the table at 80 columns.
    console = Console(width=None if sys.stdout.isatty() else 120)
    outcomes = [
        [run_fraud(scenario, rounds_n=rounds, seed=seed + number) for number in range(seeds)]
        for scenario in scenarios(share)
    ]
    found = [found_of(each, outcomes[0]) for each in outcomes]
    console.print(table_of(found, rounds, seeds, share))
    out.mkdir(parents=True, exist_ok=True)
    (out / "fraud.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    console.print(f"{out / 'fraud.json'}", highlight=False)
    sys.exit(0 if all(one.held for one in found if one.scenario.signed) else 1)


def table_of(found: list[Found], rounds: int, seeds: int, share: float) -> Table:
    """One line per scenario."""
    title = f"{share:.1%} of {rounds:,} requests are hostile, {seeds} seeds; last half"
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for name in ("attack", "signed", "cap", "units"):
        table.add_column(name)
    for name in ("attacked action", "points", "95 %", "reward", "accepted", "refused"):
        table.add_column(name, justify="right")
    for one in found:
        of = one.scenario
        asks = of.attack.startswith("asks")
        table.add_row(
            of.attack,
            "yes" if of.signed else "no",
            str(of.cap or "-"),
            str(of.attackers) if asks else "-",
            f"{one.attacked:.2%}",
            f"{one.points:+.2f}",
            f"{one.points_low:+.2f} to {one.points_high:+.2f}",
            f"{one.reward:.4f}",
            f"{one.accepted:,}",
            f"{one.refused:,}",
        )
    return table
