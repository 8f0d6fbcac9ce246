import pytest

from bandit.errors import BadSpec, SnapshotCorrupt
from bandit.policies.framing import frame, unframe

MAGIC = b"bandit-test\x01"
SAVED = frame(MAGIC, '{"ids":3}', b"what was learned")


def test_what_was_framed_comes_back():
    assert unframe(MAGIC, '{"ids":3}', SAVED) == b"what was learned"


def test_every_truncation_and_every_flipped_bit_is_told():
    for end in range(len(SAVED)):
        with pytest.raises(SnapshotCorrupt):
            unframe(MAGIC, '{"ids":3}', SAVED[:end])
    for bit in range(8 * len(SAVED)):
        flipped = bytearray(SAVED)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SnapshotCorrupt):
            unframe(MAGIC, '{"ids":3}', bytes(flipped))
    with pytest.raises(SnapshotCorrupt, match="must have"):
        unframe(MAGIC, '{"ids":3}', SAVED + b"\x00")


def test_another_type_or_version_is_told():
    with pytest.raises(SnapshotCorrupt, match="must begin with"):
        unframe(b"bandit-test\x02", '{"ids":3}', SAVED)


def test_other_parameters_are_told():
    with pytest.raises(BadSpec, match=r"learned with '\{\"ids\":3\}', must be with '\{\}'"):
        unframe(MAGIC, "{}", SAVED)
