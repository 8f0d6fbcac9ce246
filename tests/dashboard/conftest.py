"""A seeded store, and a dashboard over it as a real process."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from bandit.store.client import Store
from bandit.store.migrations import migrate
from tests.conftest import Gateway
from tests.dashboard.seeding import LASTED_MS, keep, note, seed

ROOT = Path(__file__).parents[2]
START_S = 120.0


class Seeded(NamedTuple):
    """A store with five minutes of traffic, whose reports are kept.

    Attributes:
        environ: With which a process finds it.
        kept_ms: As of when they are kept, the oldest first; by the last everything has counted.
    """

    store: Store
    environ: dict[str, str]
    kept_ms: tuple[int, int]


class Dashboard(NamedTuple):
    """A running `bandit dashboard`."""

    url: str
    seeded: Seeded


def environ_of(gateway: Gateway, database: str) -> dict[str, str]:
    """The environment of a process that uses the gateway."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("BANDIT_", "STREAMLIT_"))}
    return plain | {
        "BANDIT_DATA_DIR": str(gateway.data_dir),
        "BANDIT_GATEWAY_PORT": str(gateway.port),
        "BANDIT_CLICKHOUSE_DATABASE": database,
    }


def open_database(gateway: Gateway) -> tuple[Store, str]:
    """A fresh, migrated database."""
    database = f"dashboard_{uuid.uuid4().hex}"
    store = Store.connect(gateway.url(), database=database)
    migrate(store)
    return store, database


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """AppTest puts its script in place of `__main__`, which processes spawned later would run."""
    ours = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = ours


@pytest.fixture(scope="session")
def seeded(gateway: Gateway) -> Iterator[Seeded]:
    """A store some minutes into an experiment, with `bandit refresh` beside it."""
    store, database = open_database(gateway)
    now_ms = time.time_ns() // 1_000_000_000 * 1000  # pages tell their times in seconds
    ended_ms = now_ms - 10_000  # so that nothing waits for its join window any more
    seed(store, ended_ms)
    note(store, ended_ms - LASTED_MS + 1000)
    kept_ms = (ended_ms - 60_000, now_ms)
    for at_ms in kept_ms:
        keep(store, at_ms)
    yield Seeded(store, environ_of(gateway, database), kept_ms)
    store.close()


def start_dashboard(environ: dict[str, str], port: int = 0) -> tuple[subprocess.Popen[str], str]:
    """Start `bandit dashboard`, on a free port unless one is given, and wait until it answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bandit", "dashboard", "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
        cwd=ROOT,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "http://" in line, f"bandit dashboard said {line!r}"
    url = line.split()[1]
    deadline = time.monotonic() + START_S
    while True:
        try:
            if httpx.get(f"{url}_stcore/health", trust_env=False).is_success:
                return process, url
        except httpx.TransportError:
            pass
        assert process.poll() is None, f"bandit dashboard ended with {process.returncode}"
        assert time.monotonic() < deadline, "bandit dashboard did not answer"
        time.sleep(0.05)


def stop_dashboard(process: subprocess.Popen[str]) -> None:
    """End it as a supervisor would."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture(scope="session")
def dashboard(seeded: Seeded) -> Iterator[Dashboard]:
    """The dashboard over the seeded store."""
    process, url = start_dashboard(seeded.environ)
    yield Dashboard(url, seeded)
    stop_dashboard(process)
