"""What a writer asks of a file system; tests hand in one that fills up and fails."""

import os
from pathlib import Path


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
