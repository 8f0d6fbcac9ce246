"""Blocks: what goes to the sink in one piece."""

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby

import msgspec

from bandit.journal.base import Entry
from bandit.records import AnyLogRecord, Exposure, Reward

DAY_MS = 86_400_000


@dataclass(eq=False)
class Block:
    """Entries of one writer, one table and one month, and what is known of them.

    Attributes:
        check: Ask the sink what it has before sending anything.
        again: It was delivered before and is only looked after; it counts no second time.
        doubtful: Somebody may have stored it, or only its token: once it is sent, check it.
        resends: How often its rows were missing after all; each is sent under a new token.
    """

    writer: str
    table: str
    entries: list[Entry]
    check: bool
    again: bool = False
    doubtful: bool = False
    resends: int = 0
    token: str = field(init=False)

    def __post_init__(self) -> None:
        self.token = _token(self)
        self.doubtful = self.doubtful or self.check

    def resend(self, missing: list[Entry]) -> None:
        """Only these are not in the sink."""
        self.entries = missing
        self.resends += 1
        self.check = False
        self.token = _token(self)

    def halves(self) -> "list[Block]":
        """The block as two; they keep what is known of it."""
        middle = len(self.entries) // 2
        return [
            Block(self.writer, self.table, part, False, self.again, self.doubtful)
            for part in (self.entries[:middle], self.entries[middle:])
        ]


def blocks_of(
    writer: str, entries: Iterable[Entry], *, max_rows: int, check: bool, again: bool = False
) -> list[Block]:
    """Entries of one writer as blocks, in their order."""
    rows: dict[tuple[str, int], list[Entry]] = {}
    for entry in entries:
        place = (entry.record.table, month(partition_ms(entry.record)))
        rows.setdefault(place, []).append(entry)
    return [
        Block(writer, table, part[start : start + max_rows], check, again)
        for (table, _), part in rows.items()
        for start in range(0, len(part), max_rows)
    ]


def partition_ms(record: AnyLogRecord) -> int:
    """The time whose month is the record's partition in the store."""
    return record.decision_ts_ms if isinstance(record, Reward | Exposure) else record.ts_ms


def month(ts_ms: int) -> int:
    """Year and month as one number, UTC.

    >>> month(1_767_225_599_999), month(1_767_225_600_000)
    (202512, 202601)
    """
    return _month_of_day(ts_ms // DAY_MS)


@lru_cache(maxsize=1024)
def _month_of_day(day: int) -> int:
    date = time.gmtime(day * 86_400)  # datetime ends at the year 9999, an event id does not
    return date.tm_year * 100 + date.tm_mon


def runs(seqs: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending numbers as runs without holes, ends included.

    >>> runs([1, 2, 3, 7, 9, 10])
    [(1, 3), (7, 7), (9, 10)]
    """
    found = []
    for _, run in groupby(enumerate(seqs), key=lambda pair: pair[1] - pair[0]):
        numbers = [seq for _, seq in run]
        found.append((numbers[0], numbers[-1]))
    return found


def _token(block: Block) -> str:
    """Name of these rows in this attempt, the same in every process."""
    streams: dict[str, list[int]] = {}
    for seq, record in block.entries:
        streams.setdefault(record.surface, []).append(seq)
    content = [(surface, runs(sorted(seqs))) for surface, seqs in sorted(streams.items())]
    name = msgspec.msgpack.encode((block.writer, block.table, content, block.resends))
    return hashlib.blake2b(name, digest_size=16).hexdigest()
