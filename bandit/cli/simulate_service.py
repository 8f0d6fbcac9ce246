"""`bandit simulate service`: a world as clients of the running service."""

import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click
import httpx
import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from bandit.cli.own_service import fresh_folder, own_settings
from bandit.cli.simulate_scenarios import figure_table
from bandit.cli.up import NAMES, addresses, running
from bandit.cli.wiring import open_store
from bandit.errors import BanditError
from bandit.settings import Settings
from bandit.store.client import Store
from sims.audit import Check
from sims.closed.client import Refused
from sims.closed.loop import ROUNDS_N, Latencies, Loop, LoopReport, Pmfs
from sims.closed.plan import Plan
from sims.closed.population import Population
from sims.closed.service import START_S, NameTaken, NotTaken, Service
from sims.datasets import DataSetUnavailable
from sims.waiting import Stuck, Waiting
from sims.worlds import WORLDS

FOLDER = click.Path(file_okay=False, path_type=Path)
SHARE = click.FloatRange(0, 1, max_open=True)
WITHOUT = {"dashboard"}


@click.command("service")
@click.option("--world", type=click.Choice(sorted(WORLDS)), default="synthetic", show_default=True)
@click.option(
    "--rate",
    "rate_per_s",
    type=click.FloatRange(0, min_open=True),
    default=200.0,
    show_default=True,
    help="Requests per second, rewards included.",
)
@click.option(
    "--seconds", type=click.FloatRange(0, min_open=True), default=600.0, show_default=True
)
@click.option(
    "--repetitions",
    type=click.IntRange(2, 1000),
    default=100,
    show_default=True,
    help="Surfaces with an experiment of their own, side by side.",
)
@click.option(
    "--learning",
    type=click.IntRange(0, 100),
    default=4,
    show_default=True,
    help="Further surfaces, whose experiment is a policy that learns against chance.",
)
@click.option("--clients", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option(
    "--window",
    "window_s",
    type=click.FloatRange(0, min_open=True),
    default=20.0,
    show_default=True,
    help="Join window in seconds.",
)
@click.option("--lost", type=SHARE, default=0.05, show_default=True)
@click.option("--late", type=SHARE, default=0.05, show_default=True)
@click.option("--doubled", type=SHARE, default=0.05, show_default=True)
@click.option("--repeated", type=SHARE, default=0.02, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--url", help="Of a running service; without it, one is started for the while.")
@click.option("--key", help="API key of that service, with every scope.")
@click.option("--name", default="loop", show_default=True, help="Begins what is declared.")
@click.option(
    "--data-dir",
    type=FOLDER,
    help="Of the service that is started; emptied first.  [BANDIT_DATA_DIR/loop]",
)
@click.option("--out", type=FOLDER, default=Path("artifacts/simulate"), show_default=True)
def command(
    world: str,
    url: str | None,
    key: str | None,
    data_dir: Path | None,
    out: Path,
    **planned: Any,
) -> None:
    """Play a world against the service over HTTP, and hold its live reports against the truth.

    Clients in processes of their own ask at random moments, whatever the answers do, and lose,
    delay and double rewards. Says whether intervals of A/B tests and of off-policy values cover
    the truth, whether everything was joined as it was sent, regret, latency and when winners were
    found. Writes service.json into --out. Ends with 1 if a check or, for sure, a figure fails.
    """
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # it may be asked too early
    console = Console(width=None if sys.stdout.isatty() else 140)
    try:
        planned["learning_share"] = min(0.9, 0.05 * planned["learning"])
        plan = msgspec.convert(planned, Plan)
        settings = Settings.from_environ(os.environ)
        truth = WORLDS[world](settings.data_dir / ".cache")
        console.print(truth.about, style="dim")
        population = Population.of(truth, rounds_n=ROUNDS_N, seed=plan.seed)
        report = _run(console, settings, plan, world, population, url, key, data_dir)
    except DataSetUnavailable as exc:
        raise click.ClickException(f"{exc}; --world synthetic needs no data") from exc
    except (BanditError, Stuck, Refused, NameTaken, NotTaken, httpx.HTTPError) as exc:
        raise click.ClickException(str(exc)) from exc
    except msgspec.ValidationError as exc:
        raise click.UsageError(str(exc)) from exc
    for part in tables(report):
        console.print(part, "", highlight=False)
    out.mkdir(parents=True, exist_ok=True)
    (out / "service.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    console.print(f"{out / 'service.json'}", highlight=False)
    sys.exit(0 if report.passed else 1)


def _run(
    console: Console,
    settings: Settings,
    plan: Plan,
    world: str,
    population: Population,
    url: str | None,
    key: str | None,
    data_dir: Path | None,
) -> LoopReport:
    waiting = Waiting(monotonic_s=time.monotonic, sleep=time.sleep)
    with _address(console, settings, waiting, url, data_dir) as (address, pmfs):
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        context = multiprocessing.get_context("spawn")
        with (
            httpx.Client(base_url=address, headers=headers, trust_env=False) as client,
            ProcessPoolExecutor(plan.clients, mp_context=context) as executor,
        ):
            loop = Loop(
                Service(client, waiting),
                address,
                key,
                plan,
                world=world,
                population=population,
                now_ns=time.time_ns,
                pmfs=pmfs,
                tell=lambda line: console.print(line, highlight=False),
            )
            return loop.run(executor)


@contextmanager
def _address(
    console: Console,
    settings: Settings,
    waiting: Waiting,
    url: str | None,
    data_dir: Path | None,
) -> Iterator[tuple[str, Pmfs | None]]:
    """Where the service is, and how to read its log; one of our own unless a URL is given."""
    if url is not None:
        yield url.rstrip("/"), None
        return
    with fresh_folder(data_dir or settings.data_dir / "loop") as folder:
        # Nobody is killed here, so nobody stands by.
        own = msgspec.structs.replace(own_settings(settings, folder), spare_workers=0)
        names = [name for name in NAMES if name not in WITHOUT]
        api = next(one.url for one in addresses(own, names) if one.name == "API")
        with running(own, names, logs=folder / "logs", tell=console.print):
            store = waiting.until("ClickHouse", START_S, lambda: open_store(own, readonly=True))
            with closing(store):
                yield api, pmfs_of(store)


def pmfs_of(store: Store) -> Callable[[str], Mapping[str, Sequence[float]]]:
    """Reads what each decision of a surface was drawn from."""
    return lambda surface: dict(store.rows("audit_pmfs", surface=surface))


def tables(report: LoopReport) -> Iterator[Table | str]:
    """What was played, counted and found."""
    yield (
        f"{report.world}: {report.decisions_n:,} decisions, {report.requests_per_s:,.1f} requests "
        f"a second of {report.plan.rate_per_s:g} planned, {report.retries_n:,} sent again"
    )
    yield _latencies(report)
    yield _regrets(report)
    yield _detections(report)
    yield checks_table(report.checks)
    yield figure_table(report.figures)
    yield from (f"not told: {line}" for line in report.unknown)


def _latencies(report: LoopReport) -> Table:
    table = Table("from the planned moment", box=None, header_style="bold")
    for name in ("n", "p50", "p95", "p99", "p99.9"):
        table.add_column(name, justify="right")
    for name, found in (("rankings", report.rank), ("rewards", report.reward)):
        table.add_row(name, f"{found.n:,}", *_shown(found))
    return table


def _shown(found: Latencies) -> list[str]:
    each = (found.p50, found.p95, found.p99, found.p999)
    return ["–" if value is None else f"{value:,.1f} ms" for value in each]


def _regrets(report: LoopReport) -> Table:
    table = Table("variant", box=None, header_style="bold")
    for name in ("decisions", "regret per decision", "in the last half"):
        table.add_column(name, justify="right")
    for one in report.regrets:
        late = "–" if one.late is None else f"{one.late:.4f}"
        table.add_row(one.variant, f"{one.decisions_n:,}", f"{one.mean:.4f}", late)
    return table


def _detections(report: LoopReport) -> Table:
    table = Table("winner found by the band for any look", box=None, header_style="bold")
    for name in ("experiments", "found", "median after", "units then", "looks each"):
        table.add_column(name, justify="right")
    for treatment in dict.fromkeys(one.treatment for one in report.detections):
        each = [one for one in report.detections if one.treatment == treatment]
        after = [one.after_s for one in each if one.after_s is not None]
        units = [one.units_n for one in each if one.units_n is not None]
        table.add_row(
            treatment,
            str(len(each)),
            str(len(after)),
            f"{np.median(after):,.0f} s" if after else "–",
            f"{np.median(units):,.0f}" if units else "–",
            f"{np.median([one.looks_n for one in each]):.0f}",
        )
    return table


def checks_table(checks: Sequence[Check]) -> Table:
    """Each check with its numbers."""
    table = Table("", "check", "numbers", box=None, header_style="bold")
    for check in checks:
        table.add_row("ok" if check.passed else "FAILED", check.name, check.numbers)
    return table
