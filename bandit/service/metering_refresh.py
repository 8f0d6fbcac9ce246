"""The refresher's metrics: how old the numbers of reports are, what they cost, what fails."""

from collections.abc import Callable, Mapping

from prometheus_client import Counter, Gauge

from bandit.service.metering import Sheet
from bandit.service.refreshing_reports import Refreshed


class RefreshMeter:
    """Counts what a refresher does."""

    def __init__(self, sheet: Sheet, *, now_ms: Callable[[], int]) -> None:
        """Make the metrics; nothing is written yet.

        Args:
            sheet: Where they are written.
            now_ms: The time now.
        """
        self._sheet = sheet
        self._now_ms = now_ms
        self._kept = Counter(
            "bandit_refresh_kept",
            "Numbers of reports that were kept, by what they are of.",
            ["kind"], registry=sheet.registry,
        )  # fmt: skip
        self._seconds = Counter(
            "bandit_refresh_busy_seconds",
            "Time spent making the numbers of reports.",
            ["kind"], registry=sheet.registry,
        )  # fmt: skip
        self._failed = Counter(
            "bandit_refresh_failed",
            "Times that the numbers of a report could not be made or kept.",
            ["kind"], registry=sheet.registry,
        )  # fmt: skip
        self._failing = Gauge(
            "bandit_refresh_failing",
            "Experiments and surfaces whose numbers can not be kept now.",
            registry=sheet.registry,
        )
        self._things = Gauge(
            "bandit_refresh_things",
            "Experiments and surfaces whose numbers are kept fresh.",
            registry=sheet.registry,
        )
        self._behind = Gauge(
            "bandit_refresh_behind_seconds",
            "The newest numbers of a report are of so long ago, though more is in the log.",
            ["kind"], registry=sheet.registry,
        )  # fmt: skip
        self._fresh_ms: dict[str, int] = {}

    def refreshed(self, done: Refreshed, failing: Mapping[str, str]) -> None:
        """Take over what became of one thing.

        Args:
            done: What was done.
            failing: All that can not be kept now.
        """
        kind = done.name.partition("/")[0]
        self._kept.labels(kind).inc(done.kept_n)
        self._seconds.labels(kind).inc(done.took_s)
        if done.why:
            self._failed.labels(kind).inc()
        else:  # also if nothing was new: what is kept still holds
            self._fresh_ms[done.name] = self._now_ms()
        self._failing.set(len(failing))

    def waiting(self, names: list[str]) -> None:
        """Time passes, whether or not anything was kept.

        Args:
            names: What is kept fresh.
        """
        if not self._sheet.is_due:
            return
        self._things.set(len(names))
        now_ms = self._now_ms()
        for kind in ("experiment", "surface"):
            fresh = [self._fresh_ms.get(name, now_ms) for name in names if name.startswith(kind)]
            behind_ms = max((now_ms - at_ms for at_ms in fresh), default=0)
            self._behind.labels(kind).set(max(0, behind_ms) / 1000)
        self._sheet.write()

    def close(self) -> None:
        """The refresher ends."""
        self._sheet.remove()
