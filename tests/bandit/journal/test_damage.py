"""Whatever a disk does to a segment: the drain goes on, and delivers every record that is whole."""

import errno
import logging
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bandit.journal import quarantine
from bandit.journal.base import Entry
from bandit.journal.frames import check_of, decode, encode, encode_footer, footer_of, split
from bandit.journal.reader import SegmentReader, Verdict
from bandit.records import AnyLogRecord
from tests.bandit.journal.fakes import (
    Clock,
    FakeSink,
    decision,
    exposure,
    make_drain,
    make_journal,
    reward,
    segments,
)
from tests.memory import memory

RECORDS: list[AnyLogRecord] = [reward(1), exposure(2), reward(3)]
BEHIND: list[AnyLogRecord] = [decision(5), reward(6)]
VERSION_AT = 7
IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
CUT_EVERY, FLIPS = (1, 1_000) if IS_LONG else (4, 200)


class Disk:
    """A dead writer's folder, written once and damaged again and again."""

    def __init__(self, folder: Path) -> None:
        clock = Clock()
        journal = make_journal(folder / "sound", clock, max_age_s=1.0)
        journal.append_many(RECORDS)
        clock.advance(1_000)
        journal.append_many(BEHIND)
        journal.close()
        self.whole, self.behind = (path.read_bytes() for path in segments(folder / "sound"))
        self._folder = folder

    def frames(self) -> list[tuple[int, int, AnyLogRecord]]:
        """Where each record of the first segment lies."""
        found = []
        for payload in split(self.whole, complete=True).payloads[: len(RECORDS)]:
            start = self.whole.index(payload) - 8
            found.append((start, start + 8 + len(payload), decode(payload).record))
        return found

    def drained(self, damaged: bytes) -> tuple[list[AnyLogRecord], list[str]]:
        """What the store gets of it, and what was set aside."""
        root = self._folder / "root"
        shutil.rmtree(root, ignore_errors=True)
        (root / "w1").mkdir(parents=True)
        for number, data in enumerate((damaged, self.behind), 1):
            (root / "w1" / f"{number:012d}.seg").write_bytes(data)
        clock, sink = Clock(), FakeSink()
        drain = make_drain(root, sink, clock)
        for _ in range(4):
            drain.step()
            clock.advance(100)
        drain.close()
        assert segments(root) == [], "a damaged segment is in the way for ever"
        assert drain.counts["removed"] == 2
        return list(sink.rows.values()), [path.name for path in root.glob("w1/rejected/*")]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    with TemporaryDirectory(dir=memory()) as folder:
        yield Disk(Path(folder))


def same(found: list[AnyLogRecord], expected: list[AnyLogRecord]) -> bool:
    return sorted(map(str, found)) == sorted(map(str, expected))


def test_segment_cut_at_any_byte_gives_what_is_whole(disk: Disk) -> None:
    for cut in range(0, len(disk.whole), CUT_EVERY):
        found, _ = disk.drained(disk.whole[:cut])
        whole = [record for _, stop, record in disk.frames() if stop <= cut]
        assert same(found, whole + BEHIND), f"cut at {cut}"


