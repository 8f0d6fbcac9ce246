"""What the drain set aside, without what a unit had forgotten."""

from pathlib import Path

import pytest

from bandit.event_id import make_event_id
from bandit.journal.base import Numbers
from bandit.journal.erasing import Theirs, decided, erase, segments
from bandit.journal.frames import (
    Header,
    check_of,
    encode,
    encode_footer,
    encode_header,
    footer_of,
    frame,
)
from bandit.records import AnyLogRecord, Assigned, Exposure, Outcome, Reward
from tests.bandit.store.making import decision

UNIT = "únit-7"
T0 = 1_790_000_000_000
EVENTS = [make_event_id(T0, 7, n.to_bytes(6, "big"), b"salt") for n in range(3)]
MINE = decision(1, unit_id=UNIT, event_id=EVENTS[0])
OTHER = decision(2, unit_id="other", event_id=EVENTS[1])
THEIRS = Theirs(frozenset({UNIT}), frozenset({EVENTS[0]}))


def outcome(unit: str) -> Outcome:
    return Outcome(ts_ms=T0, unit_id=unit, name="n", value=1.0, outcome_id="o")


def assigned(unit: str) -> Assigned:
    return Assigned(ts_ms=T0, unit_id=unit, experiment="e", experiment_version=1, variant="v")


def reward(event_id: str) -> Reward:
    return Reward(ts_ms=T0, event_id=event_id, decision_ts_ms=T0, value=1.0, reward_id="r")


def exposure(event_id: str) -> Exposure:
    return Exposure(ts_ms=T0, event_id=event_id, decision_ts_ms=T0, slots=(0,))


PAIRS: list[tuple[AnyLogRecord, AnyLogRecord]] = [
    (MINE, OTHER),
    (outcome(UNIT), outcome("other")),
    (assigned(UNIT), assigned("other")),
    (reward(EVENTS[0]), reward(EVENTS[1])),
    (exposure(EVENTS[0]), exposure(EVENTS[1])),
]


@pytest.fixture(params=["w1/rejected", ".given-up/w1"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    path.mkdir(parents=True)
    return path


HEADER = encode_header(Header(writer="w1"))


@pytest.mark.parametrize(("mine", "other"), PAIRS, ids=lambda record: record.table)
def test_records_of_a_unit_leave_their_file_and_others_stay(
    folder: Path, tmp_path: Path, mine: AnyLogRecord, other: AnyLogRecord
) -> None:
    path = folder / "a.seg"
    frames = [encode(4, mine), encode(5, other)]
    footer = encode_footer(footer_of(b"".join(map(check_of, frames))))
    path.write_bytes(HEADER + b"".join(frames) + footer)
    taken = erase(tmp_path, THEIRS)
    assert (taken.files_n, taken.records_n) == (1, 1)
    assert taken.numbers == [Numbers(mine.table, mine.surface, "w1", 4, 4)]
    assert path.read_bytes() == HEADER + frames[1]  # the footer counted what is gone
    assert erase(tmp_path, THEIRS) == (0, 0, [])


def test_a_file_without_them_is_not_touched(folder: Path, tmp_path: Path) -> None:
    frames = [encode(1, OTHER), encode(2, reward(EVENTS[1]))]
    footer = encode_footer(footer_of(b"".join(map(check_of, frames))))
    for name, data in (
        ("a.seg", HEADER + b"".join(frames) + footer),
        ("b.damaged", b"\x00\xff rubbish"),
        ("c.lost", b"[]"),
        ("d.seg", b""),
    ):
        (folder / name).write_bytes(data)
    inodes = {path: path.stat().st_ino for path in folder.iterdir()}
    assert erase(tmp_path, THEIRS) == (0, 0, [])
    assert {path: path.stat().st_ino for path in folder.iterdir()} == inodes


def test_a_file_with_nothing_else_goes(folder: Path, tmp_path: Path) -> None:
    frames = [encode(1, MINE)]
    footer = encode_footer(footer_of(b"".join(map(check_of, frames))))
    (folder / "a.seg").write_bytes(HEADER + frames[0] + footer)
    assert erase(tmp_path, THEIRS).records_n == 1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "named",
    [
        f'{{"unit_id":"{UNIT}"}}'.encode(),
        b'{"unit_id":"\\u00fanit-7"}',
        b"\x81\xa7unit_id" + bytes([0xA0 | len(UNIT.encode())]) + UNIT.encode(),
        EVENTS[0].encode(),
    ],
)
def test_bytes_that_hold_no_record_go_if_they_name_them(
    folder: Path, tmp_path: Path, named: bytes
) -> None:
    good = frame(b"\x92\x01\x02")  # of another version of this program
    (folder / "a.damaged").write_bytes(b"\x00\x00" + named + b"\x00")
    (folder / "b.seg").write_bytes(HEADER + frame(b"\x92" + named) + good)
    taken = erase(tmp_path, THEIRS)
    assert (taken.files_n, taken.numbers) == (2, [])
    assert [path.name for path in folder.iterdir()] == ["b.seg"]
    assert (folder / "b.seg").read_bytes() == HEADER + good


def test_evidence_that_is_a_link_to_a_segment_leaves_the_segment_alone(tmp_path: Path) -> None:
    folder = tmp_path / "w1" / "rejected"
    folder.mkdir(parents=True)
    segment = tmp_path / "w1" / "000000000001.seg"
    segment.write_bytes(HEADER + encode(1, MINE) + encode(2, OTHER))
    (folder / "000000000001.doubtful").hardlink_to(segment)
    before = segment.read_bytes()
    assert erase(tmp_path, THEIRS).records_n == 1
    assert segment.read_bytes() == before


def test_decisions_that_only_a_file_holds_are_found_there(folder: Path, tmp_path: Path) -> None:
    (folder / "a.seg").write_bytes(HEADER + encode(1, MINE) + encode(2, OTHER))
    assert decided(tmp_path, {UNIT}) == {EVENTS[0]}


def test_segments_are_those_that_hold_records(tmp_path: Path) -> None:
    assert segments(tmp_path / "nowhere") == set()
    folder = tmp_path / "w1"
    (folder / "rejected").mkdir(parents=True)
    for name, data in (
        ("000000000001.seg", HEADER + encode(1, OTHER)),
        ("000000000002.seg", HEADER),
        ("000000000003.seg", b""),
        ("rejected/a.seg", HEADER + encode(1, OTHER)),
    ):
        (folder / name).write_bytes(data)
    assert segments(tmp_path) == {folder / "000000000001.seg"}
