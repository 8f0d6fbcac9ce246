"""The store in memory, with the signatures of `bandit.store`, and a policy that never forgets."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import msgspec

from bandit.errors import NotFound, RecordError, SnapshotCorrupt, StoreUnavailable
from bandit.policies.base import Lesson
from bandit.records import Action, LoggedDecision
from bandit.specs import AnySpec, PolicySpec
from bandit.store.definitions import Definition
from bandit.store.drained import Drained
from bandit.store.snapshots import Snapshot
from bandit.store.tail import Cursor, TailBatch
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
            name: min(end, cursor.get(name, 0) + max(1, limit // sharing[name.split("/")[0]]))
            for name, end in unread.items()
        }
        more = upto != unread
        batch = self.between(surface, cursor, upto)
        self.reads.append((until_ms, sum(map(len, batch[:3]))))
        return batch._replace(more=more)

    def event_ids(
        self, surface: str, cursor: Cursor, since_ms: int, until_ms: int
    ) -> Sequence[str]:
        decisions = self.between(surface, {}, cursor).decisions
        return list({d.event_id for d in decisions if since_ms <= d.ts_ms <= until_ms})

    def reread(
        self,
        surface: str,
        cursor: Cursor,
        since_ms: int,
        *,
        decisions_since_ms: int | None = None,
    ) -> TailBatch:
        batch = self.between(surface, {}, cursor)
        decided_ms = since_ms if decisions_since_ms is None else decisions_since_ms
        return TailBatch(
            [row for row in batch.decisions if row.ts_ms >= decided_ms],
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

    def check_retained(self, surface: str, after: Cursor, upto: Cursor, since_ms: int) -> None:
        pass

    def drained_through_ms(self, now_ms: int) -> Drained:
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


class FakeSnapshots:
    """Published snapshots; `outages` many calls of `publish` fail, after or before storing."""

    def __init__(self) -> None:
        self.stored: dict[str, list[Snapshot]] = {}
        self.outages: list[str] = []
        self.erased: dict[str, int] = {}

    def publish(self, snapshot: Snapshot) -> bool:
        outage = self.outages.pop(0) if self.outages else ""
        if outage == "before":
            raise StoreUnavailable("refused")
        line = self.stored.setdefault(snapshot.policy, [])
        if snapshot.number == len(line) + 1:
            line.append(snapshot)
        if outage == "after":
            raise StoreUnavailable("timed out")
        return line[snapshot.number - 1].change_id == snapshot.change_id

    def numbers(self) -> dict[str, int]:
        return {policy: len(line) for policy, line in self.stored.items()}

    def get(self, policy: str, number: int) -> Snapshot:
        snapshot = self.stored[policy][number - 1]
        if not snapshot.weights:
            raise NotFound(f"snapshot {policy}@{number} keeps no weights")
        if hashlib.sha256(snapshot.weights).hexdigest() != snapshot.sha256:
            raise SnapshotCorrupt(f"snapshot {policy}@{number}")
        return snapshot

    def kept(self, policy: str, number: int) -> int:
        line = self.stored.get(policy, [])[:number]
        return max((snapshot.number for snapshot in line if snapshot.weights), default=0)

    def lineage(self, policy: str, *, since: int = 0, upto: int = 2**64) -> list[Snapshot]:
        line = self.stored.get(policy, [])[max(0, since - 1) : upto]
        return [msgspec.structs.replace(snapshot, weights=b"") for snapshot in line]

    def erasures(self, policy: str) -> int:
        return self.erased.get(policy, 0)

    def thin(self, policy: str, *numbers: int) -> None:
        """Forget the weights of some snapshots."""
        line = self.stored[policy]
        for number in numbers:
            line[number - 1] = msgspec.structs.replace(line[number - 1], weights=b"")


class FakeDefinitions:
    """Declarations; `put` adds a version."""

    def __init__(self, *specs: AnySpec) -> None:
        self.stored: list[Definition] = []
        for spec in specs:
            self.put(spec)

    def put(self, spec: AnySpec) -> Definition:
        version = len(self.history(spec.kind, spec.key)) + 1
        definition = Definition(
            kind=spec.kind,
            key=spec.key,
            version=version,
            created_ms=0,
            author="",
            change_id="",
            spec=spec,
        )
        self.stored.append(definition)
        return definition

    def get(self, kind: str, key: str, version: int | None = None) -> Definition:
        return self.history(kind, key)[version - 1 if version else -1]

    def history(self, kind: str, key: str) -> list[Definition]:
        return [d for d in self.stored if (d.kind, d.key) == (kind, key)]

    def all(self) -> list[Definition]:
        return list({(d.kind, d.key): d for d in self.stored}.values())

    def revision(self) -> int:
        return len(self.stored)


class Diary:
    """A learning policy that writes everything down: equal diaries learned alike, in one order."""

    refused: ClassVar[set[float]] = set()

    def __init__(self, spec: PolicySpec, weights: bytes | None = None) -> None:
        self.lines: list[Any] = msgspec.json.decode(weights) if weights else [spec.arguments]

    def pmf(self, context: bytes, actions: Sequence[Action]) -> list[float]:
        return [1 / len(actions)] * len(actions)

    def learn(self, lesson: Lesson) -> None:
        if lesson.reward in self.refused:
            raise RecordError(f"reward is {lesson.reward}")
        drawn = lesson.actions[lesson.drawn].id
        ids = [action.id for action in lesson.actions]
        self.lines.append([ids, drawn, lesson.propensity, lesson.reward])

    def save(self) -> bytes:
        return msgspec.json.encode(self.lines)

    def digest(self) -> str:
        return hashlib.sha256(self.save()).hexdigest()
