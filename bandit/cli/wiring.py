"""What composition roots share: the clock, the store and the salt that the settings name."""

import logging
import os
import time

from bandit.cli.secrets import secret
from bandit.settings import Settings
from bandit.store.client import Store


def now_ms() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def open_store(settings: Settings, *, readonly: bool = False, timeout_s: float = 10.0) -> Store:
    """Connect to the ClickHouse of the settings, or else to the local gateway.

    Args:
        settings: Of this process.
        readonly: As the gateway's user that can change nothing, and with such a session.
        timeout_s: How long to wait for an answer.

    Raises:
        StoreUnavailable: Nobody answers there.
    """
    user, name = "default", "clickhouse_password"
    if readonly and settings.clickhouse_url is None:
        user, name = "reader", "clickhouse_readonly_password"
    local = settings.clickhouse_url is None
    return Store.connect(
        settings.clickhouse_url or f"http://127.0.0.1:{settings.gateway_port}",
        database=settings.clickhouse_database,
        user=user,
        password=secret(settings.data_dir, name, os.urandom) if local else "",
        cluster=settings.clickhouse_cluster,
        readonly=readonly,
        timeout_s=timeout_s,
    )


def project_salt(settings: Settings) -> bytes:
    """The secret that seeds every draw, made on first use unless it is set."""
    return (settings.salt or secret(settings.data_dir, "salt", os.urandom)).encode()


def log_to_stderr(settings: Settings) -> None:
    """One line per event, from the level that the settings name."""
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for driver in ("urllib3", "clickhouse_connect"):  # they tell of each try what we tell once
        logging.getLogger(driver).setLevel(logging.ERROR)
