"""`bandit evaluate`: what policies would have earned, had they learned from a surface's log."""

import gc
import multiprocessing
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

import bandit
from bandit.cli.clusters import cluster
from bandit.cli.evaluate_sections import sections_of
from bandit.cli.export import TIME
from bandit.cli.report_sections import as_markdown, print_sections
from bandit.cli.wiring import now_ms, open_store
from bandit.errors import BadSpec, BanditError
from bandit.service.evaluating import Progress as Done
from bandit.service.evaluating import evaluate_specs
from bandit.service.evaluating_results import EvaluationRun, EvaluationSettings
from bandit.service.evaluating_search import parts_of, search
from bandit.service.evaluating_specs import read_candidates, read_search
from bandit.service.evaluating_tables import candidate_rows
from bandit.service.evaluation_artefact import EvaluationService, artefact_of
from bandit.service.evaluation_card import card_of
from bandit.service.reporting_tables import as_csv
from bandit.settings import Settings
from bandit.specs import PolicySpec
from bandit.store.client import Store

FILE = click.Path(dir_okay=False, path_type=Path)
INTERRUPTED = 130
AUTHOR = "cli"


@click.command()
@click.argument("surface")
@click.option("--policies", type=FILE, help="TOML with a table [candidates.NAME] for each.")
@click.option(
    "--search", "searched", type=FILE, help="TOML with tables [search.NAME] to choose in."
)
@click.option("--since", type=TIME, help="Only decisions made then or later (UTC).")
@click.option("--until", type=TIME, help="Only decisions made before (UTC).")
@click.option(
    "--alpha",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="1 − the level of the intervals.",
)
@click.option(
    "--mode",
    type=click.Choice(["dr", "ips", "rejection"]),
    default="dr",
    show_default=True,
    help="dr: weights and a reward model; ips: weights alone; rejection: each candidate sees only "
    "decisions that it could have made.",
)
@click.option(
    "--step",
    "step_s",
    type=click.FloatRange(min=0.001),
    default=10.0,
    show_default=True,
    help="Seconds of the log from one change of a candidate to the next, at least.",
)
@click.option("--segment", metavar="MEMBER", help="Tell gains apart by a member of the context.")
@click.option("--bound", type=click.FloatRange(min=1), help="For rejection: the greatest weight.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes."
)
@click.option("--dask", metavar="ADDRESS", help="Run on the workers of this Dask scheduler.")
@click.option("--json", "form", flag_value="json", help="All of it, as JSON.")
@click.option("--csv", "form", flag_value="csv", help="A line for each candidate, as CSV.")
@click.option("--md", "form", flag_value="md", help="Markdown, to paste into a document.")
@click.option("--plot", "picture", type=FILE, help="Also draw it into a PNG.")
@click.option("--html", "page", type=FILE, help="Also write it as a page of its own.")
@click.option("--save", is_flag=True, help="Keep it, for the API, the dashboard and the gate.")
def command(
    surface: str,
    policies: Path | None,
    searched: Path | None,
    since: datetime | None,
    until: datetime | None,
    workers: int,
    dask: str | None,
    form: str | None,
    picture: Path | None,
    page: Path | None,
    save: bool,
    **settings: object,
) -> None:
    """Say what candidates would have earned on the logged traffic of SURFACE.

    Each candidate goes through the log once: it is asked about every decision as it then was, and
    learns from it when its rewards were in, as `bandit learn` would have. --search tries
    combinations of settings on an earlier part of the log and judges the best one on the rest.
    """
    if (policies is None) == (searched is None):
        raise click.UsageError("give --policies or --search, and not both")
    how = msgspec.convert(settings, EvaluationSettings)
    _check(since, until, [path for path in (picture, page) if path is not None])
    _few_collections()
    try:
        environment = Settings.from_environ(os.environ)
        with _executor(workers, dask) as executor, _watched() as watching:
            opened = partial(open_store, environment, readonly=True)
            asked = _Asked(surface, opened, how, _ms(since) or 0, _ms(until), watching)
            asked.executor, asked.workers_n = executor, workers
            run = _run(asked, policies, searched)
        if picture is not None:
            from bandit.cli.evaluate_plot import plot  # it takes half a second to import

            plot(run, picture)
        kept = _saved(environment, run) if save else ""
        if page is not None:
            _write(page, run, kept)
    except (BanditError, OSError) as exc:
        click.echo(f"bandit evaluate: {exc}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("bandit evaluate: stopped", err=True)
        sys.exit(INTERRUPTED)
    _print(run, form)
    if kept:
        click.echo(f"saved as {kept}", err=True)


def _check(since: datetime | None, until: datetime | None, written: Sequence[Path]) -> None:
    """What would only be found out when all is done."""
    if since is not None and until is not None and since >= until:
        raise click.UsageError(f"--until is {until}, must be after --since, {since}")
    for path in written:
        if not path.absolute().parent.is_dir():
            raise click.UsageError(f"{path.parent} is no folder, must be one to write {path.name}")


def _write(page: Path, run: EvaluationRun, evaluation_id: str) -> None:
    """The run as a page."""
    artefact = artefact_of(
        run, author=AUTHOR, code_version=bandit.__version__, evaluation_id=evaluation_id
    )
    page.write_text(card_of(artefact), encoding="utf-8")


class _Asked:
    """An evaluation as it was asked for."""

    def __init__(
        self,
        surface: str,
        opened: Callable[[], Store],
        settings: EvaluationSettings,
        since_ms: int,
        until_ms: int | None,
        watching: Callable[[str, Done], None],
    ) -> None:
        self.surface = surface
        self.opened = opened
        self.settings = settings
        self.since_ms = since_ms
        self.now_ms = now_ms()
        self.until_ms = self.now_ms + 1 if until_ms is None else until_ms
        self.executor: Executor | None = None
        self.workers_n = 1
        self._watching = watching

    def evaluate(
        self,
        candidates: Mapping[str, PolicySpec],
        *,
        since_ms: int,
        until_ms: int,
        judge_ms: int = 0,
        settings: EvaluationSettings,
        stage: str,
    ) -> EvaluationRun:
        """As `bandit.service.evaluating_search.Evaluate` says."""
        return evaluate_specs(
            self.opened,
            self.surface,
            candidates,
            now_ms=self.now_ms,
            since_ms=since_ms,
            until_ms=until_ms,
            judge_ms=judge_ms,
            settings=settings,
            executor=self.executor,
            workers_n=self.workers_n,
            watch=partial(self._watching, stage),
        )


def _run(asked: _Asked, policies: Path | None, searched: Path | None) -> EvaluationRun:
    if policies is not None:
        specs = read_candidates(_text(policies), asked.surface, name=str(policies))
        return asked.evaluate(
            specs,
            since_ms=asked.since_ms,
            until_ms=asked.until_ms,
            settings=asked.settings,
            stage="evaluating",
        )
    assert searched is not None
    plan = read_search(_text(searched), asked.surface, name=str(searched))
    parts = parts_of(asked.opened, asked.surface, asked.since_ms, asked.until_ms)
    return search(plan, asked.evaluate, parts, asked.settings, until_ms=asked.until_ms)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadSpec(f"{path} can not be read: {exc}") from exc


def _ms(given: datetime | None) -> int | None:
    return None if given is None else int(given.replace(tzinfo=UTC).timestamp() * 1000)


@contextmanager
def _executor(workers: int, dask: str | None) -> Iterator[Executor | None]:
    """Processes of this host that leave Ctrl-C to this one, or a cluster's; None for one worker."""
    if dask is not None:
        with cluster(dask) as client:
            yield client.get_executor()
        return
    if workers == 1:
        yield None
        return
    # Not forked: this process may have threads, and a connection.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _worker)
    # They are started here, with Ctrl-C held back, which they inherit: none is cut off half-made.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        for _ in range(workers):
            pool.submit(_worker)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _few_collections()


def _few_collections() -> None:
    """Nothing here holds itself, and millions of records are looked at for nothing."""
    gc.set_threshold(100_000, 20, 20)


@contextmanager
def _watched() -> Iterator[Callable[[str, Done], None]]:
    """A progress bar with the time it will take, on standard error."""
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
        tasks: dict[str, object] = {}

        def watch(stage: str, done: Done) -> None:
            task = tasks.get(stage)
            if task is None:
                task = tasks[stage] = bar.add_task(stage, total=None)
            bar.update(task, completed=done.done_n, total=done.total_n or None)  # type: ignore[arg-type]

        yield watch


def _saved(settings: Settings, run: EvaluationRun) -> str:
    store = open_store(settings)
    try:
        service = EvaluationService(
            store, code_version=bandit.__version__, new_id=lambda: uuid.uuid4().hex
        )
        return service.save(run, author=AUTHOR).id
    finally:
        store.close()


def _print(run: EvaluationRun, form: str | None) -> None:
    if form == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(run)))
    elif form == "csv":
        click.echo(as_csv(candidate_rows(run)), nl=False)
    elif form == "md":
        click.echo(as_markdown(sections_of(run)), nl=False)
    else:
        print_sections(Console(width=None if sys.stdout.isatty() else 140), sections_of(run))
