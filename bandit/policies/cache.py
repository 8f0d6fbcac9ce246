"""A bounded cache for the hot path."""

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Generations(Generic[K, V]):
    """A bounded map that forgets what was not asked for lately.

    Two dictionaries: a full young one becomes the old one, and what was old and never asked for
    again is dropped. It keeps whatever is used at least once per generation, as an LRU list would,
    but a hit is one look-up and writes nothing; and since every step is one dictionary call, two
    threads can at worst do the same work twice.

    >>> cache = Generations[str, int](limit=2)
    >>> for name in "abcd":
    ...     cache.put(name, ord(name))
    ...     kept = cache.get("a")
    >>> [cache.get(name) for name in "abcd"]
    [97, None, 99, 100]
    """

    __slots__ = ("_limit", "_old", "_room", "_weigh", "_young")

    def __init__(self, limit: int, weigh: Callable[[K], int] | None = None) -> None:
        """An empty cache.

        Args:
            limit: Weight of one generation; the whole holds at most about twice that.
            weigh: Weight of an entry by its key; without it, each weighs 1.
        """
        self._limit = self._room = limit
        self._weigh = weigh
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: K) -> V | None:
        """What was put under `key`, or None if it was not, or is forgotten."""
        found = self._young.get(key)
        if found is None:
            found = self._old.pop(key, None)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: K, value: V) -> None:
        """Remember `value`, which is not None, under `key`."""
        if self._room <= 0:
            self._old, self._young, self._room = self._young, {}, self._limit
        self._young[key] = value
        self._room -= self._weigh(key) if self._weigh else 1

    def clear(self) -> None:
        """Forget everything."""
        self._young, self._old, self._room = {}, {}, self._limit
