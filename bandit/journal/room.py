"""What a journal may write now: looked at once a second, so that an append asks nobody."""

import errno
import logging
from collections import deque
from contextlib import suppress
from pathlib import Path

from bandit.errors import JournalUnavailable, StorageFull
from bandit.journal.disk import Disk
from bandit.journal.pressure import Pressure, Watermarks, backlog_share
from bandit.journal.segments import LOCK, is_held, segments_in, writers_in
from bandit.logs import event

log = logging.getLogger(__name__)

DEAD_EVERY = 10
"""One in so many looks counts what writers that are no more have left."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class Room:
    """A writer's view of its disk and of what waits there for the store.

    Attributes:
        pressure: How much may be written.
        keep_share: Which share of the decisions is to be logged; 0 while the disk is full.
        backlog_bytes: Of this writer's segments that the drain has not removed yet.
    """

    def __init__(
        self, root: Path, disk: Disk, watermarks: Watermarks, backlog_max_bytes: int
    ) -> None:
        self.pressure = Pressure.OK
        self.keep_share = 1.0
        self.backlog_bytes = 0
        self._root = root
        self._disk = disk
        self._watermarks = watermarks
        self._backlog_max_bytes = backlog_max_bytes
        self._finished: deque[tuple[Path, int]] = deque()
        self._finished_bytes = 0
        self._failed_at: int | None = None
        self._left_bytes = 0
        self._looks_n = 0

    def finished(self, segment: Path, size: int) -> None:
        """A segment waits until the drain removes it."""
        self._finished.append((segment, size))
        self._finished_bytes += size

    def look(self, *, current_bytes: int, appended_bytes: int) -> None:
        """See how things are; it raises nothing.

        Args:
            current_bytes: Size of the segment being written.
            appended_bytes: All that was ever appended.
        """
        if self._failed_at is not None and appended_bytes > self._failed_at:
            self._failed_at = None
            log.warning("%s takes records again", self._root, extra=event("journal_open"))
        try:
            while self._finished and not self._finished[0][0].exists():
                self._finished_bytes -= self._finished.popleft()[1]
            space = self._disk.space(self._root)
        except OSError as exc:
            self.fail(exc, appended_bytes)
            return
        self.backlog_bytes = self._finished_bytes + current_bytes
        if self._looks_n % DEAD_EVERY == 0:
            self._left_bytes = _left_by_the_dead(self._root)
        self._looks_n += 1
        level = self._watermarks.level(space)
        self.keep_share = min(
            self._watermarks.share(space),
            backlog_share(self.backlog_bytes + self._left_bytes, self._backlog_max_bytes),
        )
        if level is not self.pressure and (level or self._failed_at is None):
            used, free_mb = 100 * space.used_share, space.free_bytes / 1e6
            name = level.name.lower()
            log.warning(
                "disk is at level '%s': %.1f %% used, %.0f MB free",
                name,
                used,
                free_mb,
                extra=event("disk_level"),
            )
        self.pressure = level

    def fail(self, exc: OSError, appended_bytes: int) -> None:
        """A write failed: nothing is written until the next look."""
        if self._failed_at is None:
            what = exc.strerror or str(exc)
            log.error(
                "%s takes no records, decisions are not logged: %s",
                self._root,
                what,
                extra=event("journal_closed"),
            )
        self._failed_at = appended_bytes
        self.pressure, self.keep_share = Pressure.FULL, 0.0


def _left_by_the_dead(root: Path) -> int:
    """Bytes of segments that nobody appends to any more: whoever is started again has them, too."""
    total = 0
    with suppress(OSError):  # the drain removes them while we look
        for folder in (root / writer for writer in writers_in(root)):
            if not is_held(folder / LOCK):
                total += sum((folder / name).stat().st_size for name in segments_in(folder))
    return total


def unavailable(folder: Path, exc: OSError) -> JournalUnavailable:
    """What a failed write is to whoever wanted it."""
    kind = StorageFull if exc.errno in _NO_ROOM else JournalUnavailable
    return kind(f"{folder}: {exc.strerror or exc}")
