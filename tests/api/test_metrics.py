"""Prometheus metrics: what is counted, and how workers' numbers meet."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api.metrics import Meter
from api.metrics_host import STALE_S, HostMeter
from api.observing import look
from bandit.service.metering import Sheet
from tests.api.conftest import World
from tests.bandit.service.making import wait_until

RANK = {"surface": "home.feed", "unit_id": "u", "actions": [{"id": "a"}]}


def test_what_a_worker_does_is_counted(client: TestClient[Litestar], world: World) -> None:
    for _ in range(3):
        client.post("/v1/rank", json=RANK)
    reward = {"event_id": world.event_id(), "value": 1.0}
    client.post("/v1/rewards", json=[reward, reward | {"slot": 1}])
    client.post("/v1/rank", json={})
    client.get("/v1/metrics/nothing")
    wait_until(lambda: "bandit_snapshot_number{" in client.get("/metrics").text)
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    lines = response.text.splitlines()
    assert "bandit_rank_seconds_count 3.0" in lines
    assert 'bandit_accepted_records_total{kind="reward"} 2.0' in lines
    assert 'bandit_refused_requests_total{type="bad_record"} 1.0' in lines
    assert 'bandit_refused_requests_total{type="not_declared"} 1.0' in lines
    assert 'bandit_snapshot_number{policy="random"} 0.0' in lines
    assert "bandit_store_reached 1.0" in lines
    assert f"bandit_journal_bytes {float(world.journal_bytes)}" in lines


def test_every_protocols_answers_are_counted(client: TestClient[Litestar], world: World) -> None:
    client.post("/personalizer/v1.0/rank", json={"actions": [{"id": "a", "features": [{}]}]},
                headers={"x-bandit-surface": "home.feed"})  # fmt: skip
    client.post("/ofrep/v1/evaluate/flags", json={"context": {"targetingKey": "u"}})
    client.post("/ofrep/v1/evaluate/flags/nothing", json={"context": {"targetingKey": "u"}})
    outcome = {"unit_id": "u", "name": "revenue", "value": 1.0}
    client.post("/v1/outcomes", json=[outcome, outcome])
    lines = client.get("/metrics").text.splitlines()
    answered = [line for line in lines if line.startswith("bandit_answered_requests_total")]
    assert answered == [
        'bandit_answered_requests_total{operation="rank",protocol="personalizer"} 1.0',
        'bandit_answered_requests_total{operation="evaluate_all",protocol="ofrep"} 1.0',
        'bandit_answered_requests_total{operation="record_outcomes",protocol="bandit"} 1.0',
    ]
    assert 'bandit_refused_requests_total{type="not_declared"} 1.0' in lines
    assert 'bandit_accepted_records_total{kind="outcome"} 2.0' in lines


def test_what_was_journaled_is_told_by_table(client: TestClient[Litestar], world: World) -> None:
    client.post("/v1/rank", json=RANK)
    look(world.services, late_s=0.25)
    look(world.services, late_s=0.25)
    lines = client.get("/metrics").text.splitlines()
    assert 'bandit_journaled_records_total{table="decisions"} 1.0' in lines
    assert f"bandit_journaled_bytes_total {float(world.journal.appended_bytes)}" in lines
    assert "bandit_journal_pressure 0.0" in lines
    assert 'bandit_process_gc_collections_total{generation="2",process="api"}' in str(lines)


class Sheets:
    """A host on which other processes write sheets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "metrics"
        self.now_s = 1_000_000.0
        self.meter = Meter(
            journal_dir=folder / "journal",
            shared_dir=None,
            host=HostMeter(
                journal_dir=folder / "journal", sheets_dir=self.folder, now_s=lambda: self.now_s
            ),
        )

    def write(self, name: str, text: str | None = None) -> None:
        sheet = Sheet(self.folder, name, monotonic_s=lambda: 0.0)
        sheet.write()
        if text is not None:
            sheet.path.write_text(text)
        os.utime(sheet.path, (self.now_s, self.now_s))

    def lines(self) -> list[str]:
        return self.meter.text().decode().splitlines()


