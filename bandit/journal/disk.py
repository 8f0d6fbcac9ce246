"""What a writer asks of a file system; tests hand in one that fills up and fails."""

import os
from pathlib import Path
from typing import NamedTuple


class Space(NamedTuple):
    """Room on a file system, for whoever may not use what is reserved for root."""

    total_bytes: int
    free_bytes: int

    @property
    def used_share(self) -> float:
        """As `df` tells it."""
        return 1.0 - self.free_bytes / self.total_bytes if self.total_bytes else 1.0


class Disk:
    """The machine's own file system."""

    def create(self, path: Path) -> int:
        """Make an empty file for appending."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)

    def write(self, fd: int, data: bytes) -> int:
        """Append; how many bytes went in, which can be fewer than were given."""
        return os.write(fd, data)

    def truncate(self, fd: int, length: int) -> None:
        """Cut what lies behind `length`."""
        os.ftruncate(fd, length)

    def sync(self, fd: int) -> None:
        """Wait until the file's bytes survive a power loss."""
        os.fdatasync(fd)

    def sync_folder(self, path: Path) -> None:
        """Wait until the folder's names survive a power loss."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def space(self, path: Path) -> Space:
        """How much room there is where `path` lies."""
        found = os.statvfs(path)
        usable = found.f_blocks - found.f_bfree + found.f_bavail
        return Space(usable * found.f_frsize, found.f_bavail * found.f_frsize)

    def allocate(self, fd: int, size: int) -> None:
        """Take so much room for a file, whether or not anything is written there."""
        os.posix_fallocate(fd, 0, size)
