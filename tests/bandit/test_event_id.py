import hashlib
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit.errors import RecordError
from bandit.event_id import EventId, make_event_id, read_event_id, surface_tag, unlogged_id

SALT = b"s" * 32


def test_formula_has_golden_values() -> None:
    # Put together by hand from the layout in the docstring; a change of it is a migration.
    assert surface_tag("home.feed") == 1791
    made = make_event_id(1763880000000, 1791, b"\x00\x01\x02\x03\x04\x05", SALT)
    assert made == "019aaf70-da00-76ff-9fd8-000102030405"
    unlogged = make_event_id(1763880000000, 1791, b"\x00\x01\x02\x03\x04\x05", SALT, logged=False)
    assert unlogged == by_hand(1763880000000, 1791, b"\x00\x01\x02")
    assert unlogged == "019aaf70-da00-76ff-bf9d-0001021b9228"


def by_hand(ts_ms: int, tag: int, entropy: bytes) -> str:
    """An unlogged id from the layout: 14 and 24 bits of one keyed hash."""
    told = ts_ms.to_bytes(6, "big") + tag.to_bytes(2, "big") + entropy
    check = hashlib.blake2b(told, digest_size=5, key=SALT, person=b"event-unlogged").digest()
    high = 0x8000 | int.from_bytes(check[:2], "big") % 2**14
    return str(UUID(f"{ts_ms:012x}7{tag:03x}{high:04x}{entropy.hex()}{check[2:].hex()}"))


@given(
    ts_ms=st.integers(0, 2**48 - 1),
    tag=st.integers(0, 4095),
    entropy=st.binary(min_size=6, max_size=6),
)
def test_an_id_of_ours_tells_its_time_and_surface(ts_ms: int, tag: int, entropy: bytes) -> None:
    made = make_event_id(ts_ms, tag, entropy, SALT)
    assert read_event_id(made, SALT) == EventId(ts_ms, tag)
    unlogged = EventId(ts_ms, tag, logged=False)
    assert read_event_id(make_event_id(ts_ms, tag, entropy, SALT, logged=False), SALT) == unlogged
    assert read_event_id(unlogged_id(made, tag, SALT), SALT) == unlogged


def test_an_id_that_was_not_logged_is_the_same_whoever_makes_it() -> None:
    theirs = "019aaf70-da00-7abc-8def-0123456789ab"
    told = {unlogged_id(theirs, 1791, SALT) for _ in range(3)}
    assert len(told) == 1
    assert not told & {theirs, unlogged_id(theirs, 1792, SALT), unlogged_id(theirs, 1791, b"o")}


def test_a_client_s_own_id_is_never_taken_for_one_that_was_not_logged() -> None:
    # 14 bits of check alone would have taken one in 16,384 for it, and dropped its rewards.
    ids = (UUID(int=(1 << 80) | (7 << 76) | (2 << 62) | n << 20).hex for n in range(60_000))
    read = (read_event_id(f"{i[:8]}-{i[8:12]}-{i[12:16]}-{i[16:20]}-{i[20:]}", SALT) for i in ids)
    assert all(each.logged for each in read)


def test_an_id_made_under_another_salt_is_not_ours() -> None:
    foreign = [
        read_event_id(make_event_id(1, 2, i.to_bytes(6, "big"), b"other"), SALT) for i in range(500)
    ]
    assert all(read.ts_ms == 1 for read in foreign)
    assert sum(read.surface_tag is not None for read in foreign) <= 2  # 2^-14 each


@pytest.mark.parametrize(
    "event_id",
    [
        "",
        "x",
        "019aaf70-da00-46ff-ba36-000102030405",  # version 4
        "019AAF70-DA00-76FF-BA36-000102030405",  # upper case
        "019aaf70da0076ffba36000102030405",  # no dashes
        "019aaf70-da00-76ff-fa36-000102030405",  # another variant
        "019aaf70-da00-76ff-ba36-00010203040",
        "019aaf70-da00-76ff-ba36-0001020304051",
        "019aaf70-da00-76ff-ba36-00010203040é",
        "019aaf70-da00-76ff-ba36-000102030405\n",
        "019aaf70-da00-76ff-ba36-0001020 0405",
    ],
)
def test_anything_else_is_refused(event_id: str) -> None:
    with pytest.raises(RecordError, match="must be a UUIDv7"):
        read_event_id(event_id, SALT)
