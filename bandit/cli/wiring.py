"""What composition roots share: the clock, the store and the salt that the settings name."""

import logging
import os
import time
from typing import Any

import click

from bandit import logs, secrets
from bandit.journal.clock import HostClock
from bandit.logs import tell
from bandit.service.metering import FOLDER, Sheet
from bandit.settings import Settings
from bandit.store import opening
from bandit.store.client import Store
from bandit.store.migrations import migrate

log = logging.getLogger(__name__)


def now_ms() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def host_clock(settings: Settings) -> HostClock:
    """The clock of whoever writes or delivers this host's journal."""
    return HostClock(settings.journal_dir, wall_ns=time.time_ns, monotonic_ns=time.monotonic_ns)


def open_store(settings: Settings, *, readonly: bool = False, timeout_s: float = 10.0) -> Store:
    """`bandit.store.opening.open_store` with this machine's entropy."""
    return opening.open_store(settings, os.urandom, readonly=readonly, timeout_s=timeout_s)


def open_migrated(settings: Settings, *, timeout_s: float = 10.0) -> Store:
    """`open_store`, and its tables as this version wants them.

    Raises:
        StoreUnavailable: The store is not there; nothing is left open.
        BanditError: A setting or a migration that no waiting will mend.
    """
    store = open_store(settings, timeout_s=timeout_s)
    try:
        migrate(store)
    except BaseException:
        store.close()
        raise
    return store


def project_salt(settings: Settings) -> bytes:
    """`bandit.secrets.project_salt` with this machine's entropy."""
    return secrets.project_salt(settings, os.urandom)


def log_to_stderr(settings: Settings, process: str = "bandit") -> None:
    """One line per event, from the level and in the format that the settings name."""
    logs.configure(process, level=settings.log_level, how=settings.log_format)


def announce(settings: Settings, process: str, line: str, **fields: Any) -> None:
    """Say that a process begins its work: to people on standard output, to machines in the log.

    Args:
        settings: Whose log format decides.
        process: Its name.
        line: What people read after that name.
        fields: The same for machines.
    """
    if settings.log_format == "json":
        tell(log, logging.INFO, "started", line.replace("%", "%%"), pid=os.getpid(), **fields)
    else:
        click.echo(f"{process}: {line} (pid {os.getpid()})")


def sheet(settings: Settings, process: str) -> Sheet:
    """Where a process of this host writes its metrics."""
    return Sheet(settings.data_dir / FOLDER, process, monotonic_s=time.monotonic)
