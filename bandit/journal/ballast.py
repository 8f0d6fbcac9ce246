"""A file that only takes room, to be given up when there is none left.

A disk that is full to the last block stops also what would free it: the store can not take the
journal's records, so no segment can go. The drain gives the ballast up then, and takes it back when
there is room again. Writers do not see a difference: what it leaves is far above their last mark.
"""

import contextlib
import logging
import os
from pathlib import Path

from bandit.journal.disk import Disk, Space
from bandit.journal.pressure import Pressure, Watermarks
from bandit.logs import event

log = logging.getLogger(__name__)

BALLAST = "ballast"


class Ballast:
    """The file `<root>/ballast`; several processes may tend it."""

    def __init__(
        self, root: Path, *, size_bytes: int, watermarks: Watermarks, disk: Disk | None = None
    ) -> None:
        """Know where it is; nothing is touched before `tend`.

        Args:
            root: The journal's.
            size_bytes: How much room it takes; 0: none. On a small disk it is less: half of what
                the last watermark leaves, so that the disk still counts as full without it.
            watermarks: When the disk has room for it again: below `optional`.
            disk: Another file system, in tests.
        """
        self._root = root
        self._path = root / BALLAST
        self._size_bytes = size_bytes
        self._watermarks = watermarks
        self._disk = disk or Disk()

    def tend(self) -> None:
        """Give it up or take it back, as the disk is; raises nothing. Call it each second."""
        try:
            space = self._disk.space(self._root)
            size = self._size_on(space)
            held = self._held_bytes()
            if held is not None and (size == 0 or space.free_bytes < size // 2):
                self._give_up(space)
            elif size and held != size:
                left = Space(space.total_bytes, space.free_bytes + (held or 0) - size)
                if self._watermarks.level(left) < Pressure.OPTIONAL:
                    self._take(size)
        except OSError as exc:  # there is no root yet, or no way to it
            log.debug("the ballast can not be looked after: %s", exc, extra=event("ballast_failed"))

    def _size_on(self, space: Space) -> int:
        spare = (1.0 - self._watermarks.full) * space.total_bytes
        return min(self._size_bytes, int(spare / 2))

    def _held_bytes(self) -> int | None:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return None

    def _give_up(self, space: Space) -> None:
        self._path.unlink(missing_ok=True)
        if self._size_bytes:
            free_mb = space.free_bytes / 1e6
            log.error(
                "the disk is full (%.1f MB free): the ballast was given up",
                free_mb,
                extra=event("ballast_given_up"),
            )

    def _take(self, size: int) -> None:
        made = self._path.with_suffix(".new")
        fd = self._disk.create(made)
        try:
            self._disk.allocate(fd, size)
            made.rename(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                made.unlink()
            raise
        finally:
            os.close(fd)
