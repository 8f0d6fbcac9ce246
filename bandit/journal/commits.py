"""Group commit: appends wait together for one `fdatasync` in a thread."""

import asyncio
import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bandit.journal.disk import Disk


class GroupCommit:
    """Knows how many bytes of one writer were appended, and how many survive a power loss."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self.trusted = True
        """False once a sync of the segment being written failed: what it holds is unknown."""
        self._disk = disk
        self._folder = folder
        self._appended = 0
        self._synced = 0
        self._lost = 0  # appends up to here were in a sync that failed
        self._current: int | None = None
        self._retired: list[int] = []
        self._has_new_name = False
        self._running: asyncio.Future[OSError | None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal-sync")

    def appended(self, size: int) -> None:
        """So many bytes went into the segment being written."""
        self._appended += size

    def opened(self, fd: int) -> None:
        """A new segment is being written."""
        self._current = fd
        self._has_new_name = self.trusted = True

    def retired(self, fd: int) -> None:
        """The segment is finished; its descriptor is ours to close, once its bytes are safe."""
        self._current = None
        self._retired.append(fd)
        if self._running is None and self._synced == self._appended:
            self._close_retired()

    async def wait(self) -> None:
        """Wait until everything appended before this call is safe.

        Raises:
            OSError: It may not be.
        """
        mark = self._appended
        while self._synced < mark:
            if self._running is None:
                self._running = asyncio.ensure_future(self._sync())
            error = await asyncio.shield(self._running)
            if error is not None and mark <= self._lost:
                raise error
        if mark <= self._lost:
            raise OSError("an earlier sync of these records failed")

    def close(self) -> None:
        """Make what is left safe, as far as the disk lets us."""
        self._thread.shutdown(wait=True)
        with contextlib.suppress(OSError):
            self._sync_now(self._retired, self._has_new_name)
        self._close_retired()

    async def _sync(self) -> OSError | None:
        """One sync of everything appended so far; what comes meanwhile waits for the next."""
        upto, current, retired = self._appended, self._current, len(self._retired)
        fds = [*self._retired, *([] if current is None else [current])]
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._sync_now, fds, self._has_new_name)
        except OSError as exc:
            self._synced = self._lost = upto
            self.trusted = self.trusted and current != self._current
            return exc
        else:
            self._synced = upto
            self._has_new_name = self._has_new_name and current != self._current
            return None
        finally:
            self._running = None
            self._close_retired(retired)

    def _sync_now(self, fds: list[int], has_new_name: bool) -> None:
        if has_new_name:
            self._disk.sync_folder(self._folder)
        for fd in fds:
            self._disk.sync(fd)

    def _close_retired(self, n: int | None = None) -> None:
        done, self._retired = self._retired[:n], self._retired[n:] if n is not None else []
        for fd in done:
            os.close(fd)
