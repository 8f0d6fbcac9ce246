"""Disks that are full or fail: what a writer says of them, and that it comes back by itself."""

import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bandit.errors import JournalUnavailable, StorageFull
from bandit.journal import Journal
from bandit.journal.ballast import BALLAST, Ballast
from bandit.journal.disk import Disk, Space
from bandit.journal.pressure import Pressure, Watermarks
from tests.bandit.journal.fakes import (
    ROOMY,
    Clock,
    FakeSink,
    FullDisk,
    decision,
    is_empty,
    make_drain,
    make_journal,
    reward,
    segments,
)

MIB = 1 << 20
FULL = Space(1000 * MIB, 40 * MIB)


def test_pressure_is_looked_at_by_tick_only(tmp_path: Path, clock: Clock) -> None:
    disk = FullDisk()
    journal = make_journal(tmp_path, clock, disk=disk)
    assert (journal.pressure, journal.keep_share) == (Pressure.OK, 1.0)
    disk.left = FULL
    journal.append(reward(1))
    journal.require_room()
    assert journal.pressure is Pressure.OK
    journal.tick()
    assert (journal.pressure, journal.keep_share) == (Pressure.FULL, 0.0)
    with pytest.raises(StorageFull, match="must be sent again later"):
        journal.require_room()
    disk.left = ROOMY
    journal.tick()
    journal.require_room()
    assert journal.keep_share == 1.0


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_write_that_fails_stops_the_next_ones_until_the_next_look(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    disk = FullDisk()
    journal = make_journal(tmp_path, clock, disk=disk)
    disk.error = code
    with pytest.raises(JournalUnavailable) as raised:
        journal.append(decision(1))
    assert (raised.type is StorageFull) == (code in (errno.ENOSPC, errno.EDQUOT))
    for _ in range(5):
        assert (journal.pressure, journal.keep_share) == (Pressure.FULL, 0.0)
        journal.tick()
        assert journal.pressure is Pressure.OK  # once a second it is tried
        with pytest.raises(JournalUnavailable):
            journal.append(decision(1))
    assert len(caplog.records) == 1, "it is told once"
    disk.error = None
    journal.tick()
    journal.append(decision(1))
    journal.tick()
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "takes records again" in caplog.text


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES])
def test_worker_starts_on_a_disk_that_takes_nothing_and_writes_when_it_does(
    tmp_path: Path, clock: Clock, code: int
) -> None:
    disk = FullDisk()
    disk.error = code
    journal = make_journal(tmp_path, clock, disk=disk)
    for _ in range(3):
        assert (journal.pressure, journal.keep_share) == (Pressure.FULL, 0.0)
        with pytest.raises(JournalUnavailable):
            journal.append(reward(1))
        journal.tick()
    disk.error = None
    journal.tick()
    journal.tick()
    assert journal.pressure is Pressure.OK
    journal.append(reward(1))
    journal.close()
    sink = FakeSink()
    drain = make_drain(tmp_path, sink, clock)
    while not is_empty(tmp_path):
        drain.step()
    assert list(sink.rows.values()) == [reward(1)]


def test_disk_that_can_not_be_looked_at_counts_as_full(tmp_path: Path, clock: Clock) -> None:
    class Blind(FullDisk):
        def space(self, path: Path) -> Space:
            raise OSError(errno.EIO, "Input/output error")

    assert make_journal(tmp_path, clock, disk=Blind()).pressure is Pressure.FULL


def test_sync_that_fails_stops_writing_until_the_next_look(tmp_path: Path, clock: Clock) -> None:
    disk = FullDisk()

    async def main() -> None:
        journal = make_journal(tmp_path, clock, disk=disk, durability="disk")
        disk.can_sync = False
        journal.append(reward(1))
        with pytest.raises(JournalUnavailable):
            await journal.durable()
        assert journal.pressure is Pressure.FULL
        disk.can_sync = True
        journal.tick()
        journal.require_room()
        journal.append(reward(2))
        await journal.durable()
        journal.close()

    asyncio.run(main())