def test_segment_with_any_flipped_bit_gives_every_other_record(disk: Disk) -> None:
    rng = random.Random(20261123)
    for bit in [8 * VERSION_AT, *rng.sample(range(8 * len(disk.whole)), FLIPS)]:
        damaged = bytearray(disk.whole)
        damaged[bit // 8] ^= 1 << bit % 8
        found, aside = disk.drained(bytes(damaged))
        intact = [record for start, stop, record in disk.frames() if not start <= bit // 8 < stop]
        if bit // 8 == VERSION_AT:
            assert "000000000001-0.seg" in aside, "another version may read it"
            intact = []
        assert same(found, intact + BEHIND), f"bit {bit}"
        assert aside or len(intact) == len(RECORDS), f"bit {bit} cost a record and nobody says so"


def test_segment_of_rubbish_is_set_aside_whole(disk: Disk) -> None:
    for rubbish in (random.Random(7).randbytes(20_000), bytes(20_000)):
        found, aside = disk.drained(rubbish)
        assert same(found, BEHIND)
        assert "000000000001-0.damaged" in aside
    assert same(disk.drained(b"")[0], BEHIND)


def test_record_that_is_gone_without_a_trace_is_missed(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    start, stop, record = disk.frames()[1]
    found, aside = disk.drained(disk.whole[:start] + disk.whole[stop:])
    assert same(found, [one for one in RECORDS if one != record] + BEHIND)
    assert "000000000001.doubtful" in aside
    assert "2 of 3 records of w1/000000000001.seg are there, or others than" in caplog.text


def test_of_segments_with_records_gone_without_a_trace_only_so_much_is_kept(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start, stop, _ = disk.frames()[1]
    monkeypatch.setattr(quarantine, "DOUBTFUL_BYTES", 0)
    _, aside = disk.drained(disk.whole[:start] + disk.whole[stop:])
    assert not [name for name in aside if name.endswith(".doubtful")]
    assert "kept as nothing, for enough such segments are kept" in caplog.text


def test_segment_that_lost_its_footer_is_told(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    _, stop, _ = disk.frames()[-1]
    assert same(disk.drained(disk.whole[:stop])[0], RECORDS + BEHIND)
    assert "w1/000000000001.seg has no footer behind its 3 records" in caplog.text
    caplog.clear()
    caplog.set_level(logging.WARNING)
    disk.behind = disk.behind[: -len(encode_footer(footer_of(bytes(8))))]
    assert same(disk.drained(disk.whole)[0], RECORDS + BEHIND)  # its writer was killed, perhaps
    assert caplog.text == ""


def test_damage_in_a_living_segment_is_passed_when_it_is_finished(
    tmp_path: Path, clock: Clock
) -> None:
    sink = FakeSink()
    drain, journal = make_drain(tmp_path, sink, clock), make_journal(tmp_path, clock)
    journal.append_many([reward(1), reward(2), reward(3)])
    (path,) = segments(tmp_path)
    data = bytearray(path.read_bytes())
    data[data.index(b"r2")] ^= 1
    path.write_bytes(data)
    drain.step()
    journal.append(reward(4))
    drain.step()
    assert same(list(sink.rows.values()), [reward(1)])
    clock.advance(5_000)
    journal.tick()
    drain.step()
    assert same(list(sink.rows.values()), [reward(1), reward(3), reward(4)])


def test_page_that_a_disk_can_not_give_costs_what_lies_on_it(tmp_path: Path) -> None:
    path = tmp_path / "000000000001.seg"
    journal = make_journal(tmp_path, Clock())
    many = [decision(n) for n in range(60)]
    journal.append_many(many)
    journal.close()
    path.write_bytes(segments(tmp_path)[0].read_bytes())
    assert path.stat().st_size > 3 * 4096

    def bad_sector(fd: int, size: int, at: int) -> bytes:
        if at < 2 * 4096 and at + size > 4096:
            raise OSError(errno.EIO, "Input/output error")
        return os.pread(fd, size, at)

    reader = SegmentReader(path, "w1", pread=bad_sector)
    size = reader.size()
    with pytest.raises(OSError, match="Input/output"):  # while it grows, later may be better
        reader.read(size, finished=False, max_bytes=size, max_rows=1_000)
    chunk = reader.read(size, finished=True, max_bytes=size, max_rows=1_000)
    found = [entry.record for entry in chunk.entries]
    assert len(chunk.spoilt) == 1
    assert 4096 <= len(chunk.spoilt[0].data) < 4096 + 2 * len(encode(1, many[59]))
    lost = many.index(found[-1]) + 1 - len(found)
    assert found == [one for one in many if one in found]
    assert 4096 // len(encode(1, many[59])) <= lost <= 4096 // len(encode(1, many[1])) + 2
    assert chunk.verdicts == (Verdict(60, len(found), agrees=False, is_damaged=True),)
    reader.close()


def test_footer_is_what_the_format_says() -> None:
    frames = [encode(n, reward(n)) for n in (1, 2)]
    footer = footer_of(b"".join(map(check_of, frames)))
    assert footer.records_n == 2
    (payload,) = split(encode_footer(footer), complete=True).payloads
    assert payload[:2] == b"\x92\x02"
    assert payload.endswith(footer.digest)
    assert footer.digest != footer_of(b"".join(map(check_of, reversed(frames)))).digest


def test_segment_goes_on_behind_a_footer(tmp_path: Path) -> None:
    journal = make_journal(tmp_path, Clock())
    journal.append(reward(1))
    journal.close()
    (path,) = segments(tmp_path)
    more = [encode(2, reward(2)), encode(3, reward(3))]
    checks = b"".join(map(check_of, [encode(1, reward(1)), *more]))
    with path.open("ab") as file:
        file.write(b"".join(more) + encode_footer(footer_of(checks)))
    reader = SegmentReader(path, "w1")
    chunk = reader.read(reader.size(), finished=True, max_bytes=9_999, max_rows=99)
    assert [entry.seq for entry in chunk.entries] == [1, 2, 3]
    assert [(v.records_n, v.agrees) for v in chunk.verdicts] == [(1, True), (3, True)]
    assert chunk.entries[0] == Entry(1, reward(1))
    reader.close()
