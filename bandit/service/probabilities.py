"""The pmf that is drawn from: floored, checked, and rounded to what the log keeps."""

import struct
from collections.abc import Sequence
from functools import lru_cache

from bandit.policies import with_floor
from bandit.policies.base import Policy
from bandit.records import Action


def floored_pmf(
    policy: Policy, floor: float, context: bytes, offered: Sequence[Action]
) -> tuple[float, ...]:
    """A policy's pmf over `offered` with its floor, `(k,)`, in float32.

    It is rounded before the draw, not after it: so the log holds exactly what was drawn from, and
    a draw can be repeated from the log alone.

    Raises:
        BadPmf: The policy gave something that is no distribution.
    """
    mixed = with_floor(policy.pmf(context, offered), floor)
    floats = _floats(len(mixed))
    return floats.unpack(floats.pack(*mixed))


def spread(pmf: Sequence[float], eligible: Sequence[int], k: int) -> tuple[float, ...]:
    """Put a pmf over the eligible actions back among all `k` offered ones, which get 0.

    >>> spread((0.25, 0.75), eligible=(0, 2), k=3)
    (0.25, 0.0, 0.75)
    """
    full = [0.0] * k
    for index, probability in zip(eligible, pmf, strict=True):
        full[index] = probability
    return tuple(full)


def pack(pmf: Sequence[float]) -> bytes:
    """A pmf as the log keeps it: little-endian float32."""
    return _floats(len(pmf)).pack(*pmf)


@lru_cache(maxsize=1024)
def _floats(k: int) -> struct.Struct:
    return struct.Struct(f"<{k}f")
