"""The log in memory, with the signatures of `bandit.store.tail.Tail`."""

from collections.abc import Iterator
from typing import NamedTuple

from bandit.records import LoggedDecision
from tests.bandit.learning.making import Batch, Row

Cursor = dict[str, int]


class LogBatch(NamedTuple):
    """Stands for `TailBatch`."""

    decisions: list[LoggedDecision]
    rewards: list[Row]
    exposures: list[Row]
    cursor: Cursor


class Drained(NamedTuple):
    """Stands for `bandit.store.tail.Drained`."""

    through_ms: int | None
    hosts_n: int = 1
    silent_n: int = 0


AnyRow = LoggedDecision | Row


class FakeLog:
    """Streams of rows; what has been written is what a reader finds.

    Attributes:
        drained_ms: What the hosts say they have delivered; None if none has said anything.
        reads: (until_ms, rows answered) of every `read`.
    """

    def __init__(self) -> None:
        self.streams: dict[str, list[AnyRow]] = {}
        self.drained_ms: int | None = None
        self.reads: list[tuple[int | None, int]] = []

    def write(self, *rows: AnyRow) -> None:
        """Append rows to their streams; they get the next number there."""
        for row in rows:
            stream = self.streams.setdefault(stream_of(row), [])
            stream.append(numbered(row, len(stream) + 1))

    def read(
        self, surface: str, cursor: Cursor, *, limit: int = 10_000, until_ms: int | None = None
    ) -> LogBatch:
        upto = {}
        for name, stream in self._streams(surface):
            after = cursor.get(name, 0)
            end = after
            while end < len(stream) and (until_ms is None or ts_ms(stream[end]) <= until_ms):
                end += 1
            upto[name] = min(end, after + limit)
        batch = self.between(surface, cursor, upto)
        self.reads.append((until_ms, sum(map(len, batch[:3]))))
        return batch

    def reread(self, surface: str, cursor: Cursor, since_ms: int) -> LogBatch:
        batch = self.between(surface, {}, cursor)
        return LogBatch(
            [row for row in batch.decisions if row.ts_ms >= since_ms],
            [row for row in batch.rewards if row.record.decision_ts_ms >= since_ms],
            [row for row in batch.exposures if row.record.decision_ts_ms >= since_ms],
            cursor,
        )

    def between(self, surface: str, after: Cursor, upto: Cursor) -> LogBatch:
        batch = LogBatch([], [], [], {**after, **upto})
        kinds: dict[str, list[AnyRow]] = {
            "decisions": batch.decisions,  # type: ignore[dict-item]
            "rewards": batch.rewards,  # type: ignore[dict-item]
            "exposures": batch.exposures,  # type: ignore[dict-item]
        }
        for name, stream in self._streams(surface):
            if name in upto:
                kinds[name.split("/")[0]] += stream[after.get(name, 0) : upto[name]]
        return batch

    def drained_through_ms(self, now_ms: int, silent_after_ms: int = 300_000) -> Drained:
        return Drained(self.drained_ms)

    def end(self) -> Cursor:
        """The cursor of whoever has read everything."""
        return {name: len(stream) for name, stream in self.streams.items()}

    def _streams(self, surface: str) -> Iterator[tuple[str, list[AnyRow]]]:
        for name, stream in self.streams.items():
            table, owner, _ = name.split("/")
            if owner == surface or (owner == "" and table != "decisions"):
                yield name, stream


def ts_ms(row: AnyRow) -> int:
    return row.ts_ms if isinstance(row, LoggedDecision) else row.record.ts_ms


def stream_of(row: AnyRow) -> str:
    if isinstance(row, LoggedDecision):
        return f"decisions/{row.surface}/{row.writer}"
    return f"{row.record.table}/{row.record.surface}/{row.writer}"


def numbered(row: AnyRow, seq: int) -> AnyRow:
    if isinstance(row, LoggedDecision):
        return type(row)(
            **{name: getattr(row, name) for name in row.__struct_fields__} | {"seq": seq}
        )
    return row._replace(seq=seq)


def cut(batch: LogBatch) -> Batch:
    """Only the rows."""
    return Batch(batch.decisions, batch.rewards, batch.exposures)