def test_the_numbers_of_other_processes_stand_beside_the_workers(tmp_path: Path) -> None:
    host = Sheets(tmp_path)
    host.meter.worker(late_s=0.0, shadows_failed=0)
    host.write("drain")
    host.write("learn-vw")
    lines = host.lines()
    for process in ("api", "drain", "learn"):
        found = [line for line in lines if line.startswith("bandit_process_resident_bytes{")]
        assert any(f'process="{process}"' in line for line in found)
    assert 'bandit_process_silent_seconds{process="learn-vw"} 0.0' in lines
    types = [line for line in lines if line.startswith("# TYPE")]
    assert len(types) == len(set(types))


def test_numbers_that_are_old_are_left_out_and_their_age_is_told(tmp_path: Path) -> None:
    host = Sheets(tmp_path)
    host.write("drain")
    host.now_s += STALE_S + 1
    lines = host.lines()
    assert f'bandit_process_silent_seconds{{process="drain"}} {STALE_S + 1}' in lines
    assert not any('process="drain"' in line for line in lines if "resident" in line)


@pytest.mark.parametrize("text", ["", "rubbish {", "# TYPE x\n", "x{ 1", "\x00\xff"])
def test_a_sheet_that_can_not_be_read_spoils_no_other(tmp_path: Path, text: str) -> None:
    host = Sheets(tmp_path)
    host.write("drain", text)
    host.write("learn")
    lines = host.lines()
    assert 'bandit_process_silent_seconds{process="drain"} 0.0' in lines
    assert any('process="learn"' in line for line in lines if "resident" in line)


WORKER = """
import sys
from pathlib import Path
from api.metrics import Meter
from api.metrics_shared import bury_the_dead
shared = Path(sys.argv[1])
bury_the_dead(shared, lambda pid: False)
meter = Meter(journal_dir=shared / "no journal", shared_dir=shared)
meter.accepted.labels("reward").inc(int(sys.argv[2]))
meter.rank_seconds.observe(0.001)
meter.store_reached.set(int(sys.argv[2]) > 1)
print(meter.text().decode())
"""


LEAVING = """
import sys
from pathlib import Path
from api.metrics import Meter
shared = Path(sys.argv[1])
meter = Meter(journal_dir=shared / "no journal", shared_dir=shared)
meter.accepted.labels("reward").inc()
meter.store_reached.set(0)
meter.close()
print(meter.text().decode())
"""


def test_a_worker_that_ends_leaves_its_counts_but_not_its_state(tmp_path: Path) -> None:
    environ = dict(os.environ) | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    shown = subprocess.run(
        [sys.executable, "-c", LEAVING, tmp_path],
        env=environ, capture_output=True, text=True, check=True, timeout=60,
    ).stdout.splitlines()  # fmt: skip
    assert 'bandit_accepted_records_total{kind="reward"} 1.0' in shown
    assert not [line for line in shown if line.startswith("bandit_store_reached")]


def test_workers_numbers_are_added_and_the_deads_gauges_forgotten(tmp_path: Path) -> None:
    environ = dict(os.environ) | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    runs = ((1, 1), (2, 3), (3, 6), (4, 10))
    for run, (count, total) in enumerate(runs, start=1):
        shown = subprocess.run(
            [sys.executable, "-c", WORKER, tmp_path, str(count)],
            env=environ, capture_output=True, text=True, check=True, timeout=60,
        ).stdout.splitlines()  # fmt: skip
        assert f'bandit_accepted_records_total{{kind="reward"}} {float(total)}' in shown
        assert f"bandit_rank_seconds_count {float(run)}" in shown
        assert f"bandit_store_reached {float(count > 1)}" in shown
    # Symptom: two files more for every worker that ever died.
    found = {path.name.rpartition("_")[2] for path in tmp_path.glob("counter_*.db")}
    assert len(found) == 2
    assert "0.db" in found
