"""The log in memory, with the signatures of `bandit.store.tail.Tail`."""

from collections import Counter
from collections.abc import Iterator

from bandit.records import LoggedDecision
from bandit.store.tail import Cursor, Drained, TailBatch
from tests.bandit.learning.making import AnyRow


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
    ) -> TailBatch:
        ends = {
            name: self._end(stream, cursor.get(name, 0), until_ms)
            for name, stream in self._streams(surface)
        }
        unread = {name: end for name, end in ends.items() if end > cursor.get(name, 0)}
        sharing = Counter(name.split("/")[0] for name in unread)
        upto = {
            name: min(end, cursor.get(name, 0) + limit // sharing[name.split("/")[0]])
            for name, end in unread.items()
        }
        more = upto != unread
        batch = self.between(surface, cursor, upto)
        self.reads.append((until_ms, sum(map(len, batch[:3]))))
        return batch._replace(more=more)

    def reread(self, surface: str, cursor: Cursor, since_ms: int) -> TailBatch:
        batch = self.between(surface, {}, cursor)
        return TailBatch(
            [row for row in batch.decisions if row.ts_ms >= since_ms],
            [row for row in batch.rewards if row.record.decision_ts_ms >= since_ms],
            [row for row in batch.exposures if row.record.decision_ts_ms >= since_ms],
            cursor,
        )

    def between(self, surface: str, after: Cursor, upto: Cursor) -> TailBatch:
        batch = TailBatch([], [], [], {**after, **upto})
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
        return Drained(self.drained_ms, hosts_n=1, silent_n=0)

    @staticmethod
    def _end(stream: list[AnyRow], after: int, until_ms: int | None) -> int:
        end = after
        while end < len(stream) and (until_ms is None or ts_ms(stream[end]) <= until_ms):
            end += 1
        return end

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
