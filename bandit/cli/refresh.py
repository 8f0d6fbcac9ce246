"""`bandit refresh`: keep the numbers of reports fresh."""

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from bandit.cli.heartbeat import Heartbeat
from bandit.cli.stopping import Stop, Stopping
from bandit.cli.wiring import announce, log_to_stderr, now_ms, open_migrated, sheet
from bandit.errors import BanditError, StoreUnavailable
from bandit.logs import tell
from bandit.service.metering_refresh import RefreshMeter
from bandit.service.promoting import PromotionService
from bandit.service.promoting_moving import RampMover
from bandit.service.refreshing_reports import ReportRefresher
from bandit.settings import Settings
from bandit.store.client import Store

log = logging.getLogger(__name__)

LOOK_S = 0.5
RECONNECT_S = 0.5
QUERY_S = 300.0
"""How long one query may take: over a long log it may be minutes."""


@click.command()
@click.option("--once", is_flag=True, help="Refresh everything once and end: with 1 if any failed.")
def command(*, once: bool) -> None:
    """Keep the numbers of reports fresh, and move the ramps of promotions on.

    Reports and the dashboard read what it keeps, in milliseconds, where they would have to scan the
    log. One process is enough for any number of hosts; several do no harm. It uses at most half of
    one processor, and less than a tenth for any one experiment or surface.
    """
    stop = Stop.on_signals()
    try:
        settings = Settings.from_environ(os.environ)
        log_to_stderr(settings, "refresh")
        if once:
            sys.exit(0 if _once(settings) else 1)
        announce(settings, "refresh", f"every {settings.report_interval_s:g} s")
        run(settings, stop)
    except BanditError as exc:
        click.echo(f"bandit refresh: {exc}", err=True)
        sys.exit(1)


def run(settings: Settings, stop: Stopping) -> None:
    """Refresh until `stop`.

    Raises:
        BanditError: A setting or a migration that no waiting will mend.
    """
    heartbeat = Heartbeat(os.environ)
    meter = RefreshMeter(sheet(settings, "refresh"), now_ms=now_ms)
    store = _connected(settings, stop, heartbeat)
    if store is None:
        return
    refresher = refresher_of(settings, store)
    steps = _Steps(refresher, meter, mover_of(store))
    try:
        with _written(meter, refresher):
            while not stop.is_set():
                heartbeat.beat()
                stop.wait(steps.step())
        meter.close()
    finally:
        store.close()


def refresher_of(settings: Settings, store: Store) -> ReportRefresher:
    """A refresher as the settings say."""
    return ReportRefresher(
        store,
        now_ms=now_ms,
        monotonic_s=time.monotonic,
        interval_s=settings.report_interval_s,
        silent_after_ms=round(settings.silent_host_s * 1000),
    )


def mover_of(store: Store) -> RampMover:
    """What moves the ramps of promotions on."""
    promoting = PromotionService(store, now_ms=now_ms, new_id=lambda: os.urandom(16).hex())
    return RampMover(promoting.advance, monotonic_s=time.monotonic)


class _Steps:
    """Refreshes step by step; says once that the store is away, and once that it is back."""

    def __init__(self, refresher: ReportRefresher, meter: RefreshMeter, mover: RampMover) -> None:
        self._refresher = refresher
        self._meter = meter
        self._mover = mover
        self._is_away = False

    def step(self) -> float:
        """Refresh what is due; how long to rest."""
        try:
            done = self._refresher.step()
            self._mover.step()
        except StoreUnavailable as exc:
            if not self._is_away:
                tell(log, logging.WARNING, "store_away", "waiting for the store: %(why)s", why=exc)
            self._is_away = True
            return RECONNECT_S
        if self._is_away:
            tell(log, logging.WARNING, "store_back", "the store is back")
        self._is_away = False
        if done is None:
            return LOOK_S
        self._meter.refreshed(done, self._refresher.failing)
        # As long again, so that no number of things makes this process busy all the time.
        return max(done.took_s, RECONNECT_S if done.is_away else 0.0)


@contextmanager
def _written(meter: RefreshMeter, refresher: ReportRefresher) -> Iterator[None]:
    """Write metrics meanwhile, in a thread: one query may last for minutes."""
    done = threading.Event()

    def write() -> None:
        while not done.wait(LOOK_S):
            meter.waiting(refresher.names)

    thread = threading.Thread(target=write, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _once(settings: Settings) -> bool:
    store = open_migrated(settings, timeout_s=QUERY_S)
    try:
        refresher = refresher_of(settings, store)
        for done in refresher.run_once():
            what = f"failed: {done.why}" if done.why else f"{done.kept_n} kept"
            click.echo(f"{done.name}: {what} ({done.took_s:.2f} s)")
        if refresher.through_ms is None:
            click.echo("nothing was refreshed: no host has reported that it delivers its journal")
        mover_of(store).step()
        return not refresher.failing
    finally:
        store.close()


def _connected(settings: Settings, stop: Stopping, heartbeat: Heartbeat) -> Store | None:
    """The store with its tables, as soon as it can be had; None if `stop` comes first."""
    is_told = False
    while not stop.is_set():
        heartbeat.beat()
        try:
            store = open_migrated(settings, timeout_s=QUERY_S)
        except StoreUnavailable as exc:
            if not is_told:
                tell(log, logging.WARNING, "store_away", "waiting for the store: %(why)s", why=exc)
            is_told = True
            stop.wait(RECONNECT_S)
        else:
            if is_told:
                tell(log, logging.WARNING, "store_back", "the store is back")
            return store
    return None
