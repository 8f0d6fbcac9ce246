"""Fixtures that several rooms share."""

import gc
import os
import selectors
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from bandit.store.client import Store
from tests.databases import Databases
from tests.memory import memory

START_S = 30.0
FILES_BYTES = 4 << 30
"""Room for what tests write, of which they need far less."""


def pytest_configure() -> None:
    """Keep what tests write in memory, where there is room.

    Journals and ClickHouse synchronise what they write: tests would wait for the disk for as long
    as they work.
    """
    if folder := memory(FILES_BYTES):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", folder)


def pytest_collection() -> None:
    """Let the collector of garbage be until all tests are known: little of theirs is any."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Leave ten thousand tests and their modules out of every search for garbage from now on.

    Each took more than half a second otherwise, and they were a third of some tests' time.
    """
    gc.freeze()
    gc.enable()


class Gateway(NamedTuple):
    """A running `bandit gateway`: a real process on a real port."""

    process: subprocess.Popen[str]
    data_dir: Path
    host: str
    port: int

    def url(self, user: str = "default") -> str:
        """`http://user:password@host:port`, as clickhouse-connect's `dsn` and our Store take it."""
        name = {"default": "clickhouse_password", "reader": "clickhouse_readonly_password"}[user]
        password = (self.data_dir / "secrets" / name).read_text()
        return f"http://{user}:{password}@{self.host}:{self.port}"


def start_gateway(data_dir: Path, *options: str) -> Gateway:
    """Start a gateway on a free port and wait until it answers."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("BANDIT_")}
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "bandit",
            "gateway",
            "--data-dir",
            data_dir,
            "--port",
            "0",
            *options,
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
        start_new_session=True,  # a signal to its process group must not reach the tests
    )
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(START_S):
            process.kill()
            pytest.fail(f"the gateway said nothing for {START_S} s")
    line = process.stdout.readline()
    assert line, f"the gateway ended with {process.wait(START_S)}"
    host, port = line.split("http://")[1].split("/")[0].rsplit(":", 1)
    gateway = Gateway(process, data_dir, host, int(port))
    with urllib.request.urlopen(f"http://{host}:{port}/ping", timeout=START_S) as response:
        assert response.read() == b"Ok.\n"
    return gateway


def stop_gateway(gateway: Gateway) -> int:
    """End it as a supervisor would, and return its exit code."""
    gateway.process.terminate()
    try:
        return gateway.process.wait(10)
    except subprocess.TimeoutExpired:
        gateway.process.kill()
        gateway.process.wait()
        pytest.fail("the gateway did not end within 10 s of SIGTERM")
    finally:
        assert gateway.process.stdout is not None
        gateway.process.stdout.close()


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One embedded ClickHouse for all tests: use a database of your own in it."""
    running = start_gateway(tmp_path_factory.mktemp("gateway"))
    yield running
    stop_gateway(running)


@pytest.fixture(scope="session")
def clickhouse_url(request: pytest.FixtureRequest) -> str:
    """URL with credentials of the ClickHouse under test.

    The embedded gateway, unless BANDIT_TEST_CLICKHOUSE_URL names a real server.
    """
    given = os.environ.get("BANDIT_TEST_CLICKHOUSE_URL")
    if given:
        return given
    running: Gateway = request.getfixturevalue("gateway")
    return running.url()


@pytest.fixture(scope="session")
def databases(clickhouse_url: str) -> Iterator[Databases]:
    """Where tests get databases from, and give them back to."""
    pool = Databases(clickhouse_url)
    yield pool
    pool.close()


@pytest.fixture
def store(databases: Databases, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store connected to an empty, migrated database of its own."""
    yield from lent(databases, request)


def lent(databases: Databases, request: pytest.FixtureRequest) -> Iterator[Store]:
    """For a fixture of any scope: an empty database, which is not used again if a test failed."""
    failed_n = request.session.testsfailed
    borrowed = databases.lend()
    yield borrowed
    databases.take_back(borrowed, is_sound=request.session.testsfailed == failed_n)
