"""Where the journal's drain delivers: blocks of records into their tables, and what is missing."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Protocol, TypeVar

from bandit.errors import StoreRejected
from bandit.records import AnyLogRecord
from bandit.store.blocks import BLOCKS, Columns
from bandit.store.client import Store
from bandit.store.gaps import Gap, Reason, StreamGaps, declare


class Placed(Protocol):
    """What this room sees of a `bandit.journal.base.Entry`: rooms of one rank do not meet."""

    @property
    def seq(self) -> int:
        """Counts 1, 2, 3 … per writer, table and surface."""
        ...

    @property
    def record(self) -> AnyLogRecord:
        """What happened."""
        ...


class Run(Protocol):
    """What this room sees of `bandit.journal.base.Numbers`."""

    @property
    def table(self) -> str:
        """Of the log."""
        ...

    @property
    def surface(self) -> str:
        """With table and writer, the stream."""
        ...

    @property
    def writer(self) -> str:
        """Whose."""
        ...

    @property
    def first(self) -> int:
        """Of the numbers."""
        ...

    @property
    def last(self) -> int:
        """Included."""
        ...


class HostProgress(Protocol):
    """What this room sees of a `bandit.journal.base.Progress`."""

    @property
    def host(self) -> str:
        """Whose drain."""
        ...

    @property
    def drained_through_ms(self) -> int:
        """Every record accepted there before this time is in the store."""
        ...

    @property
    def backlog_bytes(self) -> int:
        """What is not."""
        ...

    @property
    def segments_n(self) -> int:
        """In how many files."""
        ...

    @property
    def done(self) -> bool:
        """It was shut down with nothing left."""
        ...


Entry = TypeVar("Entry", bound=Placed)
Numbers = TypeVar("Numbers", bound=Run)


class ClickHouseSink:
    """Keeps records in ClickHouse; a `bandit.journal.base.Sink`."""

    def __init__(self, store: Store, *, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms

    def insert(self, table: str, writer: str, entries: Sequence[Placed], token: str) -> None:
        """Store a block of one table; atomic if all its rows are of one month.

        Args:
            token: The same for the same block however often it is tried.

        Raises:
            StoreUnavailable: The outcome is unknown: try the same block and token again.
            StoreRejected: The block can never be stored as it is.
        """
        if not entries:
            return
        columns = columns_of(table, writer, entries)
        columns["writer"] = [writer] * len(entries)
        columns["seq"] = [entry.seq for entry in entries]
        self._store.insert(table, columns, token=token)

    def missing(self, table: str, writer: str, entries: Sequence[Entry]) -> list[Entry]:
        """Those of `entries` that are not in the store now, in their order.

        What a unit had forgotten is not missed.

        Raises:
            StoreUnavailable: Nobody knows.
        """
        block = BLOCKS[table]
        streams: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            streams[entry.record.surface].append(entry)
        found: set[tuple[str, int]] = set()
        for surface, wanted in streams.items():
            seqs = [entry.seq for entry in wanted]
            times = [block.time_ms(entry.record) for entry in wanted]
            [(stored,)] = self._store.rows(
                "stored_seqs",
                table=table,
                clock=block.clock,
                writer=writer,
                surface=surface,
                first=min(seqs),
                last=max(seqs),
                since_ms=min(times),
                until_ms=max(times),
            )
            found.update((surface, seq) for seq in stored)
            if len(stored) < len(wanted):
                forgotten = self._forgotten(table, surface, writer, min(seqs), max(seqs))
                found.update((surface, seq) for seq in seqs if seq in forgotten)
        return [entry for entry in entries if (entry.record.surface, entry.seq) not in found]

    def preceding(self, table: str, writer: str, firsts: Mapping[str, int]) -> dict[str, int]:
        """The highest number in the store before one of each surface; those without are left out.

        Raises:
            StoreUnavailable: Nobody knows.
        """
        return dict(
            self._store.rows(
                "preceding_seqs",
                table=table,
                writer=writer,
                surfaces=list(firsts),
                firsts=list(firsts.values()),
            )
        )

    def give_up(self, numbers: Sequence[Numbers], *, reason: Reason) -> list[Numbers]:
        """Declare gaps of those numbers that are not in the store; which they are.

        Raises:
            StoreUnavailable: The outcome is unknown: give up the same again.
        """
        given_up: list[Numbers] = []
        gaps: list[Gap] = []
        for run in numbers:
            place = {"surface": run.surface, "writer": run.writer}
            [(stored,)] = self._store.rows(
                "seqs_between", table=run.table, first=run.first, last=run.last, **place
            )
            ends = [run.first - 1, *sorted(stored), run.last + 1]
            missing = [(a + 1, b - 1) for a, b in pairwise(ends) if b - a > 1]
            given_up += [run] if missing else []
            gaps += [Gap(run.table, run.surface, run.writer, *ends) for ends in missing]
        declare(self._store, gaps, reason=reason, now_ms=self._now_ms())
        return given_up

    def report(self, progress: HostProgress) -> None:
        """Publish how far the drain has come; one insert, so a few times a second at most.

        Raises:
            StoreUnavailable: Not published.
        """
        self._store.insert(
            "progress",
            {
                "host": [progress.host],
                "drained_through": [progress.drained_through_ms],
                "backlog_bytes": [progress.backlog_bytes],
                "segments_n": [progress.segments_n],
                "updated_at": [self._now_ms()],
                "done": [progress.done],
            },
        )

    def _forgotten(
        self, table: str, surface: str, writer: str, first: int, last: int
    ) -> StreamGaps:
        return StreamGaps(
            self._store.rows(
                "forgotten_seqs",
                table=table,
                surface=surface,
                writer=writer,
                first=first,
                last=last,
            )
        )


def columns_of(table: str, writer: str, entries: Sequence[Placed]) -> Columns:
    """Records as columns of `table`, but for `writer` and `seq`.

    Raises:
        StoreRejected: A record that is not one of this table, or does not hold what it must.
    """
    block = BLOCKS[table]
    records = [entry.record for entry in entries]
    if all(type(record) is block.kind for record in records):
        try:
            return block.columns(records)
        except ValueError:
            pass  # below, one by one, to say which
    for entry in entries:
        where = f"record {writer}/{entry.seq} of {table}"
        if type(entry.record) is not block.kind:
            kind = type(entry.record).__name__
            raise StoreRejected(f"{where} is {kind}, must be {block.kind.__name__}")
        try:
            block.columns([entry.record])
        except ValueError as exc:
            raise StoreRejected(f"{where}: {exc}") from exc
    raise AssertionError("a block failed though each of its records passes")
