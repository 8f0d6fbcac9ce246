"""How often each action was learned, and what it earned: all that context-free policies know."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec


class Tally(NamedTuple):
    """Lessons of one action."""

    lessons_n: int
    reward: float


NONE = Tally(0, 0.0)


class Tallies:
    """Tallies by action id, of the `most` ids that were learned last.

    An id beyond that pushes out the one that was learned the longest ago: the order is that of the
    lessons, so that a rebuilt policy forgets the same ones. A forgotten id starts anew.

    >>> tallies = Tallies(most=2)
    >>> for id_ in "abac":
    ...     tallies.add(id_, 1.0)
    >>> [tallies.of(id_).lessons_n for id_ in "abc"]
    [2, 0, 1]

    Attributes:
        lessons_n: Lessons of all ids, those of forgotten ones too.
    """

    def __init__(self, most: int, saved: bytes | None = None) -> None:
        """Without any lesson, or as `save` gave them."""
        self._most = most
        self._known: OrderedDict[str, Tally] = OrderedDict()
        self.lessons_n = 0
        if saved is not None:
            self.lessons_n, rows = _DECODER.decode(saved)
            self._known.update((id_, Tally(n, reward)) for id_, n, reward in rows)

    def add(self, id_: str, reward: float) -> None:
        """Count one lesson."""
        before = self.of(id_)
        self._known[id_] = Tally(before.lessons_n + 1, before.reward + reward)
        self._known.move_to_end(id_)
        self.lessons_n += 1
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def of(self, id_: str) -> Tally:
        """What is known of an action; `NONE` of a new one."""
        return self._known.get(id_, NONE)

    def of_all(self, ids: Sequence[str]) -> list[Tally]:
        """The same for several, in their order."""
        known = self._known
        return [known.get(id_, NONE) for id_ in ids]

    def save(self) -> bytes:
        """Canonical bytes: equal lessons in an equal order give equal ones."""
        rows = [(id_, n, reward) for id_, (n, reward) in self._known.items()]
        return msgspec.msgpack.encode((self.lessons_n, rows))


_DECODER = msgspec.msgpack.Decoder(tuple[int, list[tuple[str, int, float]]])
