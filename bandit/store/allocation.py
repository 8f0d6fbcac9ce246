"""What a surface's policies showed over time, and how they drew it: sums that grow with the log.

They add up: whoever has them as of a time reads only what came since (`Allocations.grown`), so that
they cost a page nothing, however long the log is. The SQL is in `queries/allocation.sql`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from bandit.records import Record
from bandit.store.client import Store

FORMAT = 1
"""Version of the layout; numbers of another one are not read."""
BUCKETS = 60
"""The most buckets of time."""
ACTIONS = 20
"""Actions that are kept by name, of each policy; all others are told together."""
POLICIES = 8
"""Policies that are kept: those with the most decisions."""
PIECE_ROWS = 500_000
WIDTHS_MS = tuple(
    1000 * seconds
    for seconds in (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400)
)
"""Widths of a bucket: each is a multiple of those before, so that buckets merge."""


class Drawn(NamedTuple):
    """One policy's decisions in one bucket of time.

    Attributes:
        at_ms: Start of the bucket.
        decisions_n: All but those set by hand.
        drawn_n: At which the top slot was drawn: neither given, nor certain.
        explored_n: Of those, at which another action of the pool was likelier.
        pool_n: Actions that these could draw, added up.
        floor_n: Of those, that had no more than the floor.
        floor_drawn_n: Decisions of `drawn_n` that drew one of them.
        chosen_sum: Probabilities of what was drawn, added up.
    """

    policy: str
    at_ms: int
    decisions_n: int
    drawn_n: int
    explored_n: int
    pool_n: int
    floor_n: int
    floor_drawn_n: int
    chosen_sum: float


class Shown(NamedTuple):
    """How often one policy had one action on top, in one bucket of time."""

    policy: str
    at_ms: int
    action: str
    shown_n: int


class AllocationNumbers(Record, frozen=True, kw_only=True):
    """What the policies of a surface showed, and how they drew.

    Attributes:
        surface: Its key.
        from_ms: Only decisions after that; 0 for the whole log.
        as_of_ms: Decisions up to then are in it.
        bucket_ms: Width of a bucket.
        drawn: By policy and time.
        shown: The most shown actions of each policy; what is missing to `decisions_n` are others.
        version: Of this layout.
    """

    surface: str
    from_ms: int = 0
    as_of_ms: int = 0
    bucket_ms: int = WIDTHS_MS[0]
    drawn: tuple[Drawn, ...] = ()
    shown: tuple[Shown, ...] = ()
    version: int = FORMAT

    @property
    def is_empty(self) -> bool:
        """Whether no decision is in it."""
        return not self.drawn

    def with_more(
        self, as_of_ms: int, drawn: Iterable[Drawn], shown: Iterable[Shown]
    ) -> "AllocationNumbers":
        """With what came since, in buckets as wide as it takes, and with the most shown actions."""
        every = [*self.drawn, *drawn]
        first = min((each.at_ms for each in every), default=0)
        last = max((each.at_ms for each in every), default=0)
        width = max(self.bucket_ms, width_of(last - first))
        merged = _merged(every, width)
        decisions: Counter[str] = Counter()
        for each in merged:
            decisions[each.policy] += each.decisions_n
        policies = {policy for policy, _ in decisions.most_common(POLICIES)}
        return AllocationNumbers(
            surface=self.surface,
            from_ms=self.from_ms,
            as_of_ms=as_of_ms,
            bucket_ms=width,
            drawn=tuple(each for each in merged if each.policy in policies),
            shown=tuple(_most_shown([*self.shown, *shown], width, policies)),
        )


def width_of(span_ms: int) -> int:
    """The least width that cuts a span into at most `BUCKETS` buckets.

    >>> width_of(50_000), width_of(3_600_000), width_of(100 * 86_400_000) // 86_400_000
    (1000, 300000, 2)
    """
    for width in WIDTHS_MS:
        if span_ms < width * (BUCKETS - 1):
            return width
    width = WIDTHS_MS[-1]
    while span_ms >= width * (BUCKETS - 1):
        width *= 2
    return width


class Allocations:
    """Sums over one store's log; each method may raise `StoreUnavailable`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def grown(self, before: AllocationNumbers, through_ms: int) -> AllocationNumbers:
        """With every decision up to a time, by reading those that came since.

        Args:
            before: What is known.
            through_ms: Whatever had been accepted by then is in the log.
        """
        after_ms = max(before.as_of_ms, before.from_ms)
        if through_ms <= after_ms:
            return before
        found = before
        for end_ms in self._ends(before.surface, after_ms, through_ms):
            found = self._piece(found, after_ms, end_ms)
            after_ms = end_ms
        return found

    def _ends(self, surface: str, after_ms: int, through_ms: int) -> Iterator[int]:
        """Ends of pieces of at most about `PIECE_ROWS` rows; the last one is `through_ms`."""
        rows = self._store.rows(
            "allocation_pieces", surface=surface, after_ms=after_ms, through_ms=through_ms
        )
        piece_n = 0
        for at_ms, rows_n, *_ in rows:
            if piece_n and piece_n + rows_n > PIECE_ROWS:
                yield int(at_ms) - 1
                piece_n = 0
            piece_n += int(rows_n)
        yield through_ms

    def _piece(self, before: AllocationNumbers, after_ms: int, end_ms: int) -> AllocationNumbers:
        given = {"surface": before.surface, "after_ms": after_ms, "through_ms": end_ms}
        if before.is_empty:  # its first rows may span days
            hours = self._store.rows("allocation_pieces", **given)
            wide = width_of(int(hours[-1][3] - hours[0][2])) if hours else 0
            before = msgspec.structs.replace(before, bucket_ms=max(before.bucket_ms, wide))
        given["bucket_ms"] = before.bucket_ms
        drawn = self._store.rows("allocation_drawn", **given)
        shown = self._store.rows("allocation_shown", **given, actions_n=2 * ACTIONS)
        return before.with_more(
            end_ms, (Drawn(*row) for row in drawn), (Shown(*row) for row in shown)
        )


def _merged(every: Iterable[Drawn], width: int) -> list[Drawn]:
    sums: dict[tuple[str, int], Drawn] = {}
    for each in every:
        place = (each.policy, each.at_ms - each.at_ms % width)
        before = sums.get(place)
        sums[place] = Drawn(
            *place,
            *(one + other for one, other in zip(before[2:], each[2:], strict=True))
            if before
            else each[2:],
        )
    return [sums[place] for place in sorted(sums)]


def _most_shown(every: Iterable[Shown], width: int, policies: set[str]) -> Iterator[Shown]:
    sums: Counter[tuple[str, int, str]] = Counter()
    totals: dict[str, Counter[str]] = {}
    for policy, at_ms, action, shown_n in every:
        if policy in policies:
            sums[policy, at_ms - at_ms % width, action] += shown_n
            totals.setdefault(policy, Counter())[action] += shown_n
    kept = {
        policy: {action for action, _ in counts.most_common(ACTIONS)}
        for policy, counts in totals.items()
    }
    for (policy, at_ms, action), shown_n in sorted(sums.items()):
        if action in kept[policy]:
            yield Shown(policy, at_ms, action, shown_n)
