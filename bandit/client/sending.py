"""The background: one thread that delivers what was queued.

A thread for the asynchronous client too: queueing never waits, records outlive the event loop that
they were made in, and there is one program to trust instead of two.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable

from bandit.client.ambient import Ambient
from bandit.client.lanes import Lane, Outgoing, Reply
from bandit.client.options import Options
from bandit.client.saying import Saying

Post = Callable[[str, bytes], Reply]
"""Sends a body to a route; status 0 if nothing came back. It never raises."""


class Sender:
    """Queues, and delivers in a thread of its own that starts with the first record.

    Attributes:
        counts: `queued`, `delivered`, `dropped`, `refused`, `lost`, `retries`.
    """

    def __init__(
        self, post: Post, paths: Iterable[str], options: Options, ambient: Ambient, saying: Saying
    ) -> None:
        self._post = post
        self._options = options
        self._ambient = ambient
        self._saying = saying
        self._paths = tuple(paths)
        self.reset()

    def reset(self) -> None:
        """Start from nothing: a new process has neither the thread nor the records of its parent.

        The parent still has them, and will deliver them.
        """
        self.counts: Counter[str] = Counter()
        self._lanes = {path: Lane(path, self._options) for path in self._paths}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._hurry = self._closed = False
        self._linger_until_s = float("-inf")

    @property
    def waiting(self) -> int:
        """Records queued or under way."""
        with self._changed:
            return self._waiting()

    def put(self, path: str, record: Outgoing) -> None:
        """Queue a record; never waits for the network."""
        with self._changed:
            self.counts["queued"] += 1
            if self._closed:
                self.counts["lost"] += 1
                return
            idle = not self._waiting()
            lane = self._lanes[path]
            self.counts["dropped"] += lane.add(record)
            if idle:
                self._linger_until_s = self._ambient.monotonic_s() + self._options.linger_s
            if idle or lane.full_batch:
                self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="bandit-client", daemon=True, args=(self._changed,)
                )
                self._thread.start()

    def flush(self, within_s: float) -> bool:
        """Deliver what is queued now, without lingering; True if nothing is left."""
        with self._changed:
            self._hurry = True
            for lane in self._lanes.values():
                lane.not_before_s = float("-inf")
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: not self._waiting(), within_s)
            finally:
                self._hurry = False

    def close(self, within_s: float) -> None:
        """Deliver what can be delivered in time, count the rest as lost, and stop."""
        if self._closed:
            return
        self.flush(within_s)
        with self._changed:
            self._closed = True
            lost = sum(lane.drain() for lane in self._lanes.values())
            self.counts["lost"] += lost
            self._changed.notify_all()
            thread = self._thread
        if lost:
            self._saying.once(f"{lost} records were not delivered before the end", "lost")
        if thread is not None and thread is not threading.current_thread():
            thread.join(0.1)  # it may be waiting for an answer, which nobody wants any more

    def _waiting(self) -> int:
        return sum(map(len, self._lanes.values()))

    def _run(self, changed: threading.Condition) -> None:
        while True:
            with changed:
                lane = self._next(changed)
                if lane is None:
                    return
                batch = lane.take()
            reply = self._post(lane.path, b"[" + b",".join(one.body for one in batch) + b"]")
            with changed:
                if self._closed:
                    return  # counted as lost, though it may have arrived
                self._settle(lane, reply)
                changed.notify_all()

    def _next(self, changed: threading.Condition) -> Lane | None:
        """Wait for a lane that has something to send; None at the end."""
        while not self._closed:
            now_s = self._ambient.monotonic_s()
            due_s = {lane: self._due_s(lane) for lane in self._lanes.values() if len(lane)}
            lane = min(due_s, key=due_s.__getitem__, default=None)
            if lane is not None and due_s[lane] <= now_s:
                return lane
            changed.wait(None if lane is None else due_s[lane] - now_s)
        return None

    def _due_s(self, lane: Lane) -> float:
        lingering = not (self._hurry or lane.full_batch)
        return max(lane.not_before_s, self._linger_until_s if lingering else float("-inf"))

    def _settle(self, lane: Lane, reply: Reply) -> None:
        luck = int.from_bytes(self._ambient.entropy(2), "big") / 65_536
        settled = lane.settle(reply, self._ambient.monotonic_s(), luck)
        self._linger_until_s = self._ambient.monotonic_s() + self._options.linger_s
        self.counts["delivered"] += settled.delivered
        self.counts["refused"] += settled.refused
        self.counts["retries"] += not (settled.delivered or settled.problem)
        if settled.refused and settled.problem is not None:
            self._saying.once(
                f"POST {lane.path} refused {settled.refused} records with {reply.status} "
                f"{settled.problem.type}: {settled.problem.detail}",
                *(lane.path, reply.status, settled.problem.type),
            )
