"""`bandit drain`: deliver this host's journal to ClickHouse."""

import hashlib
import logging
import os
import signal
import socket
import sys
import threading
import time

import click

from bandit.cli.wiring import log_to_stderr, now_ms, open_store
from bandit.errors import BanditError, StoreUnavailable
from bandit.journal import Drain
from bandit.journal.quarantine import restore
from bandit.settings import Settings
from bandit.store.client import Store
from bandit.store.migrations import migrate
from bandit.store.sink import ClickHouseSink

log = logging.getLogger(__name__)

RECONNECT_S = 0.25


@click.command()
@click.option("--retry-rejected", is_flag=True, help="First put back what was set aside.")
def command(retry_rejected: bool) -> None:
    """Deliver this host's journal to ClickHouse.

    Of several on one host, one works and the others stand by. What ClickHouse refuses is set
    aside in the journal's folders `rejected`; --retry-rejected tries it again.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = Settings.from_environ(os.environ)
        log_to_stderr(settings)
        if retry_rejected:
            click.echo(f"drain: {restore(settings.journal_dir)} files put back")
        click.echo(f"drain: {settings.journal_dir} (pid {os.getpid()})")
        run(settings, stop)
    except BanditError as exc:
        click.echo(f"bandit drain: {exc}", err=True)
        sys.exit(1)


def run(settings: Settings, stop: threading.Event) -> None:
    """Drain until `stop`, and then once more.

    Raises:
        BanditError: A setting or a migration that no waiting will mend.
    """
    store = _connected(settings, stop)
    if store is None:
        return
    sink = ClickHouseSink(store, now_ms=now_ms)
    drain = Drain(settings.journal_dir, sink, host=host_name(settings), now_ms=now_ms)
    try:
        while not stop.is_set():
            began_s = time.monotonic()
            _pass(drain)
            stop.wait(max(0.0, settings.drain_interval_s - (time.monotonic() - began_s)))
        _pass(drain)
    finally:
        drain.close()
        store.close()


def host_name(settings: Settings) -> str:
    """Under which progress is reported: this machine's name, and which of its journals it is."""
    place = str(settings.journal_dir.resolve()).encode()
    return f"{socket.gethostname()}-{hashlib.blake2b(place, digest_size=4).hexdigest()}"


def _connected(settings: Settings, stop: threading.Event) -> Store | None:
    """The store with its tables, as soon as it can be had; None if `stop` comes first."""
    is_told = False
    while not stop.is_set():
        try:
            store = open_store(settings)
            try:
                migrate(store)
            except BaseException:
                store.close()
                raise
        except StoreUnavailable as exc:
            if not is_told:
                log.warning("records wait in the journal: %s", exc)
            is_told = True
            stop.wait(RECONNECT_S)
        else:
            if is_told:
                log.warning("the store is there")
            return store
    return None


def _pass(drain: Drain) -> None:
    try:
        drain.step()
    except OSError as exc:  # of the journal's root itself; a pass later it may be there
        log.error("the journal can not be drained now: %s", exc)
        time.sleep(RECONNECT_S)
