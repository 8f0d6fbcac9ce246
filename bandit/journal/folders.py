"""A writer's folder as the drain sees it: what was read, what is settled, what can go."""

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bandit.errors import StoreUnavailable
from bandit.journal.base import Entry
from bandit.journal.blocks import Block, blocks_of
from bandit.journal.continuity import Continuity
from bandit.journal.delivery import Delivery, place
from bandit.journal.quarantine import Quarantine
from bandit.journal.reader import Chunk, SegmentReader, Verdict
from bandit.journal.segments import (
    LOCK,
    NEXT,
    REJECTED,
    SUFFIX,
    is_held,
    segment_name,
    segments_in,
)
from bandit.logs import event

log = logging.getLogger(__name__)

NOTHING_READ = 0
"""A time before every record, where it is not known what lies ahead."""


class Limits(NamedTuple):
    """How much is done at once."""

    block_rows: int = 5_000
    chunk_rows: int = 20_000
    chunk_bytes: int = 8 * 1024 * 1024


class Walk:
    """One way through a segment: a chunk is read when all of the chunk before is settled.

    A segment is walked while it grows. If anything was sent that nobody read back, it is walked
    once more when it is finished (`again`), asking the sink for everything.
    """

    def __init__(self, path: Path, *, check_upto: int, again: bool = False) -> None:
        self.reader = SegmentReader(path, path.parent.name)
        self.check_upto = check_upto
        self.again = again
        self.pending: list[Block] = []
        self.settled = 0
        """Everything before this place is in the sink or set aside."""
        self.floor_ms = NOTHING_READ
        """No record of the last chunk is older, nor are those behind it."""
        self.sent = False
        """Something was sent without asking first."""


class Segment:
    """A segment file and the walk through it."""

    def __init__(self, path: Path, *, known_bytes: int) -> None:
        """Begin to read a segment.

        Args:
            path: Its file.
            known_bytes: So much of it an earlier drain may have delivered.
        """
        self.path = path
        self.walk = Walk(path, check_upto=known_bytes)
        self.size = 0
        self.finished = False

    def refresh(self, *, finished: bool) -> None:
        """Look how long it is now."""
        self.finished = finished
        self.size = self.walk.reader.size()

    @property
    def is_settled(self) -> bool:
        """Whether everything that was there at the last look has been delivered once."""
        return self.walk.again or self.walk.settled >= self.size

    @property
    def is_done(self) -> bool:
        """Whether it is finished and every record of it was found in the sink."""
        return self.finished and self.walk.settled >= self.size and not self.walk.sent

    def walk_again(self) -> None:
        """Go back to the start, to ask for everything."""
        self.walk.reader.close()
        self.walk = Walk(self.path, check_upto=self.size, again=True)


