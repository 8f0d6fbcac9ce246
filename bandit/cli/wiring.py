"""What composition roots share: the clock, the store and the salt that the settings name."""

import logging
import os
import time

from bandit import secrets
from bandit.settings import Settings
from bandit.store import opening
from bandit.store.client import Store


def now_ms() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def open_store(settings: Settings, *, readonly: bool = False, timeout_s: float = 10.0) -> Store:
    """`bandit.store.opening.open_store` with this machine's entropy."""
    return opening.open_store(settings, os.urandom, readonly=readonly, timeout_s=timeout_s)


def project_salt(settings: Settings) -> bytes:
    """`bandit.secrets.project_salt` with this machine's entropy."""
    return secrets.project_salt(settings, os.urandom)


def log_to_stderr(settings: Settings) -> None:
    """One line per event, from the level that the settings name."""
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for driver in ("urllib3", "clickhouse_connect"):  # they tell of each try what we tell once
        logging.getLogger(driver).setLevel(logging.ERROR)
