"""A clock, a heap of what happens next, and stations where jobs wait for one of c servers.

No library: forty lines are less than a dependency, and generators (SimPy) cost five times as much
an event.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable


class Clock:
    """Runs events in the order of their times; of equal ones the first planned comes first."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def after(self, delay_s: float, event: Callable[[], None]) -> None:
        """Let something happen in a while."""
        heapq.heappush(self._heap, (self.now_s + delay_s, next(self._count), event))

    def run(self, until_s: float) -> None:
        """Let everything happen that is due by then."""
        while self._heap and self._heap[0][0] <= until_s:
            self.now_s, _, event = heapq.heappop(self._heap)
            event()
        self.now_s = until_s


class Station:
    """Jobs in the order of their arrival, `servers` at a time.

    Attributes:
        busy_s: Time that its servers have worked, of all jobs that began.
        done_n: Jobs that ended.
    """

    def __init__(self, clock: Clock, servers: int = 1) -> None:
        self._clock = clock
        self._free = self._servers = servers
        self._queue: deque[tuple[float, Callable[[], None]]] = deque()
        self.busy_s = 0.0
        self.done_n = 0

    @property
    def waiting_n(self) -> int:
        """Jobs that nobody serves yet."""
        return len(self._queue)

    def utilisation(self, elapsed_s: float) -> float:
        """Share of the time that a server was busy."""
        return self.busy_s / (self._servers * elapsed_s)

    def enter(self, work_s: float, done: Callable[[], None]) -> None:
        """Serve a job as soon as a server is free, then call `done`."""
        if self._free:
            self._begin(work_s, done)
        else:
            self._queue.append((work_s, done))

    def _begin(self, work_s: float, done: Callable[[], None]) -> None:
        self._free -= 1
        self.busy_s += work_s
        self._clock.after(work_s, lambda: self._end(done))

    def _end(self, done: Callable[[], None]) -> None:
        self._free += 1
        self.done_n += 1
        if self._queue:
            self._begin(*self._queue.popleft())
        done()
