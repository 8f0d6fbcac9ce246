"""The log read forward in slices that fit in memory."""

from collections.abc import Iterator
from typing import NamedTuple

from bandit.store.tail import Cursor, Tail, TailBatch

FIRST_SPAN_MS = 1_000


class Slice(NamedTuple):
    """What was read in one go.

    Attributes:
        rows: The new rows.
        through_ms: Every row that was accepted before then has been read, now or earlier.
        more: Whether the next slice can be read at once.
    """

    rows: TailBatch
    through_ms: int
    more: bool


class Reader:
    """Reads one surface's log from a cursor on.

    While it keeps up, it reads whatever is new. A backlog it reads in slices of time, so that
    decisions come together with their rewards: reading each stream as far as it goes would fill
    the memory with decisions whose rewards are a million rows away.

    That relies on the times in a stream not falling. Where a host's clock was set back they do, and
    such rows are read with the rows before them.

    Attributes:
        cursor: How far it has read.
    """

    def __init__(self, tail: Tail, surface: str, cursor: Cursor, *, limit: int) -> None:
        """Start after `cursor`; a slice has about `limit` rows of each table at most."""
        self.cursor = cursor
        self._tail = tail
        self._surface = surface
        self._limit = limit
        self._read_ms: int | None = None  # of a backlog, all up to then is read
        self._span_ms = FIRST_SPAN_MS

    def read(self, drained_ms: int) -> Slice:
        """The next slice.

        Args:
            drained_ms: Asked for before this call: whatever was accepted before is in the store.

        Raises:
            StoreUnavailable: Nothing was read.
        """
        until_ms = None if self._read_ms is None else self._read_ms + self._span_ms
        if until_ms is not None and until_ms >= drained_ms:
            until_ms = None
        batch = self._read(until_ms)
        while batch.more:
            narrower_ms = _complete_until_ms(batch)
            if narrower_ms == until_ms:
                break  # more rows of one millisecond than a slice holds: take them as they come
            until_ms = narrower_ms
            batch = self._read(until_ms)
        self.cursor = batch.cursor
        if until_ms is None:
            self._read_ms = None
            return Slice(batch, drained_ms, more=False)
        through_ms = until_ms if batch.more else until_ms + 1
        self._pace(batch, through_ms - 1)
        return Slice(batch, through_ms, more=True)

    def _read(self, until_ms: int | None) -> TailBatch:
        return self._tail.read(self._surface, self.cursor, limit=self._limit, until_ms=until_ms)

    def _pace(self, batch: TailBatch, read_ms: int) -> None:
        """Make the next slice as long as this one, or twice if this one was less than half full."""
        times = [ts_ms for _, ts_ms in _places(batch)]
        start_ms = self._read_ms if self._read_ms is not None else min(times, default=read_ms)
        span_ms = max(1, read_ms - start_ms)
        self._span_ms = span_ms * 2 if len(times) < self._limit // 2 else span_ms
        self._read_ms = read_ms


def _complete_until_ms(batch: TailBatch) -> int:
    """A time up to which fewer rows are to be read than this batch holds.

    Of every stream that goes on after this batch, the batch has some rows. So what was not read is
    not older than the youngest row of the stream that was read the least far.
    """
    youngest: dict[str, int] = {}
    oldest_ms: int | None = None
    for stream, ts_ms in _places(batch):
        youngest[stream] = max(ts_ms, youngest.get(stream, ts_ms))
        oldest_ms = ts_ms if oldest_ms is None else min(oldest_ms, ts_ms)
    frontier_ms = min(youngest.values())
    return frontier_ms if frontier_ms == oldest_ms else frontier_ms - 1


def _places(batch: TailBatch) -> Iterator[tuple[str, int]]:
    """Stream and time of every row."""
    for decision in batch.decisions:
        yield f"decisions/{decision.surface}/{decision.writer}", decision.ts_ms
    for reward in batch.rewards:
        yield f"rewards/{reward.record.surface}/{reward.writer}", reward.record.ts_ms
    for exposure in batch.exposures:
        yield f"exposures/{exposure.record.surface}/{exposure.writer}", exposure.record.ts_ms
