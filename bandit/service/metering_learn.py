"""The learner's metrics, policy by policy: how far behind, what became of what it read."""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
from prometheus_client import Counter, Gauge

from bandit.learning.counts import Counts
from bandit.learning.learner import LearnStep
from bandit.service.metering import Sheet

CLOSED = ("trained", "defaulted", "unseen")
"""Counts of decisions; all others are of rows."""


class Watched(Protocol):
    """What is looked at of a learner."""

    @property
    def counts(self) -> Counts:
        """Since its weights were started."""
        ...

    @property
    def watermark_ms(self) -> int | None:
        """Decisions up to then are closed."""
        ...


class LearnMeter:
    """Counts what the learners of a process do."""

    def __init__(self, sheet: Sheet, *, now_ms: Callable[[], int]) -> None:
        """Make the metrics; nothing is written yet.

        Args:
            sheet: Where they are written.
            now_ms: The time now.
        """
        self._sheet = sheet
        self._now_ms = now_ms
        self._through_ms: dict[str, int] = {}  # whatever was accepted before is read

        def counter(name: str, text: str) -> Counter:
            return Counter(f"bandit_learn_{name}", text, ["policy"], registry=sheet.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            made = ["policy", *labels]
            return Gauge(f"bandit_learn_{name}", text, made, registry=sheet.registry)

        self._rows = counter("read_rows", "Rows of the log that a learner has read.")
        self._lessons = counter("lessons", "Lessons that a policy has learned.")
        self._published = counter("snapshots", "Snapshots that a learner has published.")
        self._newest = gauge("snapshot_number", "The newest snapshot that this process published.")
        self._behind = gauge(
            "behind_seconds", "Whatever was accepted longer ago than this is read."
        )
        self._watermark = gauge(
            "watermark_age_seconds",
            "Decisions older than this are closed and learned; the join window is a part of it.",
        )
        self._waiting = gauge("waiting_decisions", "Decisions read whose join window is open.")
        self._unread = gauge("unread_records", "Rows of the log that are there and not read yet.")
        self._holes = gauge("holes", "Streams of the log that stand still: a number is missing.")
        self._silent = gauge("silent_hosts", "Hosts not waited for: they have said nothing lately.")
        self._failing = gauge("failing", "1 if the last step of the learner failed, else 0.")
        self._closed = gauge(
            "closed_decisions",
            "Decisions closed since the weights were started: trained, defaulted or unseen.",
            "as",
        )
        self._odd = gauge(
            "odd_records",
            "Rows that taught nothing, since the weights were started: late, duplicate, orphan, "
            "out_of_bounds, given_up.",
            "as",
        )

    def stepped(self, learners: Mapping[str, Watched], steps: Mapping[str, LearnStep]) -> None:
        """Take over what a round of steps did.

        Args:
            learners: All of them, by policy.
            steps: What those did that did not fail.
        """
        for policy, step in steps.items():
            self._rows.labels(policy).inc(step.rows_n)
            self._lessons.labels(policy).inc(step.lessons_n)
            if step.snapshot is not None:
                self._published.labels(policy).inc()
                self._newest.labels(policy).set(step.snapshot)
            self._show_step(policy, step)
        for policy in learners:
            self._failing.labels(policy).set(policy not in steps)
        self.waiting(learners)

    def waiting(self, learners: Mapping[str, Watched]) -> None:
        """Time passes, whether or not anything was learned."""
        if self._sheet.is_due:
            for policy, learner in learners.items():
                self._show(policy, learner)
            self._sheet.write()

    def close(self) -> None:
        """The learners end."""
        self._sheet.remove()

    def _show_step(self, policy: str, step: LearnStep) -> None:
        if step.behind_ms is None:
            return  # it did not look
        self._through_ms[policy] = self._now_ms() - step.behind_ms
        self._waiting.labels(policy).set(step.waiting_n)
        self._unread.labels(policy).set(step.unread_n)
        self._holes.labels(policy).set(step.holes_n)
        self._silent.labels(policy).set(step.silent_n)

    def _show(self, policy: str, learner: Watched) -> None:
        if policy in self._through_ms:
            behind_ms = max(0, self._now_ms() - self._through_ms[policy])
            self._behind.labels(policy).set(behind_ms / 1000)
        if learner.watermark_ms is None:
            return  # it has not begun
        age_ms = max(0, self._now_ms() - learner.watermark_ms)
        self._watermark.labels(policy).set(age_ms / 1000)
        for name, number in msgspec.structs.asdict(learner.counts).items():
            gauge = self._closed if name in CLOSED else self._odd
            gauge.labels(policy, name).set(number)
