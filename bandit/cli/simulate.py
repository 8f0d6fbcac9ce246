"""`bandit simulate`: run policies in worlds, in process."""

import os
import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bandit.cli.simulate_aa import command as aa
from bandit.cli.simulate_capacity import command as capacity
from bandit.cli.simulate_fraud import command as fraud
from bandit.cli.simulate_obd import command as obd
from bandit.cli.simulate_scenarios import command as scenarios
from bandit.cli.simulate_service import command as service
from bandit.cli.simulate_slots import command as slots
from bandit.cli.simulate_study import Study, study
from bandit.errors import BanditError
from bandit.settings import Settings
from bandit.specs import PolicySpec
from sims.datasets import DataSetUnavailable
from sims.plot import plot
from sims.policies import contender_named, policy_of
from sims.runner import Run, run
from sims.running.runs import WorkerDied
from sims.worlds import MODIFIERS, WORLDS, open_world
from sims.worlds.base import World

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group(invoke_without_command=True)
@click.option(
    "--world",
    "worlds",
    multiple=True,
    default=("movielens",),
    show_default=True,
    help=f"One of {', '.join(sorted(WORLDS))}, and laws behind it, as in 'linear+drift:5000': "
    f"{', '.join(sorted(MODIFIERS))}. Repeat it for several.",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    default=("vw", "uniform"),
    show_default=True,
    help="A type of policy, with its parameters as JSON if there are any "
    "('linear {\"scale\": 0.2}'), or Vowpal Wabbit's options, in quotes; with --seeds also "
    "linucb, lints and epsilon; repeat it to compare policies on the same rounds.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=4000, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="The first.")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    help="How many: the run is saved, with intervals over seeds.  [default: one, not saved]",
)
@click.option(
    "--delay",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Rounds until a reward is learned from.",
)
@click.option(
    "--join",
    type=click.IntRange(min=1),
    help="Rounds that a reward may take to count, as a join window does; for worlds with late, "
    "lost or double rewards.",
)
@click.option("--floor", type=click.FloatRange(0, 1), default=0.002, show_default=True)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes; no number depends on how many."
)
@click.option("--dask", metavar="ADDRESS", help="Run on the workers of this Dask scheduler.")
@click.option("--resume", is_flag=True, help="Go on with an equal run that was ended.")
@click.option("--name", default="", help="What a saved run is called.")
@click.option("--reference", help="The policy that the others are shown against; the first.")
@click.option("--out", type=FOLDER, help="Gets the files.  [default: artifacts/simulate]")
@click.option("--cache", type=FOLDER, help="Keeps data sets; without it, .cache in the data_dir.")
@click.pass_context
def command(
    ctx: click.Context,
    worlds: tuple[str, ...],
    policies: tuple[str, ...],
    rounds: int,
    seed: int,
    seeds: int | None,
    delay: int,
    join: int | None,
    floor: float,
    workers: int | None,
    dask: str | None,
    resume: bool,
    name: str,
    reference: str | None,
    out: Path | None,
    cache: Path | None,
) -> None:
    """Run policies in worlds and compare their reward and regret.

    In one world with one seed: writes simulation.json and simulation.png into --out. With several
    worlds, or with --seeds: runs in parallel and saves tables, curves and a page in the data
    directory, for the dashboard. Equal options give identical numbers.
    """
    if ctx.invoked_subcommand is not None:
        return
    console = Console(width=None if sys.stdout.isatty() else 140)
    try:
        data_dir = Settings.from_environ(os.environ).data_dir
        truths = [open_world(text, cache or data_dir / ".cache") for text in worlds]
        for about in dict.fromkeys(truth.about for truth in truths):
            console.print(about, style="dim")
        if len(truths) > 1 or seeds is not None or resume or dask or workers or join or name:
            asked = Study(
                worlds=truths,
                policies=[contender_named(text, n, floor) for n, text in enumerate(policies, 1)],
                rounds_n=rounds,
                seeds=range(seed, seed + (seeds or 1)),
                delay_n=delay,
                join_n=join,
                name=name,
                reference=reference,
                workers=workers,
                dask=dask,
                resume=resume,
                data_dir=data_dir,
                out=out,
            )
            study(console, asked)
            return
        specs = [policy_of(text, number, floor) for number, text in enumerate(policies, 1)]
        runs = [simulate(console, truths[0], spec, rounds, seed, delay) for spec in specs]
    except DataSetUnavailable as exc:
        raise click.ClickException(f"{exc}; --world synthetic needs no data") from exc
    except (BanditError, WorkerDied) as exc:
        raise click.ClickException(str(exc)) from exc
    write(console, runs, out or Path("artifacts/simulate"))


def write(console: Console, runs: list[Run], out: Path) -> None:
    """Write and print runs in one world with one seed."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "simulation.json").write_bytes(msgspec.json.format(msgspec.json.encode(runs)))
    plot(runs, out / "simulation.png")
    console.print(table_of(runs))
    console.print(f"{out / 'simulation.json'}\n{out / 'simulation.png'}", highlight=False)


command.add_command(slots)
command.add_command(fraud)
command.add_command(obd)
command.add_command(scenarios)
command.add_command(aa)
command.add_command(service)
command.add_command(capacity)


def simulate(
    console: Console, world: World, spec: PolicySpec, rounds: int, seed: int, delay: int
) -> Run:
    """Run one policy under a progress bar with the reward so far."""
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("mean reward {task.fields[mean]:.3f}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(spec.key, total=rounds, mean=0.0)
        return run(
            world,
            spec,
            rounds_n=rounds,
            seed=seed,
            delay_n=delay,
            watch=lambda done, reward: progress.update(task, completed=done, mean=reward / done),
        )


def table_of(runs: list[Run]) -> Table:
    """One line per run."""
    table = Table(box=None, header_style="bold")
    table.add_column("policy")
    table.add_column("arguments", overflow="fold")
    for name in ("mean reward", "last quarter", "regret per round"):
        table.add_column(name, justify="right")
    for run_ in runs:
        table.add_row(
            run_.policy.key,
            run_.policy.arguments or "default",
            f"{run_.mean_reward:.4f}",
            f"{run_.mean_reward_late:.4f}",
            f"{run_.regret / run_.rounds_n:.4f}",
        )
    return table
