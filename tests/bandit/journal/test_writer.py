import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bandit.errors import JournalUnavailable
from bandit.journal.base import Entry
from bandit.journal.disk import Disk
from bandit.journal.frames import Header, encode, encode_header
from bandit.journal.reader import SegmentReader
from bandit.journal.segments import LOCK, is_held
from bandit.records import AnyLogRecord
from tests.bandit.journal.fakes import (
    Clock,
    FullDisk,
    decision,
    make_journal,
    outcome,
    reward,
    segments,
)


def read(path: Path) -> list[Entry]:
    reader, size = SegmentReader(path, path.parent.name), path.stat().st_size
    chunk = reader.read(size, finished=True, max_bytes=size, max_rows=10_000)
    reader.close()
    assert not chunk.spoilt
    return chunk.entries


def entries(root: Path) -> list[Entry]:
    return [entry for path in segments(root) for entry in read(path)]


def test_seq_counts_per_table_and_surface(tmp_path: Path, clock: Clock) -> None:
    journal = make_journal(tmp_path, clock)
    journal.append(reward(1, surface="home"))
    journal.append_many([reward(2, surface="cart"), decision(3), reward(4, surface="home")])
    journal.append_many([])
    journal.append(reward(5, surface="home"))
    assert [(e.seq, e.record.table, e.record.surface) for e in entries(tmp_path)] == [
        (1, "rewards", "home"),
        (1, "rewards", "cart"),
        (1, "decisions", "home"),
        (2, "rewards", "home"),
        (3, "rewards", "home"),
    ]


def test_what_was_appended_is_counted_by_table_and_in_bytes(tmp_path: Path, clock: Clock) -> None:
    journal = make_journal(tmp_path, clock)
    journal.append_many([reward(1, surface="home"), reward(2, surface="cart"), decision(3)])
    (segment,) = segments(tmp_path)
    head = len(encode_header(Header(writer=journal.writer)))
    assert journal.appended == {"rewards": 2, "decisions": 1}
    assert journal.appended_bytes == segment.stat().st_size - head


@pytest.mark.parametrize("records", [[reward(1)], [reward(1), decision(2), outcome(3)]])
def test_an_append_is_one_write(tmp_path: Path, clock: Clock, records: list[AnyLogRecord]) -> None:
    disk = FullDisk()
    journal = make_journal(tmp_path, clock, disk=disk)
    disk.writes.clear()
    journal.append_many(records)
    assert len(disk.writes) == 1


def test_a_disk_that_takes_less_at_a_time_gets_the_rest(tmp_path: Path, clock: Clock) -> None:
    class SlowDisk(Disk):
        def write(self, fd: int, data: bytes) -> int:
            return os.write(fd, data[:40])

    journal = make_journal(tmp_path, clock, disk=SlowDisk())
    journal.append(decision(4))
    assert entries(tmp_path) == [Entry(1, decision(4))]


@pytest.mark.parametrize("can_truncate", [True, False])
@pytest.mark.parametrize("room", [0, 1, 60])
def test_a_full_disk_uses_up_no_seq_and_leaves_nothing_torn_between(
    tmp_path: Path, clock: Clock, room: int, can_truncate: bool
) -> None:
    disk = FullDisk()
    journal = make_journal(tmp_path, clock, disk=disk)
    journal.append(reward(1))
    disk.room, disk.can_truncate = room, can_truncate
    with pytest.raises(JournalUnavailable, match="No space left on device"):
        journal.append(reward(2))
    disk.room = None
    journal.append(reward(3))
    assert entries(tmp_path) == [Entry(1, reward(1)), Entry(2, reward(3))]


def test_what_a_full_disk_took_of_many_stays_and_keeps_its_seqs(
    tmp_path: Path, clock: Clock
) -> None:
    disk = FullDisk()
    journal = make_journal(tmp_path, clock, disk=disk)
    disk.room = len(encode(1, decision(0))) + 10
    with pytest.raises(JournalUnavailable):
        journal.append_many([decision(0), decision(0), decision(0)])
    disk.room = None
    journal.append(decision(5))
    assert entries(tmp_path) == [Entry(1, decision(0)), Entry(2, decision(5))]


