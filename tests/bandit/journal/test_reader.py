from pathlib import Path

import pytest

from bandit.journal.frames import Header, encode, encode_header, frame
from bandit.journal.reader import Chunk, SegmentReader
from tests.bandit.journal.fakes import decision, reward

HEADER = encode_header(Header(writer="w1"))


def segment(tmp_path: Path, *frames: bytes, header: bytes = HEADER) -> Path:
    path = tmp_path / "000000000001.seg"
    path.write_bytes(header + b"".join(frames))
    return path


def read_on(reader: SegmentReader, *, finished: bool = True, max_bytes: int = 10_000) -> Chunk:
    return reader.read(reader.size(), finished=finished, max_bytes=max_bytes, max_rows=100)


def test_reading_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = segment(tmp_path, encode(1, reward(1)), encode(2, reward(2))[:-1])
    reader = SegmentReader(path, "w1")
    assert [seq for seq, _ in read_on(reader, finished=False).entries] == [1]
    assert read_on(reader, finished=False) == Chunk([], [], 0)
    with path.open("ab") as file:
        file.write(encode(2, reward(2))[-1:] + encode(3, reward(3)))
    assert [seq for seq, _ in read_on(reader, finished=False).entries] == [2, 3]
    assert reader.offset == reader.size()


def test_a_frame_longer_than_a_piece_is_read_whole(tmp_path: Path) -> None:
    reader = SegmentReader(segment(tmp_path, *(encode(n, decision(n)) for n in (1, 2, 3))), "w1")
    found = [read_on(reader, finished=False, max_bytes=20).entries for _ in range(3)]
    assert [seq for chunk in found for seq, _ in chunk] == [1, 2, 3]


def test_damage_is_skipped_wherever_a_piece_ends(tmp_path: Path) -> None:
    good, bad = encode(1, reward(1)), b"\x01" * 300
    for max_bytes in (10, len(good), len(good) + 100, 10_000):
        reader = SegmentReader(segment(tmp_path, good, bad, encode(2, reward(2))), "w1")
        chunks = []
        while reader.offset < reader.size():
            chunks.append(read_on(reader, max_bytes=max_bytes))
        assert [seq for chunk in chunks for seq, _ in chunk.entries] == [1, 2]
        (spoilt,) = (spoilt for chunk in chunks for spoilt in chunk.spoilt)
        assert (spoilt.start, spoilt.data) == (len(HEADER + good), bad)


def test_a_record_of_another_version_is_kept_as_its_frame(tmp_path: Path) -> None:
    strange = frame(b"\x92\x01\x81\xa4kind\xa5hello")
    reader = SegmentReader(segment(tmp_path, strange, encode(1, reward(1))), "w1")
    chunk = read_on(reader)
    assert [seq for seq, _ in chunk.entries] == [1]
    assert [(s.start, s.data, s.holds) for s in chunk.spoilt] == [(len(HEADER), strange, "frame")]


@pytest.mark.parametrize("cut", [0, 5, len(HEADER) - 1])
def test_a_torn_header_is_waited_for_and_then_given_up(tmp_path: Path, cut: int) -> None:
    reader = SegmentReader(segment(tmp_path, header=HEADER[:cut]), "w1")
    assert read_on(reader, finished=False) == Chunk([], [], 0)
    assert reader.offset == 0
    assert read_on(reader) == Chunk([], [], cut)
    assert reader.offset == cut


def test_another_writer_s_segment_is_set_aside_whole(tmp_path: Path) -> None:
    path = segment(tmp_path, encode(1, reward(1)))
    reader = SegmentReader(path, "w2")
    (spoilt,) = read_on(reader).spoilt
    assert spoilt.data == path.read_bytes()
    assert "its writer is 'w1', not 'w2'" in spoilt.reason
    assert reader.offset == reader.size()
