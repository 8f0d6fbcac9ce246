"""How many rewards a unit may earn in an hour, as one worker sees it.

Counted are the rewards of this clock hour and of the one before; a unit's rewards of the last hour
are taken to be `before · (1 − share of this hour that is over) + now`, as if those of the hour
before had come evenly. So the memory is two counters a unit, dropped by the hour, and a cap is held
to within that approximation, by each worker for itself.

At most `UNITS` units are counted in an hour; who comes later in it is not counted. That errs on the
side of accepting: a flood of units must not have others refused.
"""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from bandit.errors import TooManyRewards

HOUR_MS = 3_600_000
UNITS = 100_000


class Earning(NamedTuple):
    """A unit that is about to earn a reward.

    Attributes:
        surface: Where.
        unit: What stands for the unit.
        cap: How many it may earn there in an hour.
        place: Of the reward in the request, for an error.
    """

    surface: str
    unit: str
    cap: int
    place: str


class RewardCaps:
    """Counts rewards by unit; one per worker, called from its event loop only."""

    def __init__(self, units: int = UNITS) -> None:
        self._units = units
        self._hour = 0
        self._now: dict[tuple[str, str], int] = {}
        self._before: dict[tuple[str, str], int] = {}

    def take(self, earnings: Sequence[Earning], now_ms: int) -> None:
        """Count rewards, all of them or none.

        Raises:
            TooManyRewards: One of the units has earned its cap; with its place.
        """
        self._turn(now_ms)
        left = 1.0 - now_ms % HOUR_MS / HOUR_MS
        added: dict[tuple[str, str], int] = {}
        for one in earnings:
            key = (one.surface, one.unit)
            count = self._now.get(key, 0) + added.get(key, 0) + 1
            if count + self._before.get(key, 0) * left > one.cap:
                raise TooManyRewards(one.cap, one.place, retry_after_s=ceil(left * HOUR_MS / 1000))
            added[key] = added.get(key, 0) + 1
        for key, n in added.items():
            if key in self._now or len(self._now) < self._units:
                self._now[key] = self._now.get(key, 0) + n

    def __len__(self) -> int:
        return len(self._now) + len(self._before)

    def _turn(self, now_ms: int) -> None:
        hour = now_ms // HOUR_MS
        if hour > self._hour:
            self._before = self._now if hour == self._hour + 1 else {}
            self._now = {}
            self._hour = hour
