import struct
import zlib

import msgspec
import pytest

from bandit.journal.base import Entry
from bandit.journal.frames import (
    FORMAT,
    Damage,
    Header,
    UnreadableSegment,
    decode,
    decode_header,
    encode,
    encode_header,
    split,
)
from bandit.records import AnyLogRecord
from tests.bandit.journal.fakes import decision, exposure, outcome, reward

FRAMES = [encode(n, reward(n)) for n in (1, 2, 3)]


@pytest.mark.parametrize(
    "record", [decision(3), reward(4), exposure(5), outcome(6)], ids=lambda r: r.table
)
def test_a_record_comes_out_as_it_went_in(record: AnyLogRecord) -> None:
    (payload,) = split(encode(7, record), complete=True).payloads
    assert decode(payload) == Entry(7, record)


def test_a_frame_is_what_the_readme_says() -> None:
    payload = msgspec.msgpack.encode([7, msgspec.to_builtins(reward(4))])
    assert encode(7, reward(4)) == struct.pack("<II", len(payload), zlib.crc32(payload)) + payload


@pytest.mark.parametrize("complete", [False, True])
def test_a_frame_cut_at_any_byte_is_left_out(complete: bool) -> None:
    whole, last = FRAMES[0] + FRAMES[1], FRAMES[2]
    for cut in range(1, len(last)):
        data = whole + last[:cut]
        found = split(data, complete=complete)
        assert len(found.payloads) == 2
        if complete:
            assert found.damage == [Damage(len(whole), len(data), torn=True)]
        else:
            assert (found.damage, found.stop) == ([], len(whole))


def test_a_flipped_bit_costs_its_own_frame_only() -> None:
    start, stop = len(FRAMES[0]), len(FRAMES[0] + FRAMES[1])
    for bit in range(start * 8, stop * 8):
        data = bytearray(b"".join(FRAMES))
        data[bit // 8] ^= 1 << bit % 8
        found = split(bytes(data), complete=True)
        assert [decode(payload).seq for payload in found.payloads] == [1, 3]
        assert found.damage == [Damage(start, stop, torn=False)]


def test_a_bad_frame_is_waited_for_while_the_segment_grows() -> None:
    found = split(FRAMES[0] + bytes(20) + FRAMES[1], complete=False)
    assert (len(found.payloads), found.stop, found.damage) == (1, len(FRAMES[0]), [])


def test_zeros_are_damage_and_no_empty_frames() -> None:
    assert split(bytes(100), complete=True) == ([], 100, [Damage(0, 100, torn=False)], b"")


def test_reading_stops_at_the_limit() -> None:
    found = split(b"".join(FRAMES), complete=True, limit=2)
    assert (len(found.payloads), found.stop) == (2, len(FRAMES[0] + FRAMES[1]))


def test_a_header_is_there_as_a_whole_or_not_yet() -> None:
    header = Header(writer="w1")
    data = encode_header(header)
    assert decode_header(data + FRAMES[0]) == (header, len(data))
    assert all(decode_header(data[:cut]) is None for cut in range(len(data)))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"PK\x03\x04", "does not start like a segment"),
        (b"BNDTJNL" + bytes([FORMAT + 1]), f"format version is {FORMAT + 1}, must be {FORMAT}"),
        (encode_header(Header(writer="w1"))[:-1] + b"!", "damaged"),
    ],
    ids=["other file", "other version", "damaged"],
)
def test_what_is_no_segment_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableSegment, match=reason):
        decode_header(data)
