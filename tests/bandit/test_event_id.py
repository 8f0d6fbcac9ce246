import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit.errors import RecordError
from bandit.event_id import make_event_id, read_event_id, surface_tag

SALT = b"s" * 32


def test_formula_has_golden_values() -> None:
    # Put together by hand from the layout in the docstring; a change of it is a migration.
    assert surface_tag("home.feed") == 1791
    made = make_event_id(1763880000000, 1791, b"\x00\x01\x02\x03\x04\x05", SALT)
    assert made == "019aaf70-da00-76ff-9fd8-000102030405"


@given(
    ts_ms=st.integers(0, 2**48 - 1),
    tag=st.integers(0, 4095),
    entropy=st.binary(min_size=6, max_size=6),
)
def test_an_id_of_ours_tells_its_time_and_surface(ts_ms: int, tag: int, entropy: bytes) -> None:
    assert read_event_id(make_event_id(ts_ms, tag, entropy, SALT), SALT) == (ts_ms, tag)


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
