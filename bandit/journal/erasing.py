"""What a unit had forgotten is taken out of the files that the drain set aside.

Segments need no such thing: the drain delivers them and removes them within seconds, and then it is
the store that must forget. What lies in `rejected` and `.given-up` may lie there for good: a record
of the unit, or about a decision of its, is left out of the file that holds it; bytes that hold no
record go as a whole if they name either.
"""

import json
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from bandit.journal.base import Entry, Numbers
from bandit.journal.frames import (
    HEADER_BYTES_MAX,
    UnreadableSegment,
    decode,
    decode_footer,
    decode_header,
    frame,
    split,
)
from bandit.journal.giving_up import GIVEN_UP
from bandit.journal.segments import REJECTED, segments_in, writers_in
from bandit.records import Assigned, Decision, Exposure, Outcome, Reward


class Theirs(NamedTuple):
    """Whose records are to be forgotten."""

    unit_ids: frozenset[str]
    event_ids: frozenset[str]
    """Of their decisions."""

    def include(self, entry: Entry) -> bool:
        """Whether a record is theirs, or about a decision of theirs."""
        match entry.record:
            case Decision() | Outcome() | Assigned():
                return entry.record.unit_id in self.unit_ids
            case Reward() | Exposure():
                return entry.record.event_id in self.event_ids

    def needles(self) -> list[bytes]:
        """How their names lie in bytes that nobody can read any more: with what surrounds them."""
        units = sorted(self.unit_ids)
        return [
            *(msgspec.msgpack.encode(unit) for unit in units),
            *(msgspec.json.encode(unit) for unit in units),
            *(json.dumps(unit).encode() for unit in units),
            *(event_id.encode() for event_id in sorted(self.event_ids)),
        ]


class Taken(NamedTuple):
    """What was taken out."""

    files_n: int
    records_n: int
    numbers: list[Numbers]
    """Places of those records; nobody is to wait for them."""


def segments(root: Path) -> set[Path]:
    """Every segment with records that is not delivered and checked yet."""
    found: set[Path] = set()
    for writer in writers_in(root) if root.exists() else ():
        with suppress(FileNotFoundError):  # the drain is done with the folder
            found.update(
                path
                for path in (root / writer / name for name in segments_in(root / writer))
                if _holds_records(path)
            )
    return found


def decided(root: Path, unit_ids: Collection[str]) -> set[str]:
    """Event ids of units' decisions that were set aside. Raises `OSError`."""
    return {
        entry.record.event_id
        for path in _set_aside(root)
        for entry in _entries(path.read_bytes())
        if isinstance(entry.record, Decision) and entry.record.unit_id in unit_ids
    }


def erase(root: Path, theirs: Theirs) -> Taken:
    """Take out of everything that was set aside what is theirs.

    Each file is replaced in one step, so cutting this off does no harm: do it again.

    Raises:
        OSError: Some of it is left.
    """
    files_n, numbers, needles = 0, [], theirs.needles()
    for path in _set_aside(root):
        data = path.read_bytes()
        taken, left = _parted(data, theirs, needles)
        if left == data:
            continue
        files_n += 1
        numbers += [
            Numbers(e.record.table, e.record.surface, _writer(path, root), e.seq, e.seq)
            for e in taken
        ]
        if left:
            _replace(path, left)
        else:
            path.unlink()
    return Taken(files_n, len(numbers), numbers)


def _set_aside(root: Path) -> Iterator[Path]:
    for pattern in (f"*/{REJECTED}/*", f"{GIVEN_UP}/*/*"):
        for path in sorted(root.glob(pattern)):
            if path.is_file():
                yield path


def _writer(path: Path, root: Path) -> str:
    parts = path.relative_to(root).parts
    return parts[1] if parts[0] == GIVEN_UP else parts[0]


def _holds_records(path: Path) -> bool:
    """Whether anything follows the header."""
    try:
        with path.open("rb") as file:
            data = file.read(HEADER_BYTES_MAX)
    except FileNotFoundError:
        return False
    return len(data) > _start(data)


def _entries(data: bytes) -> Iterator[Entry]:
    for payload in split(data[_start(data) :], complete=True).payloads:
        try:
            yield decode(payload)
        except msgspec.MsgspecError:
            continue


def _start(data: bytes) -> int:
    """Where the frames begin: behind the header, if there is one."""
    try:
        found = decode_header(data)
    except UnreadableSegment:
        return 0
    return found[1] if found else 0


def _parted(data: bytes, theirs: Theirs, needles: Sequence[bytes]) -> tuple[list[Entry], bytes]:
    """The records that are theirs, and the file without them; empty if nothing else was in it."""
    start = _start(data)
    frames = split(data[start:], complete=True)
    taken: list[Entry] = []
    left: list[bytes] = []
    footers: list[bytes] = []
    for payload in frames.payloads:
        try:
            entry = decode(payload)
        except msgspec.MsgspecError:
            if decode_footer(payload) is not None:
                footers.append(frame(payload))
            elif not _names(payload, needles):
                left.append(frame(payload))
            continue
        if theirs.include(entry):
            taken.append(entry)
        else:
            left.append(frame(payload))
    damaged = [data[start + spot.start : start + spot.stop] for spot in frames.damage]
    left += [piece for piece in damaged if not _names(piece, needles)]
    if len(left) + len(footers) == len(frames.payloads) + len(damaged):
        return [], data
    return taken, data[:start] + b"".join(left) if left else b""


def _names(data: bytes, needles: Sequence[bytes]) -> bool:
    return any(needle in data for needle in needles)


def _replace(path: Path, data: bytes) -> None:
    made = path.with_suffix(".new")
    with made.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    made.rename(path)
