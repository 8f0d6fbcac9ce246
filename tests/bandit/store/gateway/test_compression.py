import gzip
import zlib

import lz4.frame
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from bandit.store.gateway.compression import choose_encoder, decompress
from bandit.store.gateway.refusal import Refusal

COMPRESS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "lz4": lz4.frame.compress,
    "zstd": zstd.compress,
}
MAX = 1 << 24


@pytest.mark.parametrize("name", COMPRESS)
@given(pieces=st.lists(st.binary(max_size=2000), min_size=1, max_size=4))
def test_several_frames_in_a_row_are_one_body(name: str, pieces: list[bytes]) -> None:
    body = b"".join(COMPRESS[name](piece) for piece in pieces)
    assert decompress(body, name, MAX) == b"".join(pieces)


@pytest.mark.parametrize("name", ["", "identity", " Identity "])
def test_an_unencoded_body_is_itself(name: str) -> None:
    assert decompress(b"SELECT 1", name, MAX) == b"SELECT 1"


@pytest.mark.parametrize("name", COMPRESS)
def test_a_body_larger_than_one_step_comes_out_whole(name: str) -> None:
    body = bytes(range(256)) * 20_000
    assert decompress(COMPRESS[name](body), name, MAX) == body


@pytest.mark.parametrize("name", COMPRESS)
def test_a_small_body_may_not_hide_a_large_one(name: str) -> None:
    bomb = COMPRESS[name](b"0" * (8 << 20))
    with pytest.raises(Refusal, match="must be at most 1000000") as caught:
        decompress(bomb, name, 1_000_000)
    assert caught.value.status == 413


@pytest.mark.parametrize("name", COMPRESS)
@pytest.mark.parametrize("damage", ["cut", "rubbish", "rubbish behind"])
def test_a_broken_body_is_refused_with_its_encoding(name: str, damage: str) -> None:
    good = COMPRESS[name](b"SELECT 1" * 100)
    body = {"cut": good[:-3], "rubbish": b"SELECT 1", "rubbish behind": good + b"SELECT 1"}[damage]
    with pytest.raises(Refusal, match=f"not {name} data") as caught:
        decompress(body, name, MAX)
    assert (caught.value.code, caught.value.status) == (271, 400)


def refusal_status(body: bytes, name: str) -> int | None:
    try:
        decompress(body, name, MAX)
    except Refusal as refusal:
        return refusal.status
    return None


@pytest.mark.parametrize("name", COMPRESS)
@given(body=st.binary(min_size=1, max_size=300))
def test_any_bytes_are_data_or_refused(name: str, body: bytes) -> None:
    assert refusal_status(body, name) in (None, 400)


def test_an_unknown_encoding_is_refused_with_those_we_know() -> None:
    with pytest.raises(Refusal, match="'br', must be one of deflate, gzip, lz4, zstd"):
        decompress(b"", "br", MAX)


@pytest.mark.parametrize("name", COMPRESS)
@given(pieces=st.lists(st.binary(max_size=500), max_size=5))
def test_what_is_encoded_in_pieces_decodes_whole(name: str, pieces: list[bytes]) -> None:
    chosen = choose_encoder(name)
    assert chosen is not None
    assert chosen[0] == name
    sent = b"".join(chosen[1].feed(piece) for piece in pieces) + chosen[1].finish()
    assert decompress(sent, name, MAX) == b"".join(pieces)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("lz4,zstd,gzip,deflate", "lz4"),
        ("br, GZIP;q=0.8", "gzip"),
        ("gzip;q=0, zstd", "zstd"),
        ("identity", None),
        ("", None),
    ],
)
def test_the_first_encoding_both_know_is_chosen(accept: str, expected: str | None) -> None:
    chosen = choose_encoder(accept)
    assert (chosen and chosen[0]) == expected
