"""How often a key may ask: fixed windows of a second, counted by each worker for itself."""

import math
from collections.abc import Callable

from limits import RateLimitItemPerSecond
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from litestar.exceptions import TooManyRequestsException


class Windows(Storage):
    """Counters of windows that begin with their first request.

    The library's own storage in memory reads the machine's clock, and starts a thread every 10 ms
    to forget what is over; here one counter a key is all there ever is.
    """

    STORAGE_SCHEME = ["bandit-windows"]

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        """Count nothing yet.

        Args:
            monotonic_s: A clock that never goes back.
        """
        super().__init__()
        self._monotonic_s = monotonic_s
        self._counted: dict[str, tuple[float, int]] = {}

    @property
    def base_exceptions(self) -> type[Exception]:
        """It raises nothing."""
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, in a window that ends `expiry` seconds after its first request."""
        now_s = self._monotonic_s()
        ends_s, count = self._counted.get(key, (0.0, 0))
        if now_s >= ends_s:
            ends_s, count = now_s + expiry, 0
        self._counted[key] = ends_s, count + amount
        return count + amount

    def get(self, key: str) -> int:
        """What was counted in the window that is open."""
        ends_s, count = self._counted.get(key, (0.0, 0))
        return count if self._monotonic_s() < ends_s else 0

    def get_expiry(self, key: str) -> float:
        """When the window ends, by this storage's clock."""
        return self._counted.get(key, (self._monotonic_s(), 0))[0]

    def check(self) -> bool:
        """It always is well."""
        return True

    def reset(self) -> int:
        """Forget everything."""
        forgotten = len(self._counted)
        self._counted.clear()
        return forgotten

    def clear(self, key: str) -> None:
        """Forget one."""
        self._counted.pop(key, None)


class _Limit(RateLimitItemPerSecond):
    """A limit whose counters are called by the key's id alone: each key has one limit."""

    def key_for(self, *identifiers: str | bytes | int | float) -> str:
        return identifiers[0]  # type: ignore[return-value]


class Rates:
    """Requests of each key, held to a limit."""

    def __init__(self, per_s: float, *, monotonic_s: Callable[[], float]) -> None:
        """Hold keys to a limit.

        Args:
            per_s: Of a key that has none of its own.
            monotonic_s: A clock that never goes back.
        """
        self._per_s = per_s
        self._monotonic_s = monotonic_s
        self._windows = Windows(monotonic_s)
        self._limiter = FixedWindowRateLimiter(self._windows)
        self._items: dict[float, _Limit] = {}

    def count(self, key_id: str, per_s: float | None) -> None:
        """Count a request.

        Args:
            key_id: Whose.
            per_s: The key's own limit, if it has one.

        Raises:
            TooManyRequestsException: It is one too many; with `Retry-After`.
        """
        limit = self._per_s if per_s is None else per_s
        item = self._items.get(limit)
        if item is None:
            item = self._items[limit] = _item(limit)
        if not self._limiter.hit(item, key_id):
            ends_s = self._limiter.get_window_stats(item, key_id).reset_time
            raise TooManyRequestsException(
                detail=f"this key has asked more than {limit:g} times a second, must wait",
                headers={"retry-after": str(max(1, math.ceil(ends_s - self._monotonic_s())))},
            )


def _item(per_s: float) -> _Limit:
    """The limit in whole requests: so many a second, or one in so many seconds."""
    if per_s >= 1:
        return _Limit(round(per_s))
    return _Limit(1, math.ceil(1 / per_s))
