"""The writing end: one journal per API worker."""

import contextlib
import errno
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Literal

from bandit.errors import JournalUnavailable, StorageFull
from bandit.journal.commits import GroupCommit
from bandit.journal.disk import Disk
from bandit.journal.frames import (
    FOOTER_BYTES_MAX,
    Header,
    check_of,
    encode,
    encode_footer,
    encode_header,
    footer_of,
)
from bandit.journal.pressure import Pressure, Watermarks
from bandit.journal.room import Room, unavailable
from bandit.journal.segments import LOCK, NEXT, hold, segment_name
from bandit.records import AnyLogRecord

BACKLOG_MAX_BYTES = 1 << 30


@dataclass
class _Segment:
    """The segment being written; `size` is the end of its last whole frame."""

    fd: int
    path: Path
    size: int
    first_ms: int | None = None
    checks: bytearray = field(default_factory=bytearray)
    """The checksums of its records."""
    footed: int = 0
    """How many of these bytes its last footer is about."""


class Journal:
    """Accepted records, on disk in the order they came.

    Not thread-safe: it is called from one event loop only.

    A record is in the journal when `append` returns: it survives the end of this process, however
    it ends. When `durable` returns it survives what the setting `durability` says.

    A disk that is full or fails is no reason not to start: `append` raises, `tick` tries again.

    Attributes:
        pressure: How much may be written, as of the last `tick` or failure; whoever appends heeds
            it (`require_room`).
        keep_share: Which share of the decisions is to be appended, `bandit.journal.pressure.kept`.
        appended_bytes: Of whole frames, since the start.
    """

    def __init__(
        self,
        root: Path,
        *,
        writer: str,
        durability: Literal["process", "disk"],
        now_ms: Callable[[], int],
        max_bytes: int,
        max_age_s: float,
        disk: Disk | None = None,
        watermarks: Watermarks = Watermarks(),  # noqa: B008 (frozen)
        backlog_max_bytes: int = BACKLOG_MAX_BYTES,
    ) -> None:
        """Open a writer's folder and its first segment.

        Args:
            root: `Settings.journal_dir`.
            writer: Name of this start of this worker, never used before: `seq` starts at 1.
            durability: What `durable` waits for.
            now_ms: Clock for the age of segments.
            max_bytes: A segment that would grow beyond it is finished; one record always fits.
            max_age_s: So long after its first record a segment is finished.
            disk: Another file system, in tests.
            watermarks: From when on the disk counts as full.
            backlog_max_bytes: While more of this writer waits for the store, decisions are thinned.

        Raises:
            JournalUnavailable: `root` is no folder, or the writer has one already.
        """
        self.writer = writer
        self._now_ms = now_ms
        self._max_bytes = max_bytes
        self._max_age_ms = round(max_age_s * 1000)
        self._disk = disk or Disk()
        self._folder = root / writer
        self._seqs: dict[tuple[str, str], int] = {}
        self.appended_bytes = 0
        self._number = 0
        self._segment: _Segment | None = None
        self._commits = GroupCommit(self._disk, self._folder) if durability == "disk" else None
        self._lock: int | None = None
        self._room = Room(root, self._disk, watermarks, backlog_max_bytes)
        self.pressure, self.keep_share = Pressure.OK, 1.0
        try:
            self._roll()
        except (FileExistsError, NotADirectoryError) as exc:
            raise unavailable(self._folder, exc) from exc
        except OSError as exc:
            self._failed(exc)
        else:
            self._look()

    @property
    def backlog_bytes(self) -> int:
        """How much of this writer the drain has not removed yet, as of the last `tick`."""
        return self._room.backlog_bytes

    def require_room(self) -> None:
        """Refuse, before anything is made, what would not be written.

        Raises:
            StorageFull: The disk is full, or did not take the last record.
        """
        if self.pressure is Pressure.FULL:
            raise StorageFull("the disk is full or fails: records must be sent again later")

    @property
    def appended(self) -> Counter[str]:
        """Records since the start, by table."""
        found: Counter[str] = Counter()
        for (table, _), seq in self._seqs.items():
            found[table] += seq
        return found

    def append(self, record: AnyLogRecord) -> None:
        """Write one record.

        Raises:
            JournalUnavailable: The record is not in the journal, and no `seq` was used up.
        """
        stream = (record.table, record.surface)
        seq = self._seqs.get(stream, 0) + 1
        data = encode(seq, record)
        self._write(data, check_of(data), ends=(len(data),))
        self._seqs[stream] = seq

    def append_many(self, records: Sequence[AnyLogRecord]) -> None:
        """Write records with one call to the file system.

        Raises:
            JournalUnavailable: Not all of them are in the journal; those before the first that is
                not are, and stay (a reader may have seen them), so repeats must be harmless.
        """
        seqs = dict(self._seqs)
        frames: list[bytes] = []
        for record in records:
            stream = (record.table, record.surface)
            seqs[stream] = seq = seqs.get(stream, 0) + 1
            frames.append(encode(seq, record))
        if not frames:
            return
        checks = b"".join(map(check_of, frames))
        try:
            self._write(b"".join(frames), checks, ends=tuple(accumulate(map(len, frames))))
        except _Cut as cut:
            for record in records[: cut.whole_n]:
                stream = (record.table, record.surface)
                self._seqs[stream] = self._seqs.get(stream, 0) + 1
            raise self._failed(cut.error) from cut.error
        self._seqs = seqs

    async def durable(self) -> None:
        """Wait until everything appended so far survives what the setting `durability` says.

        Waiters share their `fdatasync`.

        Raises:
            JournalUnavailable: The disk did not confirm it.
        """
        if self._commits is None:
            return
        try:
            await self._commits.wait()
        except OSError as exc:
            raise self._failed(exc) from exc

    def tick(self) -> None:
        """Look how full the disk is, and finish a segment that has become old; call it each second.

        A drain can deliver an unfinished segment, but only a finished one is reconciled and
        removed. Raises nothing: what fails here fails again, with a caller, in `append`.
        """
        self._look()
        try:
            if self._segment is None:
                self._roll()
            elif self._is_old(self._segment):
                with contextlib.suppress(OSError):
                    self._roll()
        except OSError as exc:
            self._failed(exc)

    def close(self) -> None:
        """Give the folder to the drain: nothing is appended any more."""
        if self._segment is not None:
            self._put_footer(self._segment)
        self._retire()
        if self._commits is not None:
            self._commits.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _make_folder(self) -> None:
        """Make the folder so that nobody ever sees it without its lock held."""
        root = self._folder.parent
        if self._folder.exists():
            raise FileExistsError(f"writer {self.writer!r} was here before, must be a new one")
        made = root / f".{self.writer}"
        made.mkdir(parents=True, exist_ok=True)
        lock = hold(made / LOCK)
        try:
            made.rename(self._folder)
        except OSError:
            if lock is not None:
                os.close(lock)
            raise
        self._lock = lock
        if self._commits is not None:
            self._disk.sync_folder(root)
            self._disk.sync_folder(root.parent)

    def _write(self, data: bytes, checks: bytes, ends: Sequence[int]) -> None:
        """Append frames that end at `ends`, in one call if the disk takes them in one.

        Raises:
            JournalUnavailable: None of them is in the journal.
            _Cut: Some are.
        """
        try:
            segment = self._segment_for(len(data))
            written = self._disk.write(segment.fd, data)
        except OSError as exc:
            raise self._failed(exc) from exc
        while written < len(data):
            try:
                written += self._disk.write(segment.fd, data[written:])
            except OSError as exc:
                whole = [end for end in ends if end <= written]
                self._cut(segment, whole[-1] if whole else 0, checks[: 4 * len(whole)])
                if whole:
                    raise _Cut(len(whole), exc) from exc
                raise self._failed(exc) from exc
        self._grow(segment, written, checks)

    def _grow(self, segment: _Segment, written: int, checks: bytes) -> None:
        segment.size += written
        segment.checks += checks
        self.appended_bytes += written
        if segment.first_ms is None:
            segment.first_ms = self._now_ms()
        if self._commits is not None:
            self._commits.appended(written)

    def _cut(self, segment: _Segment, whole: int, checks: bytes = b"") -> None:
        """Keep whole frames and take the torn one away, if need be by leaving the segment."""
        if whole:
            self._grow(segment, whole, checks)
        try:
            self._disk.truncate(segment.fd, segment.size)
        except OSError:
            self._retire()

    def _segment_for(self, size: int) -> _Segment:
        segment = self._segment
        if segment is None or (self._commits is not None and not self._commits.trusted):
            return self._roll()
        most = self._max_bytes - FOOTER_BYTES_MAX
        full = segment.first_ms is not None and segment.size + size > most
        if full or self._is_old(segment):
            # A disk that has no room for a new segment may have some in the old one.
            with contextlib.suppress(OSError):
                return self._roll()
        return segment

    def _is_old(self, segment: _Segment) -> bool:
        if segment.first_ms is None:
            return False
        age_ms = self._now_ms() - segment.first_ms
        return not 0 <= age_ms < self._max_age_ms  # nobody knows how old, if the clock was set back

    def _roll(self) -> _Segment:
        """Begin a segment and finish the one before.

        The new one gets its number when it has its header: from then on the one before counts as
        finished, and nothing may be appended to it. So its footer comes before that.
        """
        if self._lock is None:
            self._make_folder()
        made, path = self._folder / NEXT, self._folder / segment_name(self._number + 1)
        header = encode_header(Header(writer=self.writer))
        fd = self._disk.create(made)
        try:
            if self._disk.write(fd, header) < len(header):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self._segment is not None:
                self._put_footer(self._segment)
            made.rename(path)
        except OSError:
            os.close(fd)
            raise
        self._retire()
        self._number += 1
        self._segment = _Segment(fd, path, len(header))
        if self._commits is not None:
            self._commits.opened(fd)
        return self._segment

    def _put_footer(self, segment: _Segment) -> None:
        """Say at the end of a segment what it holds, if the disk has room for it."""
        if segment.footed == len(segment.checks):
            return
        data = encode_footer(footer_of(segment.checks))
        try:
            is_whole = self._disk.write(segment.fd, data) == len(data)
        except OSError:
            return
        if is_whole:
            segment.footed = len(segment.checks)
            segment.size += len(data)  # nobody waits for it, so no sync is owed to it
        else:
            with contextlib.suppress(OSError):
                self._disk.truncate(segment.fd, segment.size)

    def _retire(self) -> None:
        """Finish the segment."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        self._room.finished(segment.path, segment.size)
        if self._commits is not None:
            self._commits.retired(segment.fd)
        else:
            os.close(segment.fd)

    def _look(self) -> None:
        size = 0 if self._segment is None else self._segment.size
        self._room.look(current_bytes=size, appended_bytes=self.appended_bytes)
        self.pressure, self.keep_share = self._room.pressure, self._room.keep_share

    def _failed(self, exc: OSError) -> JournalUnavailable:
        """Write nothing until the next `tick`, for each try of a broken disk can take long."""
        self._room.fail(exc, self.appended_bytes)
        self.pressure, self.keep_share = self._room.pressure, self._room.keep_share
        return unavailable(self._folder, exc)


class _Cut(Exception):
    """An append of several frames of which only the first ones are in the journal."""

    def __init__(self, whole_n: int, error: OSError) -> None:
        super().__init__(whole_n)
        self.whole_n = whole_n
        self.error = error
