"""A clock that is told, a disk that fills up, a store that loses things, and records to put in."""

import errno
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from bandit.errors import StoreRejected, StoreUnavailable
from bandit.journal import Drain, Journal
from bandit.journal.base import Entry, Numbers, Progress
from bandit.journal.blocks import month, partition_ms
from bandit.journal.disk import Disk, Space
from bandit.records import AnyLogRecord, Decision, Exposure, Outcome, Reward

START_MS = 1_767_225_590_000  # ten seconds before 2026: a test is soon in another month
ROOMY = Space(1000 << 20, 900 << 20)
"""Of a small disk, on which no headroom counts."""
Key = tuple[str, str, str, int]


class Clock:
    def __init__(self) -> None:
        self.ms = START_MS

    def __call__(self) -> int:
        return self.ms

    def advance(self, ms: int) -> None:
        self.ms += ms


class FullDisk(Disk):
    """A real disk with as much room as it is told, on which other things can fail, too."""

    def __init__(self) -> None:
        self.room: int | None = None
        self.can_truncate = True
        self.can_sync = True
        self.error: int | None = None
        self.left = ROOMY
        self.synced: list[int] = []
        self.writes: list[int] = []

    def space(self, path: Path) -> Space:
        super().space(path)
        return self.left

    def allocate(self, fd: int, size: int) -> None:
        if self.room is not None and size > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        os.ftruncate(fd, size)

    def create(self, path: Path) -> int:
        self._fail()
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().create(path)

    def _fail(self) -> None:
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))

    def write(self, fd: int, data: bytes) -> int:
        self._fail()
        if self.room is not None:
            if data and self.room == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            data = data[: self.room]
            self.room -= len(data)
        self.writes.append(len(data))
        return super().write(fd, data)

    def truncate(self, fd: int, length: int) -> None:
        if not self.can_truncate:
            raise OSError(errno.EIO, "Input/output error")
        super().truncate(fd, length)

    def sync(self, fd: int) -> None:
        if not self.can_sync:
            raise OSError(errno.EIO, "Input/output error")
        self.synced.append(os.fstat(fd).st_size)
        super().sync(fd)


class FakeSink:
    """ClickHouse as we know it: it de-duplicates by token, and can lose rows whose token it knows.

    `answers` holds what happens to the next inserts: `lost` (unknown outcome, nothing stored),
    `kept` (unknown outcome, stored), `swallowed` (unknown outcome, only the token was stored).
    """

    def __init__(self) -> None:
        self.rows: dict[Key, AnyLogRecord] = {}
        self.inserts: list[tuple[str, str, int, str]] = []
        self.checks: list[tuple[str, str, int]] = []
        self.reports: list[Progress] = []
        self.gaps: set[Key] = set()
        self.answers: deque[str] = deque()
        self.is_down = False
        self.refuses: Callable[[AnyLogRecord], bool] = lambda record: False
        self.on_report: Callable[[Progress], None] = lambda progress: None
        self.seen_again: set[Key] = set()
        self._tokens: set[str] = set()
        self._in_doubt: dict[str, str] = {}

    def insert(self, table: str, writer: str, entries: Sequence[Entry], token: str) -> None:
        if self.is_down:
            raise StoreUnavailable("connection refused")
        assert {record.table for _, record in entries} == {table}
        assert len({month(partition_ms(record)) for _, record in entries}) == 1
        assert self._in_doubt.pop(table, token) == token, "another block went in before it"
        self.inserts.append((table, writer, len(entries), token))
        if any(self.refuses(record) for _, record in entries):
            raise StoreRejected("cannot parse")
        answer = self.answers.popleft() if self.answers else "stored"
        if answer in ("stored", "kept") and token not in self._tokens:
            for seq, record in entries:
                key = (writer, table, record.surface, seq)
                assert self.rows.setdefault(key, record) == record, f"two records are {key}"
        if answer != "lost":
            self._tokens.add(token)
        if answer != "stored":
            self._in_doubt[table] = token
            raise StoreUnavailable("read timed out")

    def missing(self, table: str, writer: str, entries: Sequence[Entry]) -> list[Entry]:
        if self.is_down:
            raise StoreUnavailable("connection refused")
        self.checks.append((table, writer, len(entries)))
        keys = {(writer, table, record.surface, seq) for seq, record in entries}
        self.seen_again |= keys & self.rows.keys()
        return [e for e in entries if (writer, table, e.record.surface, e.seq) not in self.rows]

    def preceding(self, table: str, writer: str, firsts: Mapping[str, int]) -> dict[str, int]:
        if self.is_down:
            raise StoreUnavailable("connection refused")
        stored = [
            (surface, seq)
            for w, t, surface, seq in self.rows
            if (w, t) == (writer, table) and seq < firsts.get(surface, 0)
        ]
        return {surface: max(seq for s, seq in stored if s == surface) for surface, _ in stored}

    def give_up(self, numbers: Sequence[Numbers], *, reason: str) -> list[Numbers]:
        if self.is_down:
            raise StoreUnavailable("connection refused")
        given_up = []
        for run in numbers:
            keys = {
                (run.writer, run.table, run.surface, seq) for seq in range(run.first, run.last + 1)
            }
            self.gaps |= keys - self.rows.keys()
            given_up += [run] if keys - self.rows.keys() else []
        return given_up

    def report(self, progress: Progress) -> None:
        if self.is_down:
            raise StoreUnavailable("connection refused")
        self.on_report(progress)
        self.reports.append(progress)

    def lose(self) -> None:
        """A power loss: what was stored and not read back since may be gone, its tokens are not."""
        self.rows = {key: row for key, row in self.rows.items() if key in self.seen_again}

    def forget_who_waits(self) -> None:
        """The drain that was in doubt is gone."""
        self._in_doubt.clear()


