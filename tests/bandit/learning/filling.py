"""A real ClickHouse filled as the drain fills it, with the tests' own rows."""

import struct
from collections import defaultdict

import msgspec

from bandit.journal.base import Entry, Progress
from bandit.records import AnyLogRecord, Decision, LoggedDecision
from bandit.store.client import Store
from bandit.store.sink import ClickHouseSink
from tests.bandit.learning.fakes import AnyRow, stream_of


class RealLog:
    """Writes rows, and reports how far the only host has delivered."""

    def __init__(self, store: Store) -> None:
        self._sink = ClickHouseSink(store, now_ms=lambda: 0)
        self._lengths: dict[str, int] = defaultdict(int)
        self._tokens_n = 0

    def write(self, *rows: AnyRow) -> None:
        """Append rows to their streams; they get the next numbers there."""
        placed = []
        for row in rows:
            self._lengths[stream_of(row)] += 1
            placed.append((row, self._lengths[stream_of(row)]))
        self.put(*placed)

    def put(self, *placed: tuple[AnyRow, int]) -> None:
        """Store rows at their places."""
        blocks: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        for row, seq in placed:
            record = record_of(row)
            blocks[record.table, row.writer].append(Entry(seq, record))
        for (table, writer), entries in blocks.items():
            self._tokens_n += 1
            self._sink.insert(table, writer, entries, f"token-{self._tokens_n}")

    def drained(self, through_ms: int, now_ms: int) -> None:
        self._sink._now_ms = lambda: now_ms
        self._sink.report(Progress("host", through_ms, 0, 0))


def record_of(row: AnyRow) -> AnyLogRecord:
    """The record that the service had written."""
    if not isinstance(row, LoggedDecision):
        return row.record
    same = {
        name: getattr(row, name)
        for name in Decision.__struct_fields__
        if name not in ("request", "pmf", "excluded", "offered")
    }
    request = {
        "surface": row.surface,
        "unit_id": row.unit_id,
        "context": msgspec.Raw(row.context),
        "actions": row.actions,
        "exclude": [row.actions[index].id for index in row.excluded],
    }
    return Decision(
        request=msgspec.json.encode(request),
        pmf=struct.pack(f"<{len(row.pmf)}f", *row.pmf),
        excluded={"request": row.excluded} if row.excluded else {},
        **same,
    )
