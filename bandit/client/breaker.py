"""A circuit breaker: a service that is away costs its callers nothing."""

import threading
from collections.abc import Callable


class Breaker:
    """Closed, until so many failures in a row open it; then one probe at a time.

    A probe that never reports (its caller was cancelled) is forgotten after another pause.

    >>> now = [0.0]
    >>> breaker = Breaker(failures=2, pause_s=1.0, monotonic_s=lambda: now[0])
    >>> breaker.failed(), breaker.failed(), breaker.allows()
    (None, None, False)
    >>> now[0] = 1.0
    >>> breaker.allows(), breaker.allows()
    (True, False)
    >>> breaker.succeeded(), breaker.allows()
    (None, True)
    """

    def __init__(self, *, failures: int, pause_s: float, monotonic_s: Callable[[], float]) -> None:
        self._failures = failures
        self._pause_s = pause_s
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._probe_from_s = 0.0

    def allows(self) -> bool:
        """Whether to ask now; a True while it is open is the probe."""
        if self._in_a_row < self._failures:
            return True
        with self._lock:
            if self._in_a_row < self._failures:
                return True
            now_s = self._monotonic_s()
            if now_s < self._probe_from_s:
                return False
            self._probe_from_s = now_s + self._pause_s
            return True

    def succeeded(self) -> None:
        """The service answered, whatever it said."""
        if self._in_a_row:
            with self._lock:
                self._in_a_row = 0

    def failed(self) -> None:
        """It was away, late, or said that it can not."""
        with self._lock:
            self._in_a_row += 1
            if self._in_a_row >= self._failures:
                self._probe_from_s = self._monotonic_s() + self._pause_s
