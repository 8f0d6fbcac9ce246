"""The real drain over a real ClickHouse that is killed in the middle of its inserts."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bandit.journal import Drain, Journal
from bandit.journal.base import Entry
from bandit.store.client import Store
from bandit.store.migrations import migrate
from bandit.store.sink import ClickHouseSink
from tests.bandit.journal.fakes import decision, is_empty, reward
from tests.conftest import Gateway, start_gateway, stop_gateway
from tests.until import until

pytestmark = pytest.mark.acceptance

KILLS = 4
APPENDS = 60


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class KillableGateway:
    """A gateway that comes back on its port with its data."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.running: Gateway = start_gateway(data_dir)

    def kill_and_restart(self) -> None:
        os.killpg(self.running.process.pid, signal.SIGKILL)
        self.running.process.communicate()
        self.running = start_gateway(self.data_dir, "--port", str(self.running.port))


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[KillableGateway]:
    gateway = KillableGateway(tmp_path)
    yield gateway
    stop_gateway(gateway.running)


@pytest.fixture
def sink(gateway: KillableGateway) -> Iterator[ClickHouseSink]:
    store = Store.connect(gateway.running.url(), database="bandit", timeout_s=5.0)
    migrate(store)
    yield ClickHouseSink(store, now_ms=now_ms)
    store.close()


def test_kill_9_of_the_store_loses_no_accepted_record(
    gateway: KillableGateway, sink: ClickHouseSink, tmp_path: Path
) -> None:
    root, stop = tmp_path / "journal", threading.Event()
    journal = Journal(
        root, writer="w1", durability="process", now_ms=now_ms, max_bytes=20_000, max_age_s=5.0
    )
    drain = Drain(root, sink, host="h1", now_ms=now_ms)

    def keep_draining() -> None:
        while not stop.is_set():
            drain.step()

    draining = threading.Thread(target=keep_draining)
    draining.start()
    decisions: list[Entry] = []
    rewards: list[Entry] = []
    try:
        for n in range(1, KILLS * APPENDS + 1):
            decisions.append(Entry(n, decision(n, ts_ms=now_ms())))
            rewards.append(Entry(n, reward(n, ts_ms=now_ms())))
            journal.append_many([decisions[-1].record, rewards[-1].record])
            time.sleep(0.005)  # let it be in many inserts; nothing depends on how many
            if n % APPENDS == 0:
                gateway.kill_and_restart()
        journal.close()
        until(lambda: is_empty(root), "the end of the journal", within_s=60.0)
    finally:
        stop.set()
        draining.join()
        drain.close()
    assert sink.missing("decisions", "w1", decisions) == []
    assert sink.missing("rewards", "w1", rewards) == []
    assert drain.counts["delivered"] == 2 * len(decisions)
    assert drain.counts["rejected"] == 0
