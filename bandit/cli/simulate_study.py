"""`bandit simulate` with several worlds or seeds: in parallel, saved, resumed if it was ended."""

import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

import sims.simulating
from bandit.cli.clusters import cluster
from bandit.service.simulations import folder_of
from bandit.specs import PolicySpec
from sims.learners import Contender
from sims.report import header_of, rows_of
from sims.results import Result
from sims.worlds.base import World

INTERRUPTED = 130


class Study(NamedTuple):
    """What was asked for.

    Attributes:
        out: Gets a copy of what is saved; None: nothing does.
    """

    worlds: list[World]
    policies: list[PolicySpec | Contender]
    rounds_n: int
    seeds: range
    delay_n: int
    join_n: int | None
    name: str
    reference: str | None
    workers: int | None
    dask: str | None
    resume: bool
    data_dir: Path
    out: Path | None


def study(console: Console, asked: Study) -> None:
    """Run it, save it, print it.

    Raises:
        BanditError: It can not be run.
        WorkerDied: A worker was ended from outside.
    """
    try:
        with watched() as watch:
            result = _run(asked, watch)
    except KeyboardInterrupt:
        click.echo("bandit simulate: stopped; the same with --resume goes on", err=True)
        sys.exit(INTERRUPTED)
    for world in result.run.worlds:
        console.print(table_of(result, world.name))
    folder = folder_of(asked.data_dir, result.run.id)
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if path.is_file():
                shutil.copy(path, asked.out / path.name)
        folder = asked.out
    for name in ("run.json", *result.run.files):
        console.print(f"{folder / name}", highlight=False, soft_wrap=True)


def _run(asked: Study, watch: Callable[[int, int], None]) -> Result:
    with _place(asked) as (executor, workers):
        return sims.simulating.run(
            asked.worlds,
            asked.policies,
            asked.rounds_n,
            asked.seeds,
            delay_n=asked.delay_n,
            join_n=asked.join_n,
            workers=workers,
            executor=executor,
            data_dir=asked.data_dir,
            name=asked.name,
            resume=asked.resume,
            reference=asked.reference,
            watch=watch,
        )


@contextmanager
def _place(asked: Study) -> Iterator[tuple[Executor | None, int | None]]:
    """A cluster and how many cores it has; None: processes of this host."""
    if asked.dask is None:
        yield None, asked.workers
        return
    with cluster(asked.dask) as client:
        yield client.get_executor(), max(sum(client.ncores().values()), 1)


@contextmanager
def watched() -> Iterator[Callable[[int, int], None]]:
    """A progress bar with the time that is left, on standard error."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task("rounds", total=None)
        yield lambda done_n, rounds_n: bar.update(task, completed=done_n, total=rounds_n)


def table_of(result: Result, world: str) -> Table:
    """The final table of a world."""
    run = result.run
    title = f"{world}: {run.options.rounds_n:,} rounds, {len(run.options.seeds)} seeds"
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for number, name in enumerate(header_of(run)):
        table.add_column(name, justify="left" if number == 0 else "right")
    for row in rows_of(run, world):
        table.add_row(*row)
    return table
