"""What fails at present and when to try it again; one line in the log as it begins and ends."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from bandit.logs import event

log = logging.getLogger(__name__)

FIRST_WAIT_MS = 100
LONGEST_WAIT_MS = 5_000


@dataclass
class _Failure:
    failures_n: int
    due_ms: int
    since_ms: int


class Outages:
    """Waits of several things that are tried again and again: each failure doubles the wait."""

    def __init__(self, what: str, now_ms: Callable[[], int]) -> None:
        """Nothing fails yet.

        Args:
            what: Name of all of them together, for the log.
            now_ms: The clock.
        """
        self._what = what
        self._now_ms = now_ms
        self._failures: dict[str, _Failure] = {}
        self._since_ms = 0

    def __bool__(self) -> bool:
        """Whether anything fails."""
        return bool(self._failures)

    def __contains__(self, name: str) -> bool:
        """Whether this one fails."""
        return name in self._failures

    def lasts_ms(self, name: str) -> int:
        """How long this one has been failing; 0 if it does not."""
        failure = self._failures.get(name)
        return 0 if failure is None else max(0, self._now_ms() - failure.since_ms)

    def is_due(self, name: str) -> bool:
        """Whether it may be tried."""
        failure = self._failures.get(name)
        if failure is None:
            return True
        wait_ms = failure.due_ms - self._now_ms()
        return wait_ms <= 0 or wait_ms > LONGEST_WAIT_MS  # the clock was set back since

    def failed(self, name: str, exc: Exception) -> None:
        """It was tried in vain."""
        now_ms = self._now_ms()
        if not self._failures:
            self._since_ms = now_ms
            log.warning("%s: %s", self._what, exc, extra=event("outage_began"))
        failure = self._failures.setdefault(name, _Failure(0, now_ms, now_ms))
        failure.due_ms = now_ms + min(FIRST_WAIT_MS << failure.failures_n, LONGEST_WAIT_MS)
        failure.failures_n = min(failure.failures_n + 1, 16)

    def succeeded(self, name: str) -> None:
        """It works, or it is gone."""
        if self._failures.pop(name, None) is not None and not self._failures:
            log.warning(
                "%s: over after %d ms",
                self._what,
                self._now_ms() - self._since_ms,
                extra=event("outage_over"),
            )
