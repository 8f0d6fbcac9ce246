import asyncio
import errno
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import pytest

from bandit.errors import JournalUnavailable
from bandit.journal import Journal
from tests.bandit.journal.fakes import Clock, FullDisk, reward, segments


class WatchedDisk(FullDisk):
    """Its syncs wait until the test lets them go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.folders: list[Path] = []

    def sync(self, fd: int) -> None:
        self.begun.release()
        assert self.may_end.acquire(timeout=10)
        super().sync(fd)

    def sync_folder(self, path: Path) -> None:
        self.folders.append(path)
        super().sync_folder(path)

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=10)


def run(
    root: Path,
    disk: FullDisk,
    scenario: Callable[[Journal], Awaitable[None]],
    *,
    durability: Literal["process", "disk"] = "disk",
    max_bytes: int = 1_000,
) -> None:
    async def main() -> None:
        journal = Journal(
            root,
            writer="w1",
            durability=durability,
            now_ms=Clock(),
            max_bytes=max_bytes,
            max_age_s=5.0,
            disk=disk,
        )
        try:
            await asyncio.wait_for(scenario(journal), timeout=10)
        finally:
            journal.close()

    asyncio.run(main())


def test_process_durability_never_syncs(tmp_path: Path) -> None:
    disk = FullDisk()

    async def scenario(journal: Journal) -> None:
        journal.append(reward(1))
        await journal.durable()

    run(tmp_path, disk, scenario, durability="process")
    assert disk.synced == []


def test_disk_durability_syncs_the_file_and_the_folder_s_new_name(tmp_path: Path) -> None:
    disk = WatchedDisk()
    disk.may_end.release(3)

    async def scenario(journal: Journal) -> None:
        journal.append(reward(1))
        await journal.durable()
        (path,) = segments(tmp_path)
        assert disk.synced == [path.stat().st_size]
        assert disk.folders[-1] == tmp_path / "w1"
        await journal.durable()  # nothing came since
        assert len(disk.synced) == 1

    run(tmp_path, disk, scenario)


def test_waiters_share_a_sync_and_whoever_comes_during_one_waits_for_the_next(
    tmp_path: Path,
) -> None:
    disk = WatchedDisk()

    async def scenario(journal: Journal) -> None:
        journal.append(reward(1))
        first = asyncio.ensure_future(journal.durable())
        await disk.has_begun()
        journal.append(reward(2))
        late = [asyncio.ensure_future(journal.durable()) for _ in range(5)]
        disk.may_end.release()
        await first
        await disk.has_begun()
        assert not any(task.done() for task in late)
        disk.may_end.release()
        await asyncio.gather(*late)
        assert len(disk.synced) == 2

    run(tmp_path, disk, scenario)


def test_a_segment_finished_meanwhile_is_synced_too(tmp_path: Path) -> None:
    disk = WatchedDisk()
    disk.may_end.release(10)

    async def scenario(journal: Journal) -> None:
        journal.append(reward(1))
        journal.append(reward(2))  # does not fit beside it
        await journal.durable()
        assert disk.synced == [path.stat().st_size for path in segments(tmp_path)]
        assert len(disk.synced) == 2

    run(tmp_path, disk, scenario, max_bytes=150)


def test_a_failed_sync_fails_its_waiters_and_the_segment_is_left(tmp_path: Path) -> None:
    disk = FullDisk()

    async def scenario(journal: Journal) -> None:
        disk.can_sync = False
        journal.append(reward(1))
        waiters = [journal.durable() for _ in range(3)]
        for answer in await asyncio.gather(*waiters, return_exceptions=True):
            assert isinstance(answer, JournalUnavailable)
            assert isinstance(answer.__cause__, OSError)
            assert answer.__cause__.errno == errno.EIO
        disk.can_sync = True
        with pytest.raises(JournalUnavailable):
            await journal.durable()  # a second sync would say yes and mean nothing
        journal.append(reward(2))
        await journal.durable()
        assert len(segments(tmp_path)) == 2

    run(tmp_path, disk, scenario)


def test_a_waiter_that_gives_up_takes_nobody_with_it(tmp_path: Path) -> None:
    disk = WatchedDisk()

    async def scenario(journal: Journal) -> None:
        journal.append(reward(1))
        gone, stays = (asyncio.ensure_future(journal.durable()) for _ in range(2))
        await disk.has_begun()
        gone.cancel()
        disk.may_end.release()
        await stays
        assert gone.cancelled()
        assert len(disk.synced) == 1

    run(tmp_path, disk, scenario)


def test_closing_syncs_what_nobody_waited_for(tmp_path: Path) -> None:
    disk = FullDisk()

    async def scenario(journal: Journal) -> None:
        journal.append(reward(1))

    run(tmp_path, disk, scenario)
    (path,) = segments(tmp_path)
    assert disk.synced == [path.stat().st_size]
