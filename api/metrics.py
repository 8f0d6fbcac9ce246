"""Prometheus metrics of every process of a host, merged when they are read.

Workers share files (`PROMETHEUS_MULTIPROC_DIR`), so that any of them answers for all; drain and
learner write sheets (`bandit.service.metering`). What each number means and when to worry is in
OBSERVABILITY.md; a test holds that table and this registry equal.
"""

import os
from collections import Counter as Numbers
from collections.abc import Callable, Mapping
from pathlib import Path

from litestar import Response, get
from litestar.di import NamedDependency
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    generate_latest,
)

from api.metrics_host import HostMeter, merged
from api.metrics_shared import collected, forget_gauges
from api.problems import Problem
from bandit.service.key_ring import Principal
from bandit.service.metering import ProcessMeter
from bandit.service.serving_state import Serving, ServingState

BUCKETS_S = (
    0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
)  # fmt: skip


class Meter:
    """Counts what this worker does."""

    def __init__(
        self, *, journal_dir: Path, shared_dir: Path | None, host: HostMeter | None = None
    ) -> None:
        """Make the metrics.

        Args:
            journal_dir: Whose size is reported.
            shared_dir: Where the workers of this host keep their numbers, the
                `PROMETHEUS_MULTIPROC_DIR` they were started with; None: this process is alone.
            host: What is told besides the workers; None: the journal.
        """
        self._shared_dir = shared_dir
        self._host = host or HostMeter(journal_dir=journal_dir, sheets_dir=None, now_s=lambda: 0.0)
        self._registry = CollectorRegistry()
        self._journaled: Numbers[str] = Numbers()
        self._totals: Numbers[str] = Numbers()
        self.inside: Callable[[], int] = lambda: 0
        """How many requests are inside now, as the door knows."""
        self._count_requests()
        self._count_records()
        self._show_serving()
        self._process = ProcessMeter(self._registry, "api")

    def _count_requests(self) -> None:
        registry = self._registry
        self.refused = Counter(
            "bandit_refused_requests", "Requests answered with a problem, by its type.", ["type"],
            registry=registry,
        )  # fmt: skip
        self.shed_requests = Counter(
            "bandit_shed_requests", "Requests refused at the door because too many were inside.",
            registry=registry,
        )  # fmt: skip
        self.answered = Counter(
            "bandit_answered_requests",
            "Requests answered without a problem, but for the two hot routes, by protocol (bandit, "
            "ofrep, personalizer) and operation.",
            ["protocol", "operation"], registry=registry,
        )  # fmt: skip
        self.rank_seconds = Histogram(
            "bandit_rank_seconds", "POST /v1/rank: from the request's last byte to its answer.",
            buckets=BUCKETS_S, registry=registry,
        )  # fmt: skip
        self.open_requests = Gauge(
            "bandit_open_requests", "Requests inside at the last look, of all workers.",
            registry=registry, multiprocess_mode="livesum",
        )  # fmt: skip
        self.loop_late = Gauge(
            "bandit_loop_late_seconds",
            "How much too late the event loop came back to a task, in the worst worker.",
            registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip

    def _count_records(self) -> None:
        registry = self._registry
        self.accepted = Counter(
            "bandit_accepted_records",
            "What clients were told is accepted, by kind: reward, exposure, outcome.",
            ["kind"], registry=registry,
        )  # fmt: skip
        self.unlogged = Counter(
            "bandit_unlogged_records",
            "What was answered and is not in the log, by kind: decisions under pressure, and the "
            "rewards and exposures that came for them.",
            ["kind"], registry=registry,
        )  # fmt: skip
        self.keep_share = Gauge(
            "bandit_keep_share",
            "Share of the decisions that is logged, in the worker that keeps least; below 1 while "
            "the disk fills up or ClickHouse does not keep up.",
            registry=registry, multiprocess_mode="livemin",
        )  # fmt: skip
        self.journaled_records = Counter(
            "bandit_journaled_records", "Records written to the journal, by table of the log.",
            ["table"], registry=registry,
        )  # fmt: skip
        self.journaled_bytes = Counter(
            "bandit_journaled_bytes", "Bytes written to the journal.", registry=registry
        )
        self.journal_pressure = Gauge(
            "bandit_journal_pressure",
            "How full the disk is for the journal: 0 well, 1 warned of, 2 optional records are "
            "not written, 3 nothing is.",
            registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip

    def _show_serving(self) -> None:
        registry = self._registry
        self.snapshot_number = Gauge(
            "bandit_snapshot_number", "Snapshot that serves; 0 is the policy as declared.",
            ["policy"], registry=registry, multiprocess_mode="liveall",
        )  # fmt: skip
        self.snapshot_created = Gauge(
            "bandit_snapshot_created_timestamp_seconds",
            "When that snapshot was made, seconds since 1970; its age is time() minus this.",
            ["policy"], registry=registry, multiprocess_mode="liveall",
        )  # fmt: skip
        self.refused_snapshot = Gauge(
            "bandit_refused_snapshot_number",
            "A newer snapshot than serves that failed its digest or canary; 0 or absent: none.",
            ["policy"], registry=registry, multiprocess_mode="livemax",
        )  # fmt: skip
        self.definitions_revision = Gauge(
            "bandit_definitions_revision", "Changes of definitions that a worker knows of.",
            registry=registry, multiprocess_mode="livemin",
        )  # fmt: skip
        self.store_reached = Gauge(
            "bandit_store_reached", "1 if ClickHouse answered the last look of every worker.",
            registry=registry, multiprocess_mode="livemin",
        )  # fmt: skip
        self.shadows_failed = Counter(
            "bandit_shadow_failures", "Shadow policies that gave no distribution.",
            registry=registry,
        )  # fmt: skip

    def serving(
        self,
        state: ServingState,
        *,
        store_reached: bool,
        refused: Mapping[str, int] | None = None,
    ) -> None:
        """Take over what serves now.

        Args:
            state: What serves.
            store_reached: Whether the last look at the store worked.
            refused: Snapshots that do not serve, by policy.
        """
        for key, policy in state.policies.items():
            self.snapshot_number.labels(key).set(policy.snapshot)
            if policy.snapshot:
                self.snapshot_created.labels(key).set(policy.created_ms / 1000)
        for key, number in (refused or {}).items():
            serves = state.policies.get(key)
            self.refused_snapshot.labels(key).set(
                0 if serves is not None and serves.snapshot > number else number
            )
        if state.revision is not None:
            self.definitions_revision.set(state.revision)
        self.store_reached.set(store_reached)

    def count_unlogged(self, kind: str, n: int) -> None:
        """Count what came for decisions that are not in the log."""
        self.unlogged.labels(kind).inc(n)

    def journaled(self, records: Mapping[str, int], total_bytes: int) -> None:
        """Take over what the journal was given since it was opened, by table."""
        for table, total in records.items():
            self.journaled_records.labels(table).inc(total - self._journaled[table])
            self._journaled[table] = total
        self._rise(self.journaled_bytes, "bytes", total_bytes)

    def worker(self, *, late_s: float, shadows_failed: int) -> None:
        """Take over how this worker is; looks into /proc."""
        self.loop_late.set(max(0.0, late_s))
        self.open_requests.set(self.inside())
        self._rise(self.shadows_failed, "shadows", shadows_failed)
        self._process.look()

    def refuse(self, problem: Problem) -> None:
        """Count a problem that is answered."""
        self.refused.labels(problem.type).inc()

    def shed(self, problem: Problem) -> None:
        """Count a problem that is answered at the door."""
        self.shed_requests.inc()
        self.refuse(problem)

    def text(self, sees: Callable[[Mapping[str, str]], bool] = lambda _: True) -> bytes:
        """Everything in Prometheus' text format; reads files.

        Args:
            sees: Whether numbers of these labels are shown.
        """
        if self._shared_dir is None:
            own = list(self._registry.collect())
        else:
            own = collected(self._shared_dir)
        families = merged(own, self._host.families())
        for family in families:
            family.samples = [each for each in family.samples if sees(each.labels)]
        return generate_latest(_Families(families))

    def close(self) -> None:
        """Take back what was only true of this worker while it lived."""
        if self._shared_dir is not None:
            forget_gauges(self._shared_dir, os.getpid())

    def _rise(self, counter: Counter, name: str, total: int) -> None:
        counter.inc(max(0, total - self._totals[name]))
        self._totals[name] = total


class _Families:
    """Families that are there already, for a function that wants to collect them."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


@get("/metrics", sync_to_thread=True, include_in_schema=False)
def metrics(
    meter: NamedDependency[Meter],
    serving: NamedDependency[Serving],
    principal: NamedDependency[Principal],
) -> Response[bytes]:
    """Prometheus metrics; of policies, those of the key's project."""
    policies = serving.state.of(principal.project).policies

    def sees(labels: Mapping[str, str]) -> bool:
        return principal.project is None or labels.get("policy", "") in {"", *policies}

    return Response(meter.text(sees), media_type=CONTENT_TYPE_LATEST)