def make_journal(
    root: Path,
    clock: Clock,
    *,
    writer: str = "w1",
    disk: Disk | None = None,
    max_bytes: int = 1 << 20,
    max_age_s: float = 5.0,
    durability: Literal["process", "disk"] = "process",
    backlog_max_bytes: int = 1 << 30,
) -> Journal:
    return Journal(
        root,
        writer=writer,
        durability=durability,
        now_ms=clock,
        max_bytes=max_bytes,
        max_age_s=max_age_s,
        disk=disk,
        backlog_max_bytes=backlog_max_bytes,
    )


def make_drain(root: Path, sink: FakeSink, clock: Callable[[], int]) -> Drain:
    return Drain(root, sink, host="h1", now_ms=clock)


def event_id(n: int) -> str:
    return f"019b76da-a7f8-7000-8000-{n:012x}"


def reward(n: int, *, surface: str = "home", ts_ms: int = START_MS, at_ms: int = 0) -> Reward:
    return Reward(
        ts_ms=ts_ms,
        surface=surface,
        event_id=event_id(n),
        decision_ts_ms=at_ms or ts_ms,
        value=float(n),
        reward_id=f"r{n}",
    )


def exposure(n: int, *, surface: str = "home", ts_ms: int = START_MS, at_ms: int = 0) -> Exposure:
    return Exposure(
        ts_ms=ts_ms,
        surface=surface,
        event_id=event_id(n),
        decision_ts_ms=at_ms or ts_ms,
        slots=(n % 1_000,),
    )


def outcome(n: int, *, ts_ms: int = START_MS) -> Outcome:
    return Outcome(ts_ms=ts_ms, unit_id=f"u{n}", name="revenue", value=n, outcome_id=f"o{n}")


def decision(n: int, *, surface: str = "home", ts_ms: int = START_MS) -> Decision:
    return Decision(
        ts_ms=ts_ms,
        surface=surface,
        event_id=event_id(n),
        unit_id=f"u{n}",
        policy="p",
        snapshot=n,
        request=b'{"surface":"home","unit_id":"u","actions":[{"id":"a"}]}' + b" " * (n % 50),
        pmf=b"\x00\x00\x80?",
        ranking=(0,),
        propensities=(1.0,),
        floor=0.0,
        seed=2**64 - 1 - n,
        shadows={"q": (0.5,)},
    )


def key_of(writer: str, entry: Entry) -> Key:
    return (writer, entry.record.table, entry.record.surface, entry.seq)


def segments(root: Path, writer: str = "w1") -> list[Path]:
    return sorted((root / writer).glob("*.seg"))


def is_empty(root: Path) -> bool:
    return not any(path.is_dir() for path in root.iterdir())
