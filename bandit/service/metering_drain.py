"""The drain's metrics: what it shipped, tried again, missed, set aside, and how far behind it is.

`MeteredSink` stands between the drain and the store, so neither knows that it is watched; it is
also where logged propensities are audited, on the very rows that were stored.
"""

from collections import Counter as Numbers
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, cast

from prometheus_client import Counter, Gauge, Histogram

from bandit.errors import StoreRejected
from bandit.journal.base import Entry, Progress, Sink
from bandit.journal.drain import DrainStep
from bandit.journal.frames import encode
from bandit.records import Decision
from bandit.service.auditing import PropensityAudit
from bandit.service.metering import Sheet

AUDITED_N = 500
"""Of each block so many decisions are audited at most, evenly spread."""
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class DrainMeter:
    """Counts what a host's drain does."""

    def __init__(self, sheet: Sheet, *, now_ms: Callable[[], int]) -> None:
        """Make the metrics; nothing is written yet.

        Args:
            sheet: Where they are written.
            now_ms: The clock that also stamps records on this host.
        """
        self._sheet = sheet
        self._now_ms = now_ms
        self._before: Numbers[str] = Numbers()
        self.audit = PropensityAudit()
        self.bytes_per_row = 0.0
        """Of late, about; 0 before anything was stored."""
        self.store_failed = False
        """Something went wrong with the store in this pass."""
        self._shown: set[Gauge] = set()
        self._sink_metrics()
        self._pass_metrics()
        self._audit_metrics()

    def _sink_metrics(self) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"bandit_drain_{name}", text, ["table"], registry=self._sheet.registry)

        self.shipped_rows = counter("shipped_rows", "Rows that ClickHouse took.")
        self.shipped_blocks = counter("shipped_blocks", "Blocks of rows that ClickHouse took.")
        self.retried_blocks = counter(
            "retried_blocks", "Blocks sent again because nobody knew what became of them."
        )
        self.failed_blocks = counter(
            "failed_blocks", "Sendings after which nobody knew whether the rows were stored."
        )
        self.refused_blocks = counter(
            "refused_blocks", "Blocks that ClickHouse refused; they are halved to find the bad row."
        )
        self.checked_rows = counter("checked_rows", "Rows that were looked for in ClickHouse.")
        self.missing_rows = counter(
            "missing_rows", "Rows that were looked for and not there; they are sent again."
        )
        self.insert_seconds = Histogram(
            "bandit_drain_insert_seconds", "How long ClickHouse took over a block, also in vain.",
            ["table"], buckets=BUCKETS_S, registry=self._sheet.registry,
        )  # fmt: skip

    def _pass_metrics(self) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"bandit_drain_{name}", text, registry=self._sheet.registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"bandit_drain_{name}", text, registry=None)

        self._counted = {
            "rejected": counter("rejected_rows", "Rows set aside because ClickHouse refused them."),
            "spoilt": counter(
                "spoilt_pieces", "Pieces of journal files that hold no record and were set aside."
            ),
            "resent": counter(
                "resent_rows", "Rows sent again because ClickHouse turned out not to have them."
            ),
            "removed": counter(
                "removed_segments", "Journal files removed, all their rows being in ClickHouse."
            ),
        }
        self._reached = gauge("store_reached", "1 if ClickHouse was there for the last pass.")
        self._lag = gauge(
            "lag_seconds", "Everything accepted on this host longer ago than this is in ClickHouse."
        )
        self._backlog_bytes = gauge("backlog_bytes", "Bytes of the journal not delivered yet.")
        self._backlog_rows = gauge(
            "backlog_records", "About how many records that is, by the mean size of late."
        )
        self._segments = gauge("segments", "Files of the journal, delivered and checked or not.")
        self._sheet.registry.register(self._reached)

    def _audit_metrics(self) -> None:
        registry = self._sheet.registry
        self._audited = Gauge(
            "bandit_audit_decisions", "Decisions whose propensity was audited since the start.",
            ["policy"], registry=registry,
        )  # fmt: skip
        self._mismatched = Gauge(
            "bandit_audit_mismatches",
            "Of those, decisions whose propensity is not what their own pmf says. Must be 0.",
            ["policy"], registry=registry,
        )  # fmt: skip
        self._z = Gauge(
            "bandit_audit_z",
            "Standard errors between draws and logged probabilities, over about the last 30,000 "
            "decisions; absent before 2,000. Beyond 6 either way the propensities are wrong.",
            ["policy", "check"], registry=registry,
        )  # fmt: skip

    def watched(self, sink: Sink, perf_counter_s: Callable[[], float]) -> Sink:
        """A sink that counts."""
        return cast("Sink", MeteredSink(sink, self, perf_counter_s))

    def waiting(self) -> None:
        """There is no store yet."""
        self._reached.set(0)
        if self._sheet.is_due:
            self._sheet.write()

    def passed(self, step: DrainStep, counts: Numbers[str]) -> None:
        """Take over what a pass did; one that only stands by writes nothing.

        Args:
            step: What it says.
            counts: The drain's own, since its start.
        """
        for name, counter in self._counted.items():
            counter.inc(max(0, counts[name] - self._before[name]))
        self._before = counts.copy()
        self._reached.set(not self.store_failed)
        self.store_failed = False
        if step.progress is not None:
            self._show(step.progress)
            if self._sheet.is_due:
                self._show_audit()
                self._sheet.write()

    def close(self) -> None:
        """The drain ends."""
        self._sheet.remove()

    def _show(self, progress: Progress) -> None:
        self._show_one(self._lag, max(0, self._now_ms() - progress.drained_through_ms) / 1000)
        self._show_one(self._backlog_bytes, progress.backlog_bytes)
        self._show_one(self._segments, progress.segments_n)
        if self.bytes_per_row or not progress.backlog_bytes:
            rows = progress.backlog_bytes / (self.bytes_per_row or 1.0)
            self._show_one(self._backlog_rows, round(rows))

    def _show_one(self, gauge: Gauge, value: float) -> None:
        """Nothing is shown of what nobody knows yet: it would be a 0."""
        if gauge not in self._shown:
            self._sheet.registry.register(gauge)
            self._shown.add(gauge)
        gauge.set(value)

    def _show_audit(self) -> None:
        for verdict in self.audit.verdicts():
            self._audited.labels(verdict.policy).set(verdict.decisions_n)
            self._mismatched.labels(verdict.policy).set(verdict.mismatches_n)
            for check, z in verdict.z.items():
                self._z.labels(verdict.policy, check).set(z)


