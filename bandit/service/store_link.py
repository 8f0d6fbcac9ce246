"""The way to the store for a process that starts, and goes on, without it."""

import threading
from collections.abc import Callable

from bandit.errors import StoreUnavailable
from bandit.store.catalogue import Catalogues
from bandit.store.client import Store
from bandit.store.decisions import Decisions
from bandit.store.definitions import Definitions
from bandit.store.keys import Keys
from bandit.store.snapshots import Snapshots

PAUSE_S = 0.5
"""How long a refusal stands before the next try: callers are many, tries take time."""


class StoreLink:
    """Connects when somebody first asks; threads may share it."""

    def __init__(self, connect: Callable[[], Store], *, monotonic_s: Callable[[], float]) -> None:
        """Make a link; nothing is connected yet.

        Args:
            connect: Raises `StoreUnavailable` while the store is away.
            monotonic_s: A clock that never goes back.
        """
        self._connect = connect
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._refusal = ""
        self._paused_until_s = float("-inf")

    def store(self) -> Store:
        """The connected store.

        Raises:
            StoreUnavailable: It can not be reached, or could not be a moment ago.
        """
        with self._lock:
            if self._store is None:
                if self._monotonic_s() < self._paused_until_s:
                    raise StoreUnavailable(self._refusal)
                try:
                    self._store = self._connect()
                except StoreUnavailable as exc:
                    self._refusal = str(exc)
                    self._paused_until_s = self._monotonic_s() + PAUSE_S
                    raise
            return self._store

    def definitions(self) -> Definitions:
        """What was declared. Raises `StoreUnavailable`."""
        return Definitions(self.store())

    def snapshots(self) -> Snapshots:
        """What was learned. Raises `StoreUnavailable`."""
        return Snapshots(self.store())

    def catalogues(self) -> Catalogues:
        """What surfaces hold. Raises `StoreUnavailable`."""
        return Catalogues(self.store())

    def keys(self) -> Keys:
        """Who may ask. Raises `StoreUnavailable`."""
        return Keys(self.store())

    def decisions(self) -> Decisions:
        """What was decided. Raises `StoreUnavailable`."""
        return Decisions(self.store())

    def close(self) -> None:
        """Close the connection, if there is one."""
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None
