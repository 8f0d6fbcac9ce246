"""`bandit simulate`: run policies in a world, in process."""

import os
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bandit.cli.simulate_aa import command as aa
from bandit.cli.simulate_fraud import command as fraud
from bandit.cli.simulate_obd import command as obd
from bandit.cli.simulate_scenarios import command as scenarios
from bandit.cli.simulate_service import command as service
from bandit.cli.simulate_slots import command as slots
from bandit.errors import BanditError
from bandit.settings import Settings
from bandit.specs import LEARNING_TYPES, PolicySpec
from sims.datasets import DataSetUnavailable
from sims.plot import plot
from sims.runner import SURFACE, Run, run
from sims.worlds import WORLDS
from sims.worlds.base import World

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group(invoke_without_command=True)
@click.option("--world", type=click.Choice(sorted(WORLDS)), default="movielens", show_default=True)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    default=("vw", "uniform"),
    show_default=True,
    help="A type of policy, with its parameters as JSON if there are any "
    "('linear {\"scale\": 0.2}'), or Vowpal Wabbit's options, in quotes; "
    "repeat it to compare policies on the same rounds.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=4000, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option(
    "--delay",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Rounds until a reward is learned from.",
)
@click.option("--floor", type=click.FloatRange(0, 1), default=0.002, show_default=True)
@click.option("--out", type=FOLDER, default=Path("artifacts/simulate"), show_default=True)
@click.option("--cache", type=FOLDER, help="Keeps data sets; without it, .cache in the data_dir.")
@click.pass_context
def command(
    ctx: click.Context,
    world: str,
    policies: tuple[str, ...],
    rounds: int,
    seed: int,
    delay: int,
    floor: float,
    out: Path,
    cache: Path | None,
) -> None:
    """Run policies in a world and compare their reward and regret.

    Writes simulation.json and simulation.png into --out; one seed gives identical numbers.
    """
    if ctx.invoked_subcommand is not None:
        return
    console = Console()
    try:
        cache = cache or Settings.from_environ(os.environ).data_dir / ".cache"
        truth = WORLDS[world](cache)
        console.print(truth.about, style="dim")
        specs = [spec_of(text, number, floor) for number, text in enumerate(policies, 1)]
        runs = [simulate(console, truth, spec, rounds, seed, delay) for spec in specs]
    except DataSetUnavailable as exc:
        raise click.ClickException(f"{exc}; --world synthetic needs no data") from exc
    except BanditError as exc:
        raise click.ClickException(str(exc)) from exc
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


def spec_of(text: str, number: int, floor: float) -> PolicySpec:
    """Read a `--policy`.

    >>> spec_of("uniform", 1, 0.01).key
    'uniform'
    >>> spec_of("--cb_explore_adf --squarecb", 2, 0.01).arguments
    '--cb_explore_adf --squarecb'
    >>> spec_of('thompson {"prior_strength": 4}', 3, 0.01).parameters
    {'prior_strength': 4}

    Raises:
        ClickException: What follows a type is not a JSON object.
    """
    if text == "uniform":
        return PolicySpec(key=text, type="uniform", floor=floor)
    if text == "fixed":
        return PolicySpec(key=text, type="fixed")
    kind, _, parameters = text.partition(" ")
    if kind in LEARNING_TYPES - {"vw"}:
        try:
            given = msgspec.json.decode(parameters or "{}", type=dict[str, object])
        except msgspec.MsgspecError as exc:
            raise click.ClickException(f"parameters of {kind}: {exc}") from exc
        key = f"{kind}-{number}" if given else kind
        fields = {"key": key, "type": kind, "parameters": given, "floor": floor, "surface": SURFACE}
        return msgspec.convert(fields, PolicySpec)
    arguments = text.removeprefix("vw").strip()
    key = f"vw-{number}" if arguments else "vw"
    return PolicySpec(key=key, type="vw", arguments=arguments, floor=floor, surface=SURFACE)


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
