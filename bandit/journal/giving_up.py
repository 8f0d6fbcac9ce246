"""What was set aside and will not come: learners are told to go on without it, and it is kept.

```
<root>/<writer>/rejected/*.seg    rows that the store refused
                        /*.lost   numbers that are missing in the segments, JSON
                        /*        evidence of damage
<root>/.given-up/<writer>/*       the same, once nobody waits for it any more
```
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from bandit.errors import StoreError
from bandit.journal.base import Entry, Numbers, Sink
from bandit.journal.reader import SegmentReader
from bandit.journal.segments import LOST_SUFFIX, REJECTED, SUFFIX
from bandit.logs import event

log = logging.getLogger(__name__)

GIVEN_UP = ".given-up"
"""No writer's folder: it has a dot in front."""
LOOK_MS = 10_000
"""How often the drain looks for what has waited long enough."""
KEPT_MS = 90 * 86_400_000
"""So long files are kept that nobody waits for any more."""

_numbers = msgspec.json.Decoder(list[Numbers])


class GivenUp(NamedTuple):
    """What became of it."""

    files_n: int = 0
    rows_n: int = 0
    """Numbers that nobody waits for any more."""


class GivingUp:
    """Gives up by itself what nobody put right in time."""

    def __init__(self, root: Path, sink: Sink, *, now_ms: Callable[[], int], after_s: float):
        """Look at nothing yet.

        Args:
            root: `Settings.journal_dir`.
            sink: Where the gaps are declared.
            now_ms: The clock that files are dated by.
            after_s: How old what was set aside must be.
        """
        self._root = root
        self._sink = sink
        self._now_ms = now_ms
        self._after_ms = round(after_s * 1000)
        self._looked_ms: int | None = None

    def step(self) -> GivenUp:
        """Give up what has become old; now and then, else nothing."""
        now_ms = self._now_ms()
        if self._looked_ms is not None and 0 <= now_ms - self._looked_ms < LOOK_MS:
            return GivenUp()
        self._looked_ms = now_ms
        try:
            _throw_away(self._root, now_ms - KEPT_MS)
            return give_up(self._root, self._sink, set_aside_by_ms=now_ms - self._after_ms)
        except (StoreError, OSError) as exc:
            log.warning(
                "what was set aside can not be given up now: %s", exc, extra=event("give_up_failed")
            )
            return GivenUp()


def give_up(root: Path, sink: Sink, *, set_aside_by_ms: int | None = None) -> GivenUp:
    """Let nobody wait for what was set aside, and move it away.

    Doing it again after it was cut off does no harm: what is in the store is no gap, and a gap that
    is declared twice says no more.

    Args:
        root: `Settings.journal_dir`.
        sink: Where the gaps are declared.
        set_aside_by_ms: Only what was set aside by then.

    Raises:
        StoreUnavailable: Some of it is left.
        OSError: The same.
    """
    files_n = rows_n = 0
    for path in sorted(root.glob(f"*/{REJECTED}/*")):
        if path.suffix == ".new" or not _is_by(path, set_aside_by_ms):
            continue
        declared: list[Numbers] = []
        if path.suffix == SUFFIX:
            declared = sink.give_up(_numbers_in(path), reason="rejected")
        elif path.suffix == LOST_SUFFIX:
            declared = sink.give_up(_numbers.decode(path.read_bytes()), reason="lost")
        kept = root / GIVEN_UP / path.parents[1].name / path.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        path.rename(kept)
        os.utime(kept)  # from now on it is kept for a while
        files_n += 1
        rows_n += sum(numbers.last - numbers.first + 1 for numbers in declared)
        log.error("given up %s: %s", kept, _told(declared), extra=event("rows_given_up"))
    return GivenUp(files_n, rows_n)


def _throw_away(root: Path, by_ms: int) -> None:
    """Remove what was given up long ago, and folders that are empty then."""
    for path in (root / GIVEN_UP).glob("*/*"):
        with suppress(OSError):  # it stays, or the folder does, which has more in it
            if _is_by(path, by_ms):
                path.unlink()
                log.warning("thrown away %s", path, extra=event("given_up_thrown_away"))
                path.parent.rmdir()


def _is_by(path: Path, by_ms: int | None) -> bool:
    return by_ms is None or path.stat().st_mtime_ns // 1_000_000 <= by_ms


def _told(declared: list[Numbers]) -> str:
    if not declared:
        return "nobody waits for anything in it"
    return ", ".join(
        f"{n.table}/{n.surface}/{n.writer} goes on without {n.first}-{n.last}" for n in declared[:5]
    )


def _numbers_in(path: Path) -> list[Numbers]:
    writer = path.parents[1].name
    places = sorted({(e.record.table, e.record.surface, e.seq) for e in _entries_in(path, writer)})
    runs: list[Numbers] = []
    for table, surface, seq in places:
        stream = (table, surface, writer)
        if runs and runs[-1][:3] == stream and runs[-1].last == seq - 1:
            runs[-1] = runs[-1]._replace(last=seq)
        else:
            runs.append(Numbers(*stream, seq, seq))
    return runs


def _entries_in(path: Path, writer: str) -> Iterator[Entry]:
    reader = SegmentReader(path, writer)
    try:
        size = reader.size()
        while reader.offset < size:
            before = reader.offset
            yield from reader.read(
                size, finished=True, max_bytes=8 * 1024 * 1024, max_rows=20_000
            ).entries
            if reader.offset == before:
                break
    finally:
        reader.close()
