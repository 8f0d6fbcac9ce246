"""Segments as files: their names, and who holds a folder.

A writer's folder is `<root>/<writer>/`: its lock, its segments `<number>.seg` and, if anything in
them could not be delivered, `rejected/`.
"""

import fcntl
import os
from pathlib import Path

LOCK = "lock"
"""Held by the writer while it lives; free means that nothing will be appended any more."""
DRAIN_LOCK = "drain.lock"
"""Held in the root by the one drain that works; others stand by."""
NEXT = "next"
"""A segment before it has a header and a number."""
REJECTED = "rejected"
SUFFIX = ".seg"
LOST_SUFFIX = ".lost"
"""Numbers that segments do not hold any more, in `rejected/`."""


def segment_name(number: int) -> str:
    """File name of a writer's n-th segment; names sort like numbers."""
    return f"{number:012d}{SUFFIX}"


def segments_in(folder: Path) -> list[str]:
    """Names of a folder's segments, oldest first."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.name.endswith(SUFFIX))


def writers_in(root: Path) -> list[str]:
    """Names of the writers that have a folder; one that is still being made has a dot in front."""
    with os.scandir(root) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def hold(lock: Path) -> int | None:
    """Take a lock until the returned descriptor is closed, or the process ends in whatever way.

    Returns:
        None if somebody else holds it.
    """
    fd = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    return fd


def is_held(lock: Path) -> bool:
    """Whether somebody holds the lock; a missing file is held by nobody."""
    try:
        fd = os.open(lock, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
