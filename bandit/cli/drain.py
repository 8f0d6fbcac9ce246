"""`bandit drain`: deliver this host's journal to ClickHouse."""

import hashlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from bandit.cli.heartbeat import Heartbeat
from bandit.cli.stopping import Stop, Stopping
from bandit.cli.wiring import announce, host_clock, log_to_stderr, open_migrated, open_store, sheet
from bandit.errors import BanditError, StoreUnavailable
from bandit.journal import Drain
from bandit.journal.ballast import Ballast
from bandit.journal.giving_up import give_up
from bandit.journal.pressure import Watermarks
from bandit.journal.quarantine import restore
from bandit.logs import tell
from bandit.service.metering_drain import DrainMeter
from bandit.settings import Settings
from bandit.store.client import Store
from bandit.store.sink import ClickHouseSink

log = logging.getLogger(__name__)

RECONNECT_S = 0.25
TEND_S = 0.5


@click.command()
@click.option("--retry-rejected", is_flag=True, help="First put back what was set aside.")
@click.option(
    "--give-up-rejected", is_flag=True, help="Let learners go on without what was set aside."
)
def command(*, retry_rejected: bool, give_up_rejected: bool) -> None:
    """Deliver this host's journal to ClickHouse.

    Of several on one host, one works and the others stand by. What ClickHouse refuses is set
    aside in the journal's folders `rejected`; --retry-rejected tries it again. Learners wait for it
    until it is given up: by itself after a while, or at once with --give-up-rejected, which then
    ends. It is kept in the journal's folder `.given-up`.
    """
    stop = Stop.on_signals()
    try:
        settings = Settings.from_environ(os.environ)
        log_to_stderr(settings, "drain")
        if give_up_rejected:
            _give_up(settings)
            return
        if retry_rejected:
            click.echo(f"drain: {restore(settings.journal_dir)} files put back")
        announce(settings, "drain", str(settings.journal_dir), journal=settings.journal_dir)
        run(settings, stop)
    except BanditError as exc:
        click.echo(f"bandit drain: {exc}", err=True)
        sys.exit(1)


def run(settings: Settings, stop: Stopping) -> None:
    """Drain until `stop`, and then once more.

    Raises:
        BanditError: A setting or a migration that no waiting will mend.
    """
    with _ballast(settings):
        _run(settings, stop)


def _run(settings: Settings, stop: Stopping) -> None:
    now_ms = host_clock(settings).now_ms
    meter = DrainMeter(sheet(settings, "drain"), now_ms=now_ms)
    heartbeat = Heartbeat(os.environ)
    store = _connected(settings, stop, meter, heartbeat)
    if store is None:
        return
    sink = meter.watched(ClickHouseSink(store, now_ms=now_ms), time.perf_counter)
    drain = Drain(
        settings.journal_dir,
        sink,
        host=host_name(settings),
        now_ms=now_ms,
        give_up_after_s=settings.give_up_after_s,
    )
    try:
        while not stop.is_set():
            began_s = time.monotonic()
            heartbeat.beat()
            _pass(drain, meter)
            stop.wait(max(0.0, settings.drain_interval_s - (time.monotonic() - began_s)))
        _pass(drain, meter)
        drain.finish()
        meter.close()
    finally:
        drain.close()
        store.close()


@contextmanager
def _ballast(settings: Settings) -> Iterator[None]:
    """Tend the ballast meanwhile, in a thread: a pass lasts while a store on a full disk hangs."""
    ballast = Ballast(
        settings.journal_dir,
        size_bytes=settings.ballast_bytes,
        watermarks=Watermarks.of(settings),
    )
    done = threading.Event()

    def tend() -> None:
        while not done.wait(TEND_S):
            ballast.tend()

    thread = threading.Thread(target=tend, name="ballast", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _give_up(settings: Settings) -> None:
    store = open_store(settings)
    try:
        sink = ClickHouseSink(store, now_ms=host_clock(settings).now_ms)
        found = give_up(settings.journal_dir, sink)
    finally:
        store.close()
    click.echo(f"drain: {found.files_n} files and {found.rows_n} numbers given up")


def host_name(settings: Settings) -> str:
    """Under which progress is reported: this machine's name, and which of its journals it is."""
    place = str(settings.journal_dir.resolve()).encode()
    return f"{socket.gethostname()}-{hashlib.blake2b(place, digest_size=4).hexdigest()}"


def _connected(
    settings: Settings,
    stop: Stopping,
    meter: DrainMeter,
    heartbeat: Heartbeat,
) -> Store | None:
    """The store with its tables, as soon as it can be had; None if `stop` comes first."""
    is_told = False
    while not stop.is_set():
        heartbeat.beat()
        try:
            store = open_migrated(settings)
        except StoreUnavailable as exc:
            if not is_told:
                tell(
                    log, logging.WARNING, "store_away",
                    "records wait in the journal: %(why)s", why=exc,
                )  # fmt: skip
            is_told = True
            meter.waiting()
            stop.wait(RECONNECT_S)
        else:
            if is_told:
                tell(log, logging.WARNING, "store_back", "the store is there")
            return store
    return None


def _pass(drain: Drain, meter: DrainMeter) -> None:
    try:
        meter.passed(drain.step(), drain.counts)
    except OSError as exc:  # of the journal's root itself; a pass later it may be there
        tell(
            log, logging.ERROR, "drain_failed", "the journal can not be drained now: %(why)s",
            why=exc,
        )  # fmt: skip
        time.sleep(RECONNECT_S)
