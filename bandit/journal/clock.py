"""The clock that stamps a host's records: it never goes back, whatever the wall clock does."""

import os
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

NAME = ".clock"
"""Of the file, in the journal's root, by which the processes of a host agree."""
MOST_AHEAD_NS = 3_600_000_000_000
"""A wall clock that was set back further is followed: it was wrong before, and ids may be an hour
off at most."""
LOOK_NS = 20_000_000
"""The file is looked at so often, and written if it is 50 ms behind: a drain's slack is more."""
BEHIND_NS = 50_000_000
_WORD = struct.Struct("<q")


class HostClock:
    """Time as records, drains and whoever asks "accepted until when?" on one host tell it.

    A drain reports that all accepted before some time is delivered, and learners close windows by
    it. If the wall clock is then set back, what is accepted next would come from before that time:
    learners would take it for late. So this clock does not go back with it but goes on at nine
    tenths of its pace until the wall clock has caught up: a set-back of 2 s takes 20 s, and a join
    window is a tenth longer meanwhile. A step forwards is followed at once.

    All processes of the host tell the same time, also those that were started after the wall clock
    was set back: the latest time that any of them told is in a file. Where it can not be written,
    each goes by what it knows itself.
    """

    def __init__(
        self, root: Path, *, wall_ns: Callable[[], int], monotonic_ns: Callable[[], int]
    ) -> None:
        """Take up the time where the host's processes are.

        Args:
            root: `Settings.journal_dir`.
            wall_ns: Nanoseconds since 1970 UTC.
            monotonic_ns: Nanoseconds since whenever; it never goes back.
        """
        self._path = root / NAME
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._fd: int | None = None
        self._looked_ns = monotonic_ns() - LOOK_NS
        self._at = (wall_ns(), monotonic_ns())

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC; threads may ask."""
        told_ns, then_ns = self._at
        at_ns, wall_ns = self._monotonic_ns(), self._wall_ns()
        now_ns = told_ns + (at_ns - then_ns) * 9 // 10
        if at_ns - self._looked_ns >= LOOK_NS:
            self._looked_ns = at_ns
            now_ns = self._agreed_ns(now_ns, wall_ns)
        elif not wall_ns < now_ns <= wall_ns + MOST_AHEAD_NS:
            now_ns = wall_ns
        self._at = (now_ns, at_ns)
        return now_ns // 1_000_000

    def close(self) -> None:
        """Let the file go."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _agreed_ns(self, own_ns: int, wall_ns: int) -> int:
        """The latest time that any process has told, or the wall clock's; the others learn it."""
        shared_ns = None
        with suppress(OSError, struct.error):  # a disk that is full, or read only: each by itself
            if self._fd is None:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            (shared_ns,) = _WORD.unpack(os.pread(self._fd, _WORD.size, 0))
        told = (wall_ns, own_ns, wall_ns if shared_ns is None else shared_ns)
        now_ns = max(each for each in told if each <= wall_ns + MOST_AHEAD_NS)
        if self._fd is not None and not 0 <= now_ns - (shared_ns or 0) < BEHIND_NS:
            with suppress(OSError):
                os.pwrite(self._fd, _WORD.pack(now_ns), 0)
        return now_ns
