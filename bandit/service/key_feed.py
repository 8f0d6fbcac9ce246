"""Follows the keys of the store for a worker, and says there when each was last used."""

import logging
from collections.abc import Callable, Mapping

from bandit.errors import StoreError
from bandit.service.key_ring import KeyRing
from bandit.service.last_good import LastGood
from bandit.store.keys import ApiKey, Keys

log = logging.getLogger(__name__)
SAID_EVERY_MS = 900_000
"""A use is told to the store at once, and those that follow it after so long."""


class KeyFeed:
    """Keeps a ring fresh, from one thread."""

    def __init__(
        self, ring: KeyRing, keys: Callable[[], Keys], last_good: LastGood, *, host: str
    ) -> None:
        """Nothing is known before `restore` or `look`.

        Args:
            ring: Is told of every change.
            keys: Gives the store's keys; raises `StoreUnavailable`.
            last_good: The cache on disk.
            host: This machine's name, for the keys' last uses.
        """
        self._ring = ring
        self._keys = keys
        self._last_good = last_good
        self._host = host
        self._revision: int | None = None
        self._unkept: list[ApiKey] | None = None
        self._said_ms: dict[str, int] = {}

    def restore(self) -> None:
        """Begin with the keys that the disk holds, if it holds any."""
        kept = self._last_good.keys()
        if kept is not None:
            self._ring.swap(kept)

    def look(self) -> None:
        """Look at the store once.

        Raises:
            StoreError: It could not be asked; what the ring holds stays.
        """
        keys = self._keys()
        revision = keys.revision()
        if revision != self._revision:
            found = keys.all()
            self._ring.swap(found)
            self._revision, self._unkept = revision, found
        self._keep()
        self._say(keys)

    def _keep(self) -> None:
        if self._unkept is None:
            return
        try:
            self._last_good.save_keys(self._unkept)
        except OSError as exc:
            log.warning("the keys could not be kept: %s", exc)
        else:
            self._unkept = None

    def _say(self, keys: Keys) -> None:
        """Tell the store of uses; keys go on being learned if it takes none."""
        news = _due(dict(self._ring.used_ms), self._said_ms)
        if not news:
            return
        self._said_ms.update(news)  # also if it fails: the next try comes when the next is due
        try:
            keys.note_uses(self._host, news)
        except StoreError as exc:
            log.warning("the last use of keys could not be noted: %s", exc)


def _due(used_ms: Mapping[str, int], said_ms: Mapping[str, int]) -> dict[str, int]:
    """Uses that are so much later than what was said that they are said again."""
    never = -SAID_EVERY_MS
    return {
        key_id: at_ms
        for key_id, at_ms in used_ms.items()
        if at_ms - said_ms.get(key_id, never) >= SAID_EVERY_MS
    }
