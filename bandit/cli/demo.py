"""`bandit demo`: run the whole loop on real data, and prove that it worked."""

import asyncio
import logging
import os
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import click
import httpx
import numpy as np
from rich.console import Console

from bandit.cli.own_service import fresh_folder, own_settings
from bandit.cli.up import addresses, running, table
from bandit.cli.wiring import open_store, project_salt
from bandit.errors import BanditError
from bandit.service.reporting_payloads import ExperimentReport
from bandit.settings import Settings
from bandit.store.client import Store
from sims.audit import Check, check_log, late_rewards
from sims.datasets import DataSetUnavailable
from sims.demo import LEARNED, LEARNING, REWARD, START_S, SURFACE, Demo
from sims.driver import Driver, Refused
from sims.ledger import Ledger
from sims.screen import latency_text, progress, summary_text, verdict_tables
from sims.verdict import check_better, check_earned, primary_effect
from sims.waiting import Stuck, Waiting
from sims.worlds import WORLDS
from sims.worlds.base import World

DECISIONS_N, RATE_PER_S = 8000, 130.0
REPLAYED_N = 1000
SETTLE_S = 60.0


class Plan(NamedTuple):
    """What to play."""

    world: World
    decisions_n: int
    rate_per_s: float
    seed: int


@click.command()
@click.option("--once", is_flag=True, help="Print the verdict and end: with 0 if all of it holds.")
@click.option("--world", type=click.Choice(sorted(WORLDS)), default="movielens", show_default=True)
@click.option(
    "--scale",
    type=click.FloatRange(min=0.01),
    default=1.0,
    show_default=True,
    help=f"Times {DECISIONS_N:,} decisions.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=1),
    default=RATE_PER_S,
    show_default=True,
    help="Decisions per second.",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Emptied first if an earlier demo made it.  [BANDIT_DATA_DIR/demo]",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of the API; 0: any free.")
@click.option("--dashboard-port", type=click.IntRange(0, 65535), default=0, help="0: any free one.")
def command(
    once: bool,
    world: str,
    scale: float,
    rate: float,
    seed: int,
    data_dir: Path | None,
    port: int,
    dashboard_port: int,
) -> None:
    """Run the whole loop on real data.

    Starts ClickHouse, two API workers, the learner and the dashboard; declares an experiment
    between a learning and a random policy; replays what real users thought of real films against
    the HTTP API; and judges the outcome by the log. Without --once it stays up until Ctrl-C. It
    always uses an embedded ClickHouse of its own.
    """
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # it may be asked too early
    # Where the output is not a terminal, rich would fold the tables at 80 columns.
    console = Console(width=None if sys.stdout.isatty() else 120)
    try:
        settings = Settings.from_environ(os.environ)
        plan = Plan(
            _world(console, world, settings.data_dir / ".cache"),
            max(1, round(DECISIONS_N * scale)),
            rate,
            seed,
        )
        with fresh_folder(data_dir or settings.data_dir / "demo") as folder:
            own = own_settings(settings, folder, port, dashboard_port)
            passed = _run(console, own, plan, once=once)
    except DataSetUnavailable as exc:
        raise click.ClickException(f"{exc}; --world synthetic needs no data") from exc
    except (BanditError, Stuck, Refused, httpx.HTTPError) as exc:
        raise click.ClickException(str(exc)) from exc
    sys.exit(0 if passed else 1)


def _run(console: Console, settings: Settings, plan: Plan, *, once: bool) -> bool:
    """Play, judge and show; True if every check passed."""
    waiting = Waiting(monotonic_s=time.monotonic, sleep=time.sleep)
    found = addresses(settings)
    api = next(address.url for address in found if address.name == "API")
    with running(settings, logs=settings.data_dir / "logs", tell=console.print):
        store = waiting.until("ClickHouse", START_S, lambda: open_store(settings, readonly=True))
        with closing(store), httpx.Client(base_url=api, trust_env=False) as client:
            demo = Demo(
                client,
                store,
                waiting,
                salt=project_salt(settings),
                workers_n=settings.workers,
            )
            demo.declare()
            console.print(table(found))
            ledger = asyncio.run(_play(console, api, plan))
            report, checks = _judge(console, demo, store, ledger, plan.seed)
            for part in verdict_tables(report, checks):
                console.print(part, "")
            console.print(latency_text(report))
            console.print(summary_text(checks))
            console.print(table(found))
        if not once:
            _stay(console)
    return all(check.passed for check in checks)


async def _play(console: Console, api: str, plan: Plan) -> Ledger:
    rounds = plan.world.rounds(np.random.default_rng(plan.seed))
    async with httpx.AsyncClient(base_url=api, timeout=10.0, trust_env=False) as client:
        driver = Driver(client, SURFACE.key, REWARD)
        with progress(console, driver.ledger, plan.decisions_n) as watch:
            await driver.play(rounds, plan.decisions_n, rate_per_s=plan.rate_per_s, watch=watch)
    return driver.ledger


def _judge(
    console: Console, demo: Demo, store: Store, ledger: Ledger, seed: int
) -> tuple[ExperimentReport, list[Check]]:
    console.print("waiting until the log is drained and learned from …")
    try:
        demo.wait_until_learned(ledger, SETTLE_S)
    except Stuck as exc:
        console.print(f"{exc}: the checks below say what is missing")
    report = demo.report()
    checks = [
        check_better(primary_effect(report, LEARNED)),
        check_earned(ledger, report, late_rewards(store, SURFACE)),
        *check_log(store, ledger, SURFACE.key, LEARNING.key),
        demo.replay(REPLAYED_N, seed),
        demo.rebuild(),
    ]
    return report, checks


def _world(console: Console, name: str, cache: Path) -> World:
    console.print(f"loading the world {name!r} …")
    world = WORLDS[name](cache)
    console.print(world.about)
    return world


def _stay(console: Console) -> None:
    console.print("It stays up until Ctrl-C.")
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
