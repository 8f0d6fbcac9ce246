"""Where the journal's drain delivers: blocks of records into their tables, and what is missing."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from bandit.errors import StoreRejected
from bandit.records import AnyLogRecord
from bandit.store.blocks import BLOCKS, Columns
from bandit.store.client import Store


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


Entry = TypeVar("Entry", bound=Placed)


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
        return [entry for entry in entries if (entry.record.surface, entry.seq) not in found]

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
            },
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
