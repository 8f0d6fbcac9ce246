"""What a learner says when the log is not as it should be: once as it begins, once as it ends."""

import logging
from collections.abc import Sequence

from bandit.logs import event
from bandit.store.drained import Drained

log = logging.getLogger(__name__)

PATIENCE_MS = 60_000
"""Holes younger than that are the ordinary order of things: blocks arrive in any order."""


class Watch:
    """Remembers what is odd about one surface's log."""

    def __init__(self, policy: str) -> None:
        self._policy = policy
        self._silent_n = 0
        self._holes: dict[str, int] = {}  # stream → since when
        self._told: set[str] = set()

    def look(self, drained: Drained, holes: Sequence[str], now_ms: int) -> None:
        """Tell what has changed: hosts that were left out, streams that stand still."""
        if drained.silent_n != self._silent_n:
            self._silent_n = drained.silent_n
            log.warning(
                "policy=%s hosts=%d silent=%d: silent hosts are not waited for",
                self._policy,
                drained.hosts_n,
                drained.silent_n,
                extra=event("hosts_silent"),
            )
        self._holes = {stream: self._holes.get(stream, now_ms) for stream in holes}
        for stream, since_ms in self._holes.items():
            if stream not in self._told and now_ms - since_ms >= PATIENCE_MS:
                self._told.add(stream)
                log.warning(
                    "policy=%s stream=%s stands still at a hole",
                    self._policy,
                    stream,
                    extra=event("stream_stopped"),
                )
        for stream in self._told - self._holes.keys():
            self._told.remove(stream)
            log.warning(
                "policy=%s stream=%s goes on", self._policy, stream, extra=event("stream_goes_on")
            )
