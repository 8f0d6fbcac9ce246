"""Which files were exported from the log, so that what is in them can be forgotten too.

`<data_dir>/exports.jsonl` has a line for each export that wrote a file: where, of what surface, and
when. What went to standard output, or was copied elsewhere, is not known here.
"""

import os
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import msgspec

from bandit.records import Record

NAME = "exports.jsonl"


class Exported(Record, frozen=True, kw_only=True):
    """A file that an export wrote; an empty path is standard output."""

    path: str
    surface: str
    at_ms: int


class _Line(msgspec.Struct):
    event_id: str = msgspec.field(name="EventId", default="")


class Purged(NamedTuple):
    """What became of the files that are known."""

    event_ids: list[str]
    """Of the lines that were taken out."""
    gone: list[str]
    """Files that are not where they were written: whoever moved them must see to them."""
    streams_n: int
    """Exports to standard output."""


class Exports:
    """The register of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / NAME

    def note(self, output: Path | None, surface: str, *, now_ms: int) -> None:
        """Note an export before it writes anything. Raises `OSError`."""
        place = "" if output is None else str(output.resolve())
        line = msgspec.json.encode(Exported(path=place, surface=surface, at_ms=now_ms)) + b"\n"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def all(self) -> list[Exported]:
        """Every export that was noted; lines that can not be read are passed over."""
        found = []
        lines = self._path.read_bytes().splitlines() if self._path.exists() else []
        for line in lines:
            try:
                found.append(msgspec.json.decode(line, type=Exported))
            except msgspec.DecodeError:
                continue
        return found

    def purge(self, event_ids: Collection[str]) -> Purged:
        """Take the lines of decisions out of the exported files.

        Raises:
            OSError: Some are left: do it again.
        """
        known = self.all()
        taken: list[str] = []
        gone: list[str] = []
        for place in sorted({one.path for one in known if one.path}):
            path = Path(place)
            path.with_name(f"{path.name}.part").unlink(missing_ok=True)  # of one that was cut off
            if path.is_file():
                taken += _purged(path, event_ids)
            else:
                gone.append(place)
        return Purged(taken, gone, sum(not one.path for one in known))


def _purged(path: Path, event_ids: Collection[str]) -> list[str]:
    """Rewrite a file without the lines of some decisions; which there were."""
    taken: list[str] = []
    part = path.with_name(f"{path.name}.part")
    try:
        with path.open("rb") as lines, part.open("wb") as left:
            for line in lines:
                event_id = _event_id(line)
                if event_id in event_ids:
                    taken.append(event_id)
                else:
                    left.write(line)
            left.flush()
            os.fsync(left.fileno())
        if taken:
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return taken


def _event_id(line: bytes) -> str:
    try:
        return msgspec.json.decode(line, type=_Line).event_id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
