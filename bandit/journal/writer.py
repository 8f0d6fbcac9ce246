"""The writing end: one journal per API worker."""

import contextlib
import errno
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Literal

from bandit.errors import JournalUnavailable
from bandit.journal.commits import GroupCommit
from bandit.journal.disk import Disk
from bandit.journal.frames import Header, encode, encode_header
from bandit.journal.segments import LOCK, NEXT, hold, segment_name
from bandit.records import AnyLogRecord


@dataclass
class _Segment:
    """The segment being written; `size` is the end of its last whole frame."""

    fd: int
    path: Path
    size: int
    first_ms: int | None = None


class Journal:
    """Accepted records, on disk in the order they came.

    Not thread-safe: it is called from one event loop only.

    A record is in the journal when `append` returns: it survives the end of this process, however
    it ends. When `durable` returns it survives what the setting `durability` says.
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

        Raises:
            JournalUnavailable: The folder can not be made, or the writer has one already.
        """
        self.writer = writer
        self._now_ms = now_ms
        self._max_bytes = max_bytes
        self._max_age_ms = round(max_age_s * 1000)
        self._disk = disk or Disk()
        self._folder = root / writer
        self._seqs: dict[tuple[str, str], int] = {}
        self.appended_bytes = 0
        """Of whole frames, since the start."""
        self._number = 0
        self._segment: _Segment | None = None
        self._commits = GroupCommit(self._disk, self._folder) if durability == "disk" else None
        try:
            self._lock = self._make_folder(root)
            self._roll()
        except OSError as exc:
            raise self._unavailable(exc) from exc

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
        self._write(data, ends=(len(data),))
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
        try:
            self._write(b"".join(frames), ends=tuple(accumulate(map(len, frames))))
        except _Cut as cut:
            for record in records[: cut.whole_n]:
                stream = (record.table, record.surface)
                self._seqs[stream] = self._seqs.get(stream, 0) + 1
            raise self._unavailable(cut.error) from cut.error
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
            raise self._unavailable(exc) from exc

    def tick(self) -> None:
        """Finish a segment that has become old while nothing was appended; call it now and then.

        A drain can deliver an unfinished segment, but only a finished one is reconciled and
        removed. Raises nothing: what fails here fails again, with a caller, in `append`.
        """
        if self._segment is not None and self._is_old(self._segment):
            with contextlib.suppress(OSError):
                self._roll()

    def close(self) -> None:
        """Give the folder to the drain: nothing is appended any more."""
        self._retire()
        if self._commits is not None:
            self._commits.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _make_folder(self, root: Path) -> int | None:
        """Make the folder so that nobody ever sees it without its lock held."""
        if self._folder.exists():
            raise FileExistsError(f"writer {self.writer!r} was here before, must be a new one")
        made = root / f".{self.writer}"
        made.mkdir(parents=True)
        lock = hold(made / LOCK)
        made.rename(self._folder)
        if self._commits is not None:
            self._disk.sync_folder(root)
            self._disk.sync_folder(root.parent)
        return lock

    def _write(self, data: bytes, ends: Sequence[int]) -> None:
        """Append frames that end at `ends`, in one call if the disk takes them in one.

        Raises:
            JournalUnavailable: None of them is in the journal.
            _Cut: Some are.
        """
        try:
            segment = self._segment_for(len(data))
            written = self._disk.write(segment.fd, data)
        except OSError as exc:
            raise self._unavailable(exc) from exc
        while written < len(data):
            try:
                written += self._disk.write(segment.fd, data[written:])
            except OSError as exc:
                whole = [end for end in ends if end <= written]
                self._cut(segment, whole[-1] if whole else 0)
                if whole:
                    raise _Cut(len(whole), exc) from exc
                raise self._unavailable(exc) from exc
        self._grow(segment, written)

    def _grow(self, segment: _Segment, written: int) -> None:
        segment.size += written
        self.appended_bytes += written
        if segment.first_ms is None:
            segment.first_ms = self._now_ms()
        if self._commits is not None:
            self._commits.appended(written)

    def _cut(self, segment: _Segment, whole: int) -> None:
        """Keep whole frames and take the torn one away, if need be by leaving the segment."""
        if whole:
            self._grow(segment, whole)
        try:
            self._disk.truncate(segment.fd, segment.size)
        except OSError:
            self._retire()

    def _segment_for(self, size: int) -> _Segment:
        segment = self._segment
        if segment is None or (self._commits is not None and not self._commits.trusted):
            return self._roll()
        full = segment.first_ms is not None and segment.size + size > self._max_bytes
        if full or self._is_old(segment):
            # A disk that has no room for a new segment may have some in the old one.
            with contextlib.suppress(OSError):
                return self._roll()
        return segment

    def _is_old(self, segment: _Segment) -> bool:
        first_ms = segment.first_ms
        return first_ms is not None and self._now_ms() - first_ms >= self._max_age_ms

    def _roll(self) -> _Segment:
        """Begin a segment and finish the one before.

        The new one gets its number when it has its header: from then on the one before counts as
        finished, and nothing may be appended to it.
        """
        made, path = self._folder / NEXT, self._folder / segment_name(self._number + 1)
        header = encode_header(Header(writer=self.writer))
        fd = self._disk.create(made)
        try:
            if self._disk.write(fd, header) < len(header):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
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

    def _retire(self) -> None:
        """Finish the segment."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        if self._commits is not None:
            self._commits.retired(segment.fd)
        else:
            os.close(segment.fd)

    def _unavailable(self, exc: OSError) -> JournalUnavailable:
        return JournalUnavailable(f"{self._folder}: {exc.strerror or exc}")


class _Cut(Exception):
    """An append of several frames of which only the first ones are in the journal."""

    def __init__(self, whole_n: int, error: OSError) -> None:
        super().__init__(whole_n)
        self.whole_n = whole_n
        self.error = error
