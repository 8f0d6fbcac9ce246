"""`bandit learn` as a process, over the real engine."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bandit.cli.wiring import now_ms
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.migrations import migrate
from bandit.store.snapshots import Snapshots
from tests.bandit.learning.conftest import policy_spec
from tests.bandit.learning.filling import RealLog
from tests.bandit.learning.making import decision, reward, surface
from tests.conftest import start_gateway, stop_gateway

pytestmark = pytest.mark.acceptance
WAIT_S = 30.0


class Process:
    """A running `bandit learn` whose lines can be waited for."""

    def __init__(self, store: Store, url: str, data_dir: Path, *arguments: str) -> None:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("BANDIT_")}
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "bandit", "learn", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **environ,
                "BANDIT_DATA_DIR": str(data_dir),
                "BANDIT_CLICKHOUSE_URL": url,
                "BANDIT_CLICKHOUSE_DATABASE": store.database,
                "BANDIT_LOG_LEVEL": "debug",
            },
        )
        self.lines: list[str] = []
        self._said = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            with self._said:
                self.lines.append(line)
                self._said.notify_all()

    def says(self, text: str) -> str:
        """The line with this text, once it is there."""

        def found() -> str | None:
            return next((line for line in self.lines if text in line), None)

        with self._said:
            assert self._said.wait_for(found, WAIT_S), "".join(self.lines)
            return found() or ""

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        try:
            return self.popen.wait(WAIT_S)
        finally:
            self.popen.kill()
            self._reader.join(WAIT_S)
            assert self.popen.stdout is not None
            self.popen.stdout.close()


Start = Callable[..., Process]


@pytest.fixture
def start(store: Store, clickhouse_url: str, tmp_path: Path) -> Iterator[Start]:
    started: list[Process] = []

    def start_one(*arguments: str) -> Process:
        started.append(Process(store, clickhouse_url, tmp_path, *arguments))
        return started[-1]

    yield start_one
    for process in started:
        process.end(signal.SIGKILL)


def declare(store: Store) -> None:
    definitions = Definitions(store)
    for spec in (surface(join_window_s=0.5), policy_spec()):
        definitions.put(spec, expected=None, author="", change_id=spec.key, now_ms=now_ms())


def happen(log: RealLog, first: int, last: int) -> None:
    """Decisions and rewards of a moment ago, whose window has ended."""
    at_ms = now_ms() - 2_000
    for n in range(first, last):
        one = decision(n, at_ms + n)
        log.write(one, reward(one, n % 2))
    log.drained(now_ms(), now_ms())


def test_it_learns_what_is_declared_later_ends_cleanly_and_is_rebuilt(
    store: Store, start: Start
) -> None:
    log = RealLog(store)
    learner = start()
    learner.says("learn: every policy (pid ")
    declare(store)
    happen(log, 0, 5)
    learner.says("started policy=vw")
    learner.says("published snapshot=vw@1")
    assert learner.end() == 0
    newest = Snapshots(store).newest("vw")
    assert newest is not None
    assert newest.trained == 5

    happen(log, 5, 8)
    again = start("vw")
    again.says(f"resumed snapshot=vw@{newest.number}")
    again.says(f"published snapshot=vw@{newest.number + 1} lessons=3")
    assert again.end(signal.SIGINT) == 0

    check = start("--rebuild", "vw")
    assert "equal after" in check.says(f"vw@{newest.number + 1}: ")
    assert check.popen.wait(WAIT_S) == 0


def test_a_rebuild_of_nothing_is_an_error_with_a_reason(store: Store, start: Start) -> None:
    process = start("--rebuild", "vw")
    process.says("bandit learn: policy 'vw' has no snapshot to rebuild")
    assert process.popen.wait(WAIT_S) == 1


def test_a_process_killed_at_any_time_goes_on_where_it_was(store: Store, start: Start) -> None:
    declare(store)
    log = RealLog(store)
    for round_n in range(3):
        happen(log, round_n * 4, round_n * 4 + 4)
        learner = start("vw")
        learner.says("published snapshot")
        learner.end(signal.SIGKILL)
    last = start("vw")
    last.says("resumed snapshot")
    assert last.end() == 0
    newest = Snapshots(store).newest("vw")
    assert newest is not None
    assert (newest.trained, newest.duplicate, newest.late) == (12, 0, 0)


def test_it_waits_for_a_store_that_is_away_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    gateway = start_gateway(tmp_path / "store")
    store = Store.connect(gateway.url(), database="bandit")
    learner = Process(store, gateway.url(), tmp_path)
    try:
        migrate(store)
        declare(store)
        learner.says("started policy=vw")
        stop_gateway(gateway)
        learner.says("waiting for the store")
        gateway = start_gateway(tmp_path / "store", "--port", str(gateway.port))
        learner.says("the store is back")
        happen(RealLog(store), 0, 3)
        learner.says("published snapshot=vw@1 lessons=3")
        stop_gateway(gateway)
        assert learner.end() == 0
        assert sum("waiting for the store" in line for line in learner.lines) <= 2
    finally:
        learner.end(signal.SIGKILL)
        store.close()
        if gateway.process.poll() is None:
            stop_gateway(gateway)
