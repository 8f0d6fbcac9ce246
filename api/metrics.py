"""Prometheus metrics of every worker of a host, merged when they are read."""

import os
from collections.abc import Callable
from pathlib import Path

from litestar import Response, get
from litestar.di import NamedDependency
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from api.problems import Problem
from bandit.service.serving_state import ServingState

BUCKETS_S = (
    0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
)  # fmt: skip


class Meter:
    """Counts what this worker does."""

    def __init__(self, *, journal_dir: Path, shared_dir: Path | None) -> None:
        """Make the metrics.

        Args:
            journal_dir: Whose size is reported.
            shared_dir: Where the workers of this host keep their numbers, the
                `PROMETHEUS_MULTIPROC_DIR` they were started with; None: this process is alone.
        """
        self._journal_dir = journal_dir
        self._shared_dir = shared_dir
        self._registry = registry = CollectorRegistry()
        self.accepted = Counter(
            "bandit_accepted", "Records made durable, by kind.", ["kind"], registry=registry
        )
        self.refused = Counter(
            "bandit_refused", "Requests answered with a problem, by type.", ["type"],
            registry=registry,
        )  # fmt: skip
        self.rank_seconds = Histogram(
            "bandit_rank_seconds", "Decisions made and journaled: request to answer.",
            buckets=BUCKETS_S, registry=registry,
        )  # fmt: skip
        self.snapshot_number = Gauge(
            "bandit_snapshot_number", "Snapshot that serves; the lowest of all workers.",
            ["policy"], registry=registry, multiprocess_mode="livemin",
        )  # fmt: skip
        self.snapshot_created = Gauge(
            "bandit_snapshot_created_timestamp_seconds", "When that snapshot was made.",
            ["policy"], registry=registry, multiprocess_mode="livemin",
        )  # fmt: skip
        self.store_reached = Gauge(
            "bandit_store_reached", "1 if ClickHouse answered this worker's last look.",
            registry=registry, multiprocess_mode="livemin",
        )  # fmt: skip

    def serving(self, state: ServingState, *, store_reached: bool) -> None:
        """Take over what serves now."""
        for key, policy in state.policies.items():
            self.snapshot_number.labels(key).set(policy.snapshot)
            self.snapshot_created.labels(key).set(policy.created_ms / 1000)
        self.store_reached.set(store_reached)

    def refuse(self, problem: Problem) -> None:
        """Count a problem that is answered."""
        self.refused.labels(problem.type).inc()

    def text(self) -> bytes:
        """Everything in Prometheus' text format; reads files."""
        if self._shared_dir is None:
            shown = generate_latest(self._registry)
        else:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=str(self._shared_dir))  # type: ignore[no-untyped-call]
            shown = generate_latest(registry)
        now = CollectorRegistry()
        size = Gauge("bandit_journal_bytes", "Size of this host's journal.", registry=now)
        size.set(folder_bytes(self._journal_dir))
        return shown + generate_latest(now)


def folder_bytes(folder: Path) -> int:
    """Size of the files under a folder, as far as they are still there when looked at."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(root) / name).stat().st_size
            except FileNotFoundError:  # the drain has unlinked it
                continue
    return total


def forget_the_dead(shared_dir: Path, is_alive: Callable[[int], bool]) -> None:
    """Drop the gauges of workers that are no more; their counters stay."""
    for path in shared_dir.glob("gauge_live*.db"):
        pid = int(path.stem.rpartition("_")[2])
        if not is_alive(pid):
            mark_process_dead(pid, str(shared_dir))  # type: ignore[no-untyped-call]


@get("/metrics", sync_to_thread=True, include_in_schema=False)
def metrics(meter: NamedDependency[Meter]) -> Response[bytes]:
    """Prometheus metrics."""
    return Response(meter.text(), media_type=CONTENT_TYPE_LATEST)