def test_levels_are_told_as_they_change(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    disk = FullDisk()
    journal = make_journal(tmp_path, clock, disk=disk)
    for free_mib in (900, 200, 199, 100, 50, 900):
        disk.left = Space(1000 * MIB, free_mib * MIB)
        journal.tick()
    told = [record.getMessage().split("'")[1] for record in caplog.records]
    assert told == ["warn", "optional", "full", "ok"]


def test_backlog_is_what_the_drain_has_not_removed(tmp_path: Path, clock: Clock) -> None:
    journal = make_journal(
        tmp_path, clock, disk=FullDisk(), max_bytes=2_000, backlog_max_bytes=20_000
    )
    drain = make_drain(tmp_path, FakeSink(), clock)
    for n in range(60):
        journal.append(decision(n))
    journal.tick()
    sizes = [path.stat().st_size for path in segments(tmp_path)]
    assert journal.backlog_bytes == sum(sizes) > 20_000
    assert 0.0 < journal.keep_share < 1.0
    while len(segments(tmp_path)) > 1:
        drain.step()
    journal.tick()
    assert journal.backlog_bytes == segments(tmp_path)[0].stat().st_size
    assert journal.keep_share == 1.0


def test_footer_that_finds_no_room_leaves_nothing_torn(tmp_path: Path, clock: Clock) -> None:
    disk = FullDisk()
    journal = make_journal(tmp_path, clock, disk=disk, max_age_s=1.0)
    journal.append(reward(1))
    size = segments(tmp_path)[0].stat().st_size
    clock.advance(1_000)
    disk.room = 27 + 10  # a header, and a part of a footer
    journal.tick()
    assert [path.stat().st_size for path in segments(tmp_path)] == [size, 27]


class TestBallast:
    def held(self, root: Path) -> int | None:
        path = root / BALLAST
        return path.stat().st_size if path.exists() else None

    def ballast(self, root: Path, disk: FullDisk, size_mib: int = 16) -> Ballast:
        return Ballast(root, size_bytes=size_mib * MIB, watermarks=Watermarks(), disk=disk)

    def test_ballast_is_given_up_on_a_full_disk_and_taken_back(self, tmp_path: Path) -> None:
        disk = FullDisk()
        ballast = self.ballast(tmp_path, disk)
        ballast.tend()
        assert self.held(tmp_path) == 16 * MIB
        for free_mib, held in [(90, True), (9, True), (7, False), (23, False), (115, False)]:
            disk.left = Space(1000 * MIB, free_mib * MIB)
            ballast.tend()
            assert (self.held(tmp_path) is not None) == held, free_mib
        disk.left = Space(1000 * MIB, 117 * MIB)  # below `optional` with it
        ballast.tend()
        assert self.held(tmp_path) == 16 * MIB

    def test_disk_still_counts_as_full_without_its_ballast(self, tmp_path: Path) -> None:
        disk = FullDisk()
        for total_mib in (4, 64, 1000, 100_000):
            disk.left = Space(total_mib * MIB, total_mib * MIB)
            self.ballast(tmp_path, disk, size_mib=32).tend()
            held = self.held(tmp_path)
            assert held is not None
            given_up = Space(total_mib * MIB, held // 2 + held)
            assert Watermarks().level(given_up) is Pressure.FULL

    def test_no_ballast_is_held_where_none_is_wanted(self, tmp_path: Path) -> None:
        disk = FullDisk()
        self.ballast(tmp_path, disk).tend()
        self.ballast(tmp_path, disk, size_mib=8).tend()
        assert self.held(tmp_path) == 8 * MIB
        self.ballast(tmp_path, disk, size_mib=0).tend()
        assert self.held(tmp_path) is None

    def test_ballast_that_finds_no_room_leaves_nothing_behind(self, tmp_path: Path) -> None:
        disk = FullDisk()
        disk.room = MIB
        self.ballast(tmp_path, disk).tend()
        assert list(tmp_path.iterdir()) == []
        self.ballast(tmp_path / "not there", disk).tend()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 4 MiB."""
    mount = tmp_path / "small"
    mount.mkdir()
    if os.system(f"mount -t tmpfs -o size=4m tmpfs {mount} 2>/dev/null"):
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        yield mount
    finally:
        os.system(f"umount -l {mount}")


def append_until_refused(journal: Journal) -> int:
    for n in range(100_000):
        if n % 100 == 0:
            journal.tick()
        try:
            journal.require_room()
            journal.append(decision(n))
        except StorageFull:
            return n
    raise AssertionError("the disk never filled up")


def append_blindly(journal: Journal, first: int) -> int:
    """Whatever the level; how many fit into the last page."""
    for n in range(100):
        try:
            journal.append(decision(first + n))
        except StorageFull:
            return n
    raise AssertionError("the disk never filled up")


def test_real_disk_fills_up_and_recovers_with_nothing_lost(small_disk: Path, clock: Clock) -> None:
    root, hog = small_disk / "journal", small_disk / "hog"
    sink, disk = FakeSink(), Disk()
    sink.is_down = True
    ballast = Ballast(root, size_bytes=1 << 30, watermarks=Watermarks())
    journal = make_journal(root, clock, max_bytes=256 * 1024)
    drain = make_drain(root, sink, clock)
    ballast.tend()
    accepted = append_until_refused(journal)
    assert 0.94 < disk.space(root).used_share < 1.0  # refused by the mark, before the last block
    with hog.open("wb") as file, pytest.raises(OSError, match="No space left"):
        file.write(bytes(8 * MIB))  # somebody else takes the rest
    accepted += append_blindly(journal, accepted)
    ballast.tend()
    assert disk.space(root).free_bytes > 0
    assert (root / BALLAST).exists() is False
    sink.is_down = False
    for _ in range(50):
        clock.advance(200)
        drain.step()
    hog.unlink()
    journal.tick()
    ballast.tend()
    journal.require_room()
    journal.append(decision(accepted))
    journal.close()
    while segments(root):
        clock.advance(200)
        drain.step()
    assert sorted(record.snapshot for record in sink.rows.values()) == list(range(accepted + 1))  # type: ignore[union-attr]
    assert (root / BALLAST).exists()
