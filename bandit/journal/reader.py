"""The reading end of one segment: records in the order they were accepted."""

import errno
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

from bandit.journal.base import Entry
from bandit.journal.frames import (
    HEADER_BYTES_MAX,
    Footer,
    Frames,
    OtherVersion,
    UnreadableSegment,
    decode,
    decode_footer,
    decode_header,
    footer_of,
    frame,
    holds_frames,
    split,
)

PAGE_BYTES = 4096
"""What a disk gives or refuses in one piece."""

Pread = Callable[[int, int, int], bytes]
"""(descriptor, size, place) → bytes: `os.pread`."""


class Spoilt(NamedTuple):
    """Bytes of a segment that hold no record this version can read."""

    start: int
    data: bytes
    reason: str
    holds: Literal["damage", "frame", "segment"] = "damage"
    """A good frame or a whole segment: another version may know what it says."""


class Verdict(NamedTuple):
    """What a footer says, and what is there."""

    records_n: int
    found_n: int
    agrees: bool
    is_damaged: bool
    """Something before it was damaged, which is why it can not agree."""


class Chunk(NamedTuple):
    """What one read found."""

    entries: list[Entry]
    spoilt: list[Spoilt]
    torn_bytes: int
    """Behind the last frame of a finished segment: a write that was never accepted."""
    verdicts: tuple[Verdict, ...] = ()
    """One for each footer."""


class Mark(NamedTuple):
    """A place in a segment, and what was known there."""

    offset: int
    checked: int
    is_headed: bool
    is_damaged: bool
    footed: bool


class SegmentReader:
    """Reads a segment piece by piece; `offset` says how far it has come."""

    def __init__(self, path: Path, writer: str, *, pread: Pread = os.pread) -> None:
        self.offset = 0
        self.footed = False
        """The last frame that was read is a footer."""
        self._writer = writer
        self._pread = pread
        self._checks = bytearray()
        self._is_headed = self._is_damaged = False
        self._fd = os.open(path, os.O_RDONLY)

    @property
    def records_n(self) -> int:
        """Records and other good frames that were read."""
        return len(self._checks) // 4

    def size(self) -> int:
        """How long the segment is now."""
        return os.fstat(self._fd).st_size

    def read(self, upto: int, *, finished: bool, max_bytes: int, max_rows: int) -> Chunk:
        """Read on, at most to `upto`.

        Args:
            upto: A size that the segment had.
            finished: It will never be longer.
            max_bytes: Read no more than this, unless one frame alone is longer.
            max_rows: Nor more records than this.

        Raises:
            OSError: The disk does not give it; of a finished segment only what it can't give is
                taken for damaged.
        """
        if not self._is_headed and (nothing := self._skip_header(upto, finished=finished)):
            return nothing
        start = self.offset
        data = self._bytes(min(upto - start, max_bytes), start, finished=finished)
        complete = finished and start + len(data) >= upto
        frames = split(data, complete=complete, limit=max_rows)
        if frames.stop == 0 and start + len(data) < upto:  # longer than the piece, or damaged
            data = self._bytes(upto - start, start, finished=finished)
            frames = split(data, complete=finished, limit=max_rows)
        self.offset = start + frames.stop
        return self._decoded(data, start, frames)

    def mark(self) -> Mark:
        """Where reading is, to come back to."""
        return Mark(self.offset, len(self._checks), self._is_headed, self._is_damaged, self.footed)

    def rewind(self, mark: Mark) -> None:
        """Go back to where `mark` was made."""
        self.offset, checked, self._is_headed, self._is_damaged, self.footed = mark
        del self._checks[checked:]

    def close(self) -> None:
        """Let the file go."""
        os.close(self._fd)

    def _skip_header(self, upto: int, *, finished: bool) -> Chunk | None:
        """Go behind the header; a chunk if there is nothing to read behind it (yet).

        Where the header is damaged, frames are looked for from the start on.
        """
        data = self._bytes(min(upto, HEADER_BYTES_MAX), 0, finished=finished)
        try:
            found = decode_header(data)
        except OtherVersion as exc:
            return self._refused(upto, str(exc), "segment")
        except UnreadableSegment:
            self._is_headed = True
            return None
        if found is None and not finished:
            return Chunk([], [], 0)
        if found is None and not holds_frames(self._bytes(upto, 0, finished=True)):
            self.offset = upto
            return Chunk([], [], upto)
        if found is not None:
            header, self.offset = found
            if header.writer != self._writer:
                reason = f"its writer is {header.writer!r}, not {self._writer!r}"
                return self._refused(upto, reason, "damage")
        self._is_headed = True
        return None

    def _refused(self, upto: int, reason: str, holds: Literal["damage", "segment"]) -> Chunk:
        self.offset = upto
        whole = self._bytes(upto, 0, finished=True)
        return Chunk([], [Spoilt(0, whole, reason, holds)], 0)

    def _bytes(self, size: int, at: int, *, finished: bool) -> bytes:
        """A piece of the file; of a finished one, zeros where the disk can not give it any more."""
        try:
            return self._pread(self._fd, size, at)
        except OSError as exc:
            if exc.errno != errno.EIO or not finished:
                raise
        stop = at + size
        edges = [at, *range(at - at % PAGE_BYTES + PAGE_BYTES, stop, PAGE_BYTES), stop]
        return b"".join(self._page(upto - start, start) for start, upto in pairwise(edges))

    def _page(self, size: int, at: int) -> bytes:
        try:
            return self._pread(self._fd, size, at)
        except OSError as exc:
            if exc.errno != errno.EIO:
                raise
            return bytes(size)

    def _decoded(self, data: bytes, start: int, frames: Frames) -> Chunk:
        entries: list[Entry] = []
        spoilt: list[Spoilt] = []
        verdicts: list[Verdict] = []
        torn_bytes = 0
        for damage in frames.damage:
            if damage.torn:
                torn_bytes += damage.stop - damage.start
            else:
                bad = data[damage.start : damage.stop]
                spoilt.append(Spoilt(start + damage.start, bad, "damaged on disk"))
        self._is_damaged = self._is_damaged or bool(spoilt)
        for n, payload in enumerate(frames.payloads):
            self.footed = False
            try:
                entries.append(decode(payload))
            except Exception as exc:  # whatever it holds, reading goes on behind it
                if (footer := decode_footer(payload)) is not None:
                    verdicts.append(self._verdict(footer))
                    continue
                good, reason = frame(payload), f"no known record: {exc}"
                spoilt.append(Spoilt(start + data.index(good), good, reason, "frame"))
            self._checks += frames.checks[4 * n : 4 * n + 4]
        return Chunk(entries, spoilt, torn_bytes, tuple(verdicts))

    def _verdict(self, footer: Footer) -> Verdict:
        self.footed = True
        found = footer_of(self._checks)
        agrees = found == footer
        return Verdict(footer.records_n, found.records_n, agrees, self._is_damaged)