class MeteredSink:
    """Passes everything on to a sink, and counts it."""

    def __init__(self, sink: Sink, meter: DrainMeter, perf_counter_s: Callable[[], float]) -> None:
        self._sink = sink
        self._meter = meter
        self._perf_counter_s = perf_counter_s
        self._in_doubt: dict[str, str] = {}  # table → token

    def insert(self, table: str, writer: str, entries: Sequence[Entry], token: str) -> None:
        """Store a block; see `Sink`."""
        meter, began_s = self._meter, self._perf_counter_s()
        if self._in_doubt.get(table) == token:
            meter.retried_blocks.labels(table).inc()
        try:
            self._sink.insert(table, writer, entries, token)
        except StoreRejected:
            self._in_doubt.pop(table, None)
            meter.refused_blocks.labels(table).inc()
            raise
        except Exception:
            self._in_doubt[table] = token
            meter.store_failed = True
            meter.failed_blocks.labels(table).inc()
            raise
        finally:
            meter.insert_seconds.labels(table).observe(self._perf_counter_s() - began_s)
        self._in_doubt.pop(table, None)
        meter.shipped_blocks.labels(table).inc()
        meter.shipped_rows.labels(table).inc(len(entries))
        self._look_at(entries)

    def missing(self, table: str, writer: str, entries: Sequence[Entry]) -> list[Entry]:
        """Those that are not in the store; see `Sink`."""
        try:
            found = self._sink.missing(table, writer, entries)
        except Exception:
            self._meter.store_failed = True
            raise
        self._meter.checked_rows.labels(table).inc(len(entries))
        self._meter.missing_rows.labels(table).inc(len(found))
        return found

    def __getattr__(self, name: str) -> Any:
        """Whatever else a sink can do is not counted."""
        return getattr(self._sink, name)

    def report(self, progress: Progress) -> None:
        """Publish progress; see `Sink`."""
        try:
            self._sink.report(progress)
        except Exception:
            self._meter.store_failed = True
            raise

    def _look_at(self, entries: Sequence[Entry]) -> None:
        """Audit some, and see how large one is."""
        if not entries:
            return
        meter, size = self._meter, len(encode(*entries[0]))
        meter.bytes_per_row += (size - meter.bytes_per_row) * (0.05 if meter.bytes_per_row else 1.0)
        step = -(-len(entries) // AUDITED_N)
        for entry in islice(entries, 0, None, step):
            if isinstance(entry.record, Decision):
                meter.audit.add(entry.record)
