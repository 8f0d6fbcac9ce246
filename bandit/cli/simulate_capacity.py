"""`bandit simulate capacity`: what so many users need, and what saturates first."""

import logging
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click
import httpx
import msgspec
from rich.console import Console
from rich.table import Table

from bandit.cli.own_service import fresh_folder, own_settings
from bandit.cli.up import NAMES, addresses, running
from bandit.cli.wiring import open_store
from bandit.errors import BanditError
from bandit.records import Record
from bandit.settings import Settings
from sims.capacity.calibration import Calibration
from sims.capacity.demand import Demand
from sims.capacity.load import BadAnswer
from sims.capacity.measuring import Bench, calibrate
from sims.capacity.model import Deployment, Model, Outcome
from sims.capacity.picture import draw
from sims.capacity.planning import Needs, assumptions, background_of, load_of, needs_of
from sims.capacity.processes import cpu_s, rss_mb
from sims.waiting import Stuck, Waiting

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
POSITIVE = click.FloatRange(0, min_open=True)
START_S = 60.0
LOADS = (0.25, 0.5, 0.75, 1.0)
"""Of the busiest moment, at which the model runs event by event."""
ARRIVALS_N = 20_000.0
"""About so many requests of a run, so that p99 is known."""
LEAST_S = 6.0
"""Of a run, so that drains have made many passes."""


class CapacityReport(Record, frozen=True, kw_only=True):
    """Everything the command found."""

    calibration: Calibration
    assumptions: list[str]
    needs: Needs
    outcomes: dict[str, Outcome]


