"""Saying a thing once: a hot path that fails must not fill the log as well."""

import logging
import threading

log = logging.getLogger("bandit.client")

KINDS = 1000
"""After so many kinds of trouble nothing further is said."""


class Saying:
    """Logs the first of each kind."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start from nothing, in a process that was forked off."""
        self._said: set[tuple[object, ...]] = set()
        self._lock = threading.Lock()

    def once(self, text: str, *kind: object) -> None:
        """Log a warning unless one of this kind was logged."""
        with self._lock:
            if kind in self._said or len(self._said) >= KINDS:
                return
            self._said.add(kind)
        log.warning("%s (said once)", text)