class Folder:
    """The segments of one writer."""

    def __init__(
        self,
        path: Path,
        delivery: Delivery,
        quarantine: Quarantine,
        limits: Limits,
        *,
        recovering: bool,
    ) -> None:
        """Know a folder, without looking into it yet.

        Args:
            path: The folder; its name is the writer's.
            delivery: The way to the sink.
            quarantine: Where what can not be delivered goes.
            limits: How much is read and sent at once.
            recovering: An earlier drain may have delivered any of it.
        """
        self.path = path
        self.segments: dict[str, Segment] = {}
        self.is_dead = False
        """Nothing will be appended any more."""
        self._delivery = delivery
        self._quarantine = quarantine
        self._limits = limits
        self._recovering = recovering
        self._floor_ms = NOTHING_READ
        self._continuity: Continuity | None = None

    def refresh(self) -> None:
        """See what is there."""
        self.is_dead = not is_held(self.path / LOCK)  # before the look: what we see is all, then
        names = segments_in(self.path)
        newest = max(filter(_is_numbered, names), default="")
        for name in self.segments.keys() - set(names):
            self._drop(name)
        if self._continuity is None:
            is_from_start = not self._recovering or segment_name(1) in names
            self._continuity = Continuity(
                self.path.name, self._delivery.sink, is_from_start=is_from_start
            )
        for name in names:
            if name not in self.segments:
                path = self.path / name
                known_bytes = path.stat().st_size if self._recovering else 0
                self.segments[name] = Segment(path, known_bytes=known_bytes)
            self.segments[name].refresh(finished=self.is_dead or name != newest)
        self._recovering = False

    def deliver(self, is_time_up: Callable[[], bool]) -> None:
        """Deliver what was there at the last look, in order."""
        waiting = [s for _, s in sorted(self.segments.items()) if not s.walk.again]
        for n, segment in enumerate(waiting):
            if (n and is_time_up()) or not self._go_on(segment, is_time_up):
                return

    def reconcile(self) -> int:
        """Read back a piece of what is finished; how many segments were found and removed."""
        removed_n, is_asked = 0, False
        for name, segment in sorted(self.segments.items()):
            if segment.finished and segment.is_settled and segment.walk.sent:
                segment.walk_again()
            if segment.walk.again and not is_asked:
                is_asked = True
                self._go_on(segment, is_time_up=lambda: True)
            if segment.is_done:
                self._tell_unfooted(segment)
                segment.path.unlink()
                self._drop(name)
                removed_n += 1
        return removed_n

    def remove_if_empty(self) -> bool:
        """Remove the folder of a writer that is dead and delivered; False if it is not."""
        if not self.is_dead or self.segments:
            return False
        (self.path / LOCK).unlink(missing_ok=True)
        (self.path / NEXT).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty: what was set aside stays
            (self.path / REJECTED).rmdir()
        with contextlib.suppress(OSError):
            self.path.rmdir()
        return not self.path.exists()

    @property
    def bound_ms(self) -> int | None:
        """Before which time everything this writer accepted is delivered; None: all was."""
        walks = [segment.walk for segment in self.segments.values()]
        lost = [w.floor_ms for w in walks if w.again and any(b.resends for b in w.pending)]
        if not all(segment.is_settled for segment in self.segments.values()):
            lost.append(self._floor_ms)
        return min(lost, default=None)

    @property
    def backlog_bytes(self) -> int:
        """Bytes that wait for their first delivery."""
        waiting = (s for s in self.segments.values() if not s.walk.again)
        return sum(s.size - s.walk.settled for s in waiting)

    def close(self) -> None:
        """Let go of the files."""
        for name in list(self.segments):
            self._drop(name)

    def _go_on(self, segment: Segment, is_time_up: Callable[[], bool]) -> bool:
        """Walk on by at least a chunk; whether the end was reached and all of it is settled."""
        walk, is_begun = segment.walk, False
        while True:
            walk.pending = self._delivery.push(walk.pending)
            if walk.pending:
                return False
            walk.settled = walk.reader.offset
            if walk.settled >= segment.size:
                return True
            if is_begun and is_time_up():
                return False
            try:
                self._read_on(segment)
            except StoreUnavailable:  # nobody knows what came before; what was read is read again
                return False
            is_begun = True
            if walk.reader.offset == walk.settled:  # a frame that is still being written
                return False

    def _read_on(self, segment: Segment) -> None:
        walk, start = segment.walk, segment.walk.reader.offset
        mark = walk.reader.mark()
        chunk = walk.reader.read(
            segment.size,
            finished=segment.finished,
            max_bytes=self._limits.chunk_bytes,
            max_rows=self._limits.chunk_rows,
        )
        try:
            self._take(segment, chunk, check=start < walk.check_upto)
        except BaseException:  # what was not taken is read again
            walk.reader.rewind(mark)
            raise

    def _take(self, segment: Segment, chunk: Chunk, *, check: bool) -> None:
        """Set aside what can not be delivered, and make blocks of the rest."""
        walk, entries = segment.walk, chunk.entries
        if walk.again:
            rejected = self._delivery.rejected.get(self.path.name, ())
            entries = [entry for entry in entries if place(entry) not in rejected]
        else:
            self._note_skipped(segment, entries)
            self._set_aside(segment, chunk)
        walk.sent = walk.sent or (bool(entries) and not check)
        walk.floor_ms = min((record.ts_ms for _, record in entries), default=walk.floor_ms)
        if not walk.again:
            self._floor_ms = walk.floor_ms
        walk.pending = blocks_of(
            self.path.name,
            entries,
            max_rows=self._limits.block_rows,
            check=check,
            again=walk.again,
        )

    def _note_skipped(self, segment: Segment, entries: list[Entry]) -> None:
        """Note the numbers that a disk lost, so that they are given up in time."""
        if self._continuity is None or not _is_numbered(segment.path.name):
            return
        for numbers in self._continuity.skipped(entries):
            path = self._quarantine.put_numbers([numbers])
            self._delivery.counts["lost"] += numbers.last - numbers.first + 1
            what = f"{numbers.table}/{numbers.surface} {numbers.first}-{numbers.last}"
            log.error(
                "%s by %s are missing, noted in %s",
                what,
                numbers.writer,
                path,
                extra=event("numbers_lost"),
            )
        self._continuity.passed(entries)

    def _set_aside(self, segment: Segment, chunk: Chunk) -> None:
        name = f"{self.path.name}/{segment.path.name}"
        for spoilt in chunk.spoilt:
            path = self._quarantine.put_bytes(self.path.name, segment.path.name, spoilt)
            self._delivery.counts["spoilt"] += 1
            what = f"{len(spoilt.data)} bytes at {spoilt.start} of {name}"
            log.error(
                "%s were set aside in %s: %s",
                what,
                path,
                spoilt.reason,
                extra=event("bytes_set_aside"),
            )
        for verdict in chunk.verdicts:
            self._judge(segment, verdict)
        if chunk.torn_bytes:
            log.info(
                "%s ends in %d bytes of a torn write",
                name,
                chunk.torn_bytes,
                extra=event("torn_write"),
            )

    def _judge(self, segment: Segment, verdict: Verdict) -> None:
        """Say what a footer misses, and keep a segment whose records are gone without a trace."""
        if verdict.agrees:
            return
        name = f"{self.path.name}/{segment.path.name}"
        there = f"{verdict.found_n} of {verdict.records_n} records of {name} are there"
        if verdict.is_damaged:
            log.error("%s, the others were damaged", there, extra=event("segment_damaged"))
            return
        path = self._quarantine.keep(segment.path)
        self._delivery.counts["spoilt"] += 1
        log.error(
            "%s, or others than were written; it is kept as %s",
            there,
            path or "nothing, for enough such segments are kept",
            extra=event("segment_damaged"),
        )

    def _tell_unfooted(self, segment: Segment) -> None:
        """Say that nobody knows whether a segment held more; the last one of a writer may."""
        reader = segment.walk.reader
        is_last = segment.path.name == max(filter(_is_numbered, self.segments), default="")
        if reader.footed or is_last or not reader.records_n or not _is_numbered(segment.path.name):
            return
        name = f"{self.path.name}/{segment.path.name}"
        log.warning(
            "%s has no footer behind its %d records",
            name,
            reader.records_n,
            extra=event("segment_unfooted"),
        )

    def _drop(self, name: str) -> None:
        segment = self.segments.pop(name)
        segment.walk.reader.close()
        self._delivery.forget(segment.walk.pending)


def _is_numbered(name: str) -> bool:
    return name.removesuffix(SUFFIX).isdigit()