@click.command("capacity")
@click.option("--users", type=POSITIVE, default=50e6, show_default="50M", help="A day.")
@click.option(
    "--decisions",
    "decisions_each",
    type=POSITIVE,
    default=10.0,
    show_default=True,
    help="Of each user.",
)
@click.option(
    "--rewards",
    "rewards_each",
    type=click.FloatRange(0),
    default=0.3,
    show_default=True,
    help="Of a decision.",
)
@click.option("--actions", "actions_n", type=click.IntRange(2, 1000), default=50, show_default=True)
@click.option(
    "--surfaces",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Each with a policy that learns.",
)
@click.option(
    "--peak",
    type=click.FloatRange(1, 2),
    default=1.8,
    show_default=True,
    help="Busiest hour ÷ mean hour.",
)
@click.option("--hosts", type=click.IntRange(1), help="Without it, as many as needed.")
@click.option(
    "--workers", type=click.IntRange(1), default=2, show_default=True, help="With --hosts."
)
@click.option(
    "--clickhouse-cores", type=click.IntRange(1), default=2, show_default=True, help="With --hosts."
)
@click.option(
    "--learners",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes; with --hosts.",
)
@click.option(
    "--calibrate",
    "wants_calibration",
    is_flag=True,
    help="Measure this machine first (a minute; best when nothing else runs).",
)
@click.option("--calibration", type=FILE, help="Use this one, or write it with --calibrate.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--data-dir",
    type=FOLDER,
    help="Of the service that is measured; emptied first.  [BANDIT_DATA_DIR/capacity]",
)
@click.option("--out", type=FOLDER, default=Path("artifacts/simulate"), show_default=True)
def command(
    hosts: int | None,
    workers: int,
    clickhouse_cores: int,
    learners: int,
    wants_calibration: bool,
    calibration: Path | None,
    seed: int,
    data_dir: Path | None,
    out: Path,
    **demanded: Any,
) -> None:
    """Say what so many users a day need, and which part of the service saturates first.

    A discrete-event model of the service with costs measured on a machine: the one that came with
    the program, or this one with --calibrate. Equal options give identical numbers. Writes
    capacity.json and capacity.png into --out.
    """
    console = Console(width=None if sys.stdout.isatty() else 120)
    out.mkdir(parents=True, exist_ok=True)
    try:
        demand = Demand(**demanded)
        if wants_calibration:
            path = calibration or out / "calibration.json"
            found = measured(Settings.from_environ(os.environ), data_dir)
            found.save(path)
            console.print(f"{path}", highlight=False)
        else:
            found = Calibration.load(calibration)
        given = None
        if hosts is not None:
            given = Deployment(
                hosts=hosts, workers=workers, clickhouse_cores=clickhouse_cores, learners=learners
            )
        report = report_of(found, demand, given, seed)
    except (BanditError, Stuck, BadAnswer, httpx.HTTPError) as exc:
        raise click.ClickException(str(exc)) from exc
    for line in report.assumptions:
        console.print(f"· {line}", style="dim", highlight=False)
    for table in tables(report):
        console.print("", table)
    (out / "capacity.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    draw(found, report.needs, out / "capacity.png")
    console.print(f"{out / 'capacity.json'}\n{out / 'capacity.png'}", highlight=False)


def report_of(
    calibration: Calibration, demand: Demand, deployment: Deployment | None, seed: int
) -> CapacityReport:
    """Plan, then run the model at several loads."""
    needs = needs_of(calibration, demand, deployment)
    outcomes = {}
    for share in LOADS:
        rankings = share * needs.peak_per_s
        load = load_of(demand, rankings)
        model = Model(
            calibration, needs.deployment, load, background=background_of(demand), seed=seed
        )
        outcomes[f"{share:.0%}"] = model.run(max(ARRIVALS_N / rankings, LEAST_S))
    return CapacityReport(
        calibration=calibration,
        assumptions=assumptions(calibration),
        needs=needs,
        outcomes=outcomes,
    )


def measured(settings: Settings, data_dir: Path | None) -> Calibration:
    """Measure this machine on a service of its own."""
    with bench(settings, data_dir) as found:
        return calibrate(
            found,
            machine=machine(),
            cores=os.cpu_count() or 1,
            python=platform.python_version(),
            drain_interval_s=settings.drain_interval_s,
        )


@contextmanager
def bench(settings: Settings, data_dir: Path | None) -> Iterator[Bench]:
    """A service with one API worker, and how to look at it."""
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # it may be asked too early
    waiting = Waiting(monotonic_s=time.monotonic, sleep=time.sleep)
    with fresh_folder(data_dir or settings.data_dir / "capacity") as folder:
        own = msgspec.structs.replace(
            own_settings(settings, folder), workers=1, spare_workers=0, log_level="warning"
        )
        # The refresher's work depends on what is declared; the plan has its own word for it.
        names = [name for name in NAMES if name not in ("dashboard", "refresh")]
        api = next(one.url for one in addresses(own, names) if one.name == "API")
        with running(own, names, logs=folder / "logs"):
            store = waiting.until("ClickHouse", START_S, lambda: open_store(own))
            with closing(store), httpx.Client(base_url=api, trust_env=False, timeout=30) as client:
                waiting.until(
                    "the API is ready",
                    START_S,
                    lambda: client.get("/health/ready").is_success or None,
                )
                yield Bench(
                    port=own.port,
                    client=client,
                    store=store,
                    journal=own.journal_dir,
                    cpu_s=lambda: cpu_s(os.getpid()),
                    rss_mb=lambda: rss_mb(os.getpid()),
                    monotonic_s=time.monotonic,
                    sleep=time.sleep,
                )


def machine() -> str:
    """The processor's name, as Linux says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def tables(report: CapacityReport) -> Iterator[Table]:
    """What is needed, what saturates first, and how the model fares."""
    yield _needs(report.needs)
    yield _parts(report.needs)
    yield _outcomes(report)


def _needs(needs: Needs) -> Table:
    demand, deployment = needs.demand, needs.deployment
    table = Table(f"{demand.users:,.0f} users a day", "", box=None, header_style="bold")
    rows = {
        "rankings a day": f"{demand.decisions:,.0f}",
        "rankings a second, at the busiest moment": f"{needs.peak_per_s:,.0f}",
        "hosts that answer, with the spare one": f"{deployment.hosts} of {needs.cores_per_host} "
        f"cores and {needs.memory_gb_per_host:.1f} GB for {deployment.workers} workers and a drain",
        "cores busy then: API": f"{needs.api_cores:.1f}",
        "drains": f"{needs.drain_cores:.1f}",
        "learners": f"{needs.learner_cores:.1f}, in {deployment.learners} processes",
        "ClickHouse": f"{needs.clickhouse_cores:.1f}; with {deployment.clickhouse_cores} cores "
        "over its shards",
        "journal": f"{needs.journal_mb_per_s:.1f} MB/s a host",
        "ClickHouse grows": f"{needs.clickhouse_gb_per_day:,.0f} GB a day and replica, "
        f"{needs.clickhouse_tb:,.1f} TB kept in all",
        "network of clients": f"{needs.network_in_mb_per_s:,.0f} MB/s in, "
        f"{needs.network_out_mb_per_s:,.0f} MB/s out",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _parts(needs: Needs) -> Table:
    table = Table("saturates first", box=None, header_style="bold")
    for name in ("busy at the busiest moment", "saturated by users a day"):
        table.add_column(name, justify="right")
    for part in needs.parts:
        table.add_row(part.name, f"{part.utilisation:.0%}", f"{part.users:,.0f}")
    return table


def _outcomes(report: CapacityReport) -> Table:
    table = Table("model, of the busiest moment", box=None, header_style="bold")
    names = (
        "answered a second",
        "p50",
        "p99",
        "stored after",
        "p99",
        *next(iter(report.outcomes.values())).utilisation,
    )
    for name in names:
        table.add_column(name, justify="right")
    for share, one in report.outcomes.items():
        table.add_row(
            share,
            f"{one.answered_per_s:,.0f}",
            *_shown((one.p50_ms, one.p99_ms), ".1f", "ms"),
            *_shown((one.lag_s, one.lag_p99_s), ".2f", "s"),
            *(f"{value:.0%}" for value in one.utilisation.values()),
        )
    return table


def _shown(values: Sequence[float | None], form: str, unit: str) -> list[str]:
    return ["–" if value is None else f"{value:{form}} {unit}" for value in values]
