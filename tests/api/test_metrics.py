"""Prometheus metrics: what is counted, and how workers' numbers meet."""

import os
import subprocess
import sys
from pathlib import Path

from litestar import Litestar
from litestar.testing import TestClient

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


WORKER = """
import sys
from pathlib import Path
from api.metrics import Meter, forget_the_dead
shared = Path(sys.argv[1])
forget_the_dead(shared, lambda pid: False)
meter = Meter(journal_dir=shared / "no journal", shared_dir=shared)
meter.accepted.labels("reward").inc(int(sys.argv[2]))
meter.rank_seconds.observe(0.001)
meter.store_reached.set(int(sys.argv[2]) > 1)
print(meter.text().decode())
"""


def test_workers_numbers_are_added_and_the_deads_gauges_forgotten(tmp_path: Path) -> None:
    environ = dict(os.environ) | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for run, (count, total) in enumerate(((1, 1), (2, 3)), start=1):
        shown = subprocess.run(
            [sys.executable, "-c", WORKER, tmp_path, str(count)],
            env=environ, capture_output=True, text=True, check=True, timeout=60,
        ).stdout.splitlines()  # fmt: skip
        assert f'bandit_accepted_records_total{{kind="reward"}} {float(total)}' in shown
        assert f"bandit_rank_seconds_count {float(run)}" in shown
        assert f"bandit_store_reached {float(count > 1)}" in shown
