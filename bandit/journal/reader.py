"""The reading end of one segment: records in the order they were accepted."""

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from bandit.journal.base import Entry
from bandit.journal.frames import (
    Frames,
    UnreadableSegment,
    decode,
    decode_header,
    frame,
    split,
)

HEADER_BYTES_MAX = 4096


class Spoilt(NamedTuple):
    """Bytes of a segment that hold no record this version can read."""

    start: int
    data: bytes
    reason: str
    is_frame: bool = False
    """A good frame: another version may know its record."""


class Chunk(NamedTuple):
    """What one read found."""

    entries: list[Entry]
    spoilt: list[Spoilt]
    torn_bytes: int
    """Behind the last frame of a finished segment: a write that was never accepted."""


class SegmentReader:
    """Reads a segment piece by piece; `offset` says how far it has come."""

    def __init__(self, path: Path, writer: str) -> None:
        self.offset = 0
        self._writer = writer
        self._fd = os.open(path, os.O_RDONLY)

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
        """
        if self.offset == 0 and (unreadable := self._skip_header(upto, finished=finished)):
            return unreadable
        start = self.offset
        data = os.pread(self._fd, min(upto - start, max_bytes), start)
        complete = finished and start + len(data) >= upto
        frames = split(data, complete=complete, limit=max_rows)
        if frames.stop == 0 and start + len(data) < upto:  # longer than the piece, or damaged
            data = os.pread(self._fd, upto - start, start)
            frames = split(data, complete=finished, limit=max_rows)
        self.offset = start + frames.stop
        return _decoded(data, start, frames)

    def close(self) -> None:
        """Let the file go."""
        os.close(self._fd)

    def _skip_header(self, upto: int, *, finished: bool) -> Chunk | None:
        """Go behind the header; a chunk that says why if there is no way on."""
        data = os.pread(self._fd, min(upto, HEADER_BYTES_MAX), 0)
        try:
            found = decode_header(data)
            if found is None:
                self.offset = upto if finished else 0
                return Chunk([], [], self.offset)
            header, self.offset = found
            if header.writer != self._writer:
                raise UnreadableSegment(f"its writer is {header.writer!r}, not {self._writer!r}")
        except UnreadableSegment as exc:
            self.offset = upto
            return Chunk([], [Spoilt(0, os.pread(self._fd, upto, 0), str(exc))], 0)
        return None


def _decoded(data: bytes, start: int, frames: Frames) -> Chunk:
    entries: list[Entry] = []
    spoilt: list[Spoilt] = []
    torn_bytes = 0
    for payload in frames.payloads:
        try:
            entries.append(decode(payload))
        except msgspec.MsgspecError as exc:
            good, reason = frame(payload), f"no known record: {exc}"
            spoilt.append(Spoilt(start + data.index(good), good, reason, is_frame=True))
    for damage in frames.damage:
        if damage.torn:
            torn_bytes += damage.stop - damage.start
        else:
            bad = data[damage.start : damage.stop]
            spoilt.append(Spoilt(start + damage.start, bad, "damaged on disk"))
    return Chunk(entries, spoilt, torn_bytes)
