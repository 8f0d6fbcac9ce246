"""Numbers of the log's streams that will never come, so that learners go on over them.

A gap is for good: who reads a stream leaves out what is in it, also a row that is there all the
same because it was still on its way or came back later. Otherwise a learner that passed the gap and
one that learns the same steps again would learn different things.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from bandit.store.client import Store

Reason = Literal["rejected", "lost", "forgotten", "expired"]
"""`rejected`: the store refused the rows. `lost`: a disk broke them. `forgotten`: a unit asked.
`expired`: their retention ends (`bandit.store.retention`)."""


class Gap(NamedTuple):
    """Numbers `first ≤ seq ≤ last` of a stream."""

    log_table: str
    surface: str
    writer: str
    first: int
    last: int


class StreamGaps:
    """The gaps of one stream, apart from each other and in order.

    >>> gaps = StreamGaps([(9, 9), (3, 4), (5, 6)])
    >>> gaps.spans
    [(3, 6), (9, 9)]
    >>> 5 in gaps, gaps.after(2), gaps.after(6), gaps.within(3, 9)
    (True, 6, 6, 4)
    """

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        """Ends are included; they may touch and overlap."""
        self.spans: list[tuple[int, int]] = []
        for first, last in sorted(spans):
            if self.spans and first <= self.spans[-1][1] + 1:
                self.spans[-1] = (self.spans[-1][0], max(last, self.spans[-1][1]))
            else:
                self.spans.append((first, last))

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.spans)

    def __contains__(self, seq: int) -> bool:
        """Whether a number is in one of them."""
        place = bisect_right(self.spans, seq, key=lambda span: span[0]) - 1
        return place >= 0 and seq <= self.spans[place][1]

    def after(self, seq: int) -> int:
        """The end of the gap that begins right after a number, or goes on there; else `seq`."""
        place = bisect_right(self.spans, seq + 1, key=lambda span: span[0]) - 1
        return max(seq, self.spans[place][1]) if place >= 0 else seq

    def within(self, after: int, upto: int) -> int:
        """How many numbers `after < seq ≤ upto` are in them."""
        return sum(
            max(0, min(last, upto) - max(first, after + 1) + 1) for first, last in self.spans
        )

    def reach(self, after: int, rows_n: int) -> int:
        """The number at which a stream without other holes has `rows_n` rows after `after`.

        >>> StreamGaps([(3, 6), (9, 9)]).reach(1, 3)
        8
        """
        end = after + rows_n
        for first, last in self.spans:
            if after < last and first <= end:
                end += last - max(first, after + 1) + 1
        return end


NO_GAPS = StreamGaps()


def declare(store: Store, gaps: Iterable[Gap], *, reason: Reason, now_ms: int) -> None:
    """Let learners go on over some numbers; declaring them again does no harm.

    What is forgotten may be in the store still, and is not read any more. All else must not be:
    whoever read it and whoever learns the same steps again would differ.

    Raises:
        StoreUnavailable: The outcome is unknown: declare the same again.
    """
    rows = sorted(set(gaps))
    if not rows:
        return
    columns: dict[str, Sequence[object]] = dict(
        zip(Gap._fields, map(list, zip(*rows, strict=True)), strict=True)
    )
    columns["reason"] = [reason] * len(rows)
    columns["created_at"] = [now_ms] * len(rows)
    # A repeated row does no harm here; a remembered token whose row was lost would.
    store.insert("gaps", columns, settings={"insert_deduplicate": 0})


def gaps_at(places: Iterable[tuple[str, str, str, int]]) -> list[Gap]:
    """The fewest gaps that hold some rows, each given as `(table, surface, writer, seq)`.

    >>> gaps_at([("rewards", "", "w", 4), ("rewards", "", "w", 3), ("rewards", "", "w", 9)])[0]
    Gap(log_table='rewards', surface='', writer='w', first=3, last=4)
    """
    seqs: dict[tuple[str, str, str], list[tuple[int, int]]] = defaultdict(list)
    for table, surface, writer, seq in places:
        seqs[table, surface, writer].append((seq, seq))
    return [
        Gap(*stream, first, last)
        for stream, spans in sorted(seqs.items())
        for first, last in StreamGaps(spans).spans
    ]


def gaps_of(store: Store, after: Mapping[str, int]) -> dict[str, StreamGaps]:
    """Gaps of some streams that end after a number of each; streams without any are left out.

    Args:
        store: Where they were declared.
        after: `table/surface/writer` → number.

    Raises:
        StoreUnavailable: The store did not answer.
    """
    if not after:
        return {}
    parts = [stream.split("/", 2) for stream in after]
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for stream, first, last in store.rows(
        "tail_gaps",
        log_tables=sorted({table for table, _, _ in parts}),
        surfaces=sorted({surface for _, surface, _ in parts}),
        writers=sorted({writer for _, _, writer in parts}),
        streams=list(after),
        after=list(after.values()),
    ):
        found[stream].append((first, last))
    return {stream: StreamGaps(spans) for stream, spans in found.items()}