def test_the_kernel_s_own_short_write_is_survived(tmp_path: Path, clock: Clock) -> None:
    journal = make_journal(tmp_path, clock)
    journal.append(reward(1))
    (path,) = segments(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
    try:
        with pytest.raises(JournalUnavailable, match="File too large"):
            journal.append(reward(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    journal.append(reward(3))
    assert entries(tmp_path) == [Entry(1, reward(1)), Entry(2, reward(3))]


def test_a_segment_that_would_be_too_big_is_finished(tmp_path: Path, clock: Clock) -> None:
    journal = make_journal(tmp_path, clock, max_bytes=600)
    for n in range(6):
        journal.append(decision(n))
    assert len(segments(tmp_path)) > 2
    assert all(path.stat().st_size <= 600 for path in segments(tmp_path))
    assert [entry.seq for entry in entries(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_a_record_bigger_than_a_segment_fits_alone(tmp_path: Path, clock: Clock) -> None:
    journal = make_journal(tmp_path, clock, max_bytes=50)
    journal.append(decision(1))
    journal.append(decision(2))
    assert [len(read(path)) for path in segments(tmp_path)] == [1, 1]


def test_a_segment_ages_from_its_first_record(tmp_path: Path, clock: Clock) -> None:
    journal = make_journal(tmp_path, clock, max_age_s=5.0)
    clock.advance(60_000)
    journal.append(reward(1))
    clock.advance(4_999)
    journal.append(reward(2))
    clock.advance(1)
    journal.append(reward(3))
    assert [len(read(path)) for path in segments(tmp_path)] == [2, 1]


def test_tick_finishes_an_old_segment_while_nothing_comes(tmp_path: Path, clock: Clock) -> None:
    journal = make_journal(tmp_path, clock, max_age_s=5.0)
    for _ in range(3):  # an empty one is never old
        clock.advance(60_000)
        journal.tick()
    assert len(segments(tmp_path)) == 1
    journal.append(reward(1))
    journal.tick()
    assert len(segments(tmp_path)) == 1
    clock.advance(5_000)
    journal.tick()
    assert [len(read(path)) for path in segments(tmp_path)] == [1, 0]


def test_segment_is_finished_once_if_the_clock_is_set_back(tmp_path: Path, clock: Clock) -> None:
    journal = make_journal(tmp_path, clock, max_age_s=5.0)
    journal.append(reward(1))
    clock.advance(-3_600_000)
    for n in (2, 3):
        journal.tick()
        journal.append(reward(n))
    assert [len(read(path)) for path in segments(tmp_path)] == [1, 2]


def test_no_room_for_a_new_segment_is_no_reason_to_leave_the_old_one(
    tmp_path: Path, clock: Clock
) -> None:
    disk = FullDisk()
    journal = make_journal(tmp_path, clock, disk=disk)
    journal.append(reward(1))
    clock.advance(60_000)
    disk.room = 5  # not even a header
    with pytest.raises(JournalUnavailable):
        journal.append(reward(2))
    journal.tick()
    disk.room = None
    clock.ms -= 60_000
    journal.append(reward(3))
    assert [len(read(path)) for path in segments(tmp_path)] == [2]


def test_a_writer_s_name_is_used_once(tmp_path: Path, clock: Clock) -> None:
    make_journal(tmp_path, clock).close()
    with pytest.raises(JournalUnavailable, match="'w1' was here before"):
        make_journal(tmp_path, clock)


def test_a_folder_is_held_until_it_is_closed(tmp_path: Path, clock: Clock) -> None:
    journal = make_journal(tmp_path, clock)
    assert is_held(tmp_path / "w1" / LOCK)
    journal.close()
    assert not is_held(tmp_path / "w1" / LOCK)
    journal.close()


def test_a_folder_that_can_not_be_made_is_no_journal(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalUnavailable, match="Not a directory"):
        make_journal(tmp_path / "file", clock)


KILLED = """
import sys, time
from pathlib import Path
from bandit.journal import Journal
from tests.bandit.journal.fakes import decision

journal = Journal(Path(sys.argv[1]), writer="w1", durability="process",
                  now_ms=lambda: time.time_ns() // 1_000_000, max_bytes=20_000, max_age_s=5.0)
for n in range(1_000_000):
    journal.append(decision(n))
    print(n, flush=True)
"""


def test_kill_9_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "300\n":
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        answered = 300 + len(process.stdout.read().splitlines())
    assert not is_held(tmp_path / "w1" / LOCK)
    found = entries(tmp_path)
    assert answered + 1 <= len(found) <= answered + 2
    assert [entry.seq for entry in found] == list(range(1, len(found) + 1))
    assert [entry.record for entry in found] == [decision(n) for n in range(len(found))]


def test_a_backlog_that_dead_writers_left_counts_for_whoever_comes_after_them(
    tmp_path: Path, clock: Clock
) -> None:
    # A worker that was killed again and again began with an empty backlog each time.
    dead = make_journal(tmp_path, clock, writer="dead")
    dead.append_many([reward(n) for n in range(200)])
    living = make_journal(tmp_path, clock, writer="living", backlog_max_bytes=4000)
    assert living.keep_share == 1.0, "the other one lives, and counts its own"
    dead.close()
    after = make_journal(tmp_path, clock, writer="after", backlog_max_bytes=4000)
    assert after.keep_share < 1.0
    assert after.backlog_bytes < 4000, "of its own it has none"
    for path in segments(tmp_path, "dead"):
        path.unlink()
    for _ in range(10):
        after.tick()
        living.tick()
    assert after.keep_share == living.keep_share == 1.0
    after.close()
    living.close()
