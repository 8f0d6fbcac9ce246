"""Event ids: UUIDv7s that tell the decision's time and surface without a look-up.

```
 48 bits  milliseconds since 1970 UTC
  4 bits  0111 (version 7)
 12 bits  tag of the surface: the top 12 bits of SHA-256(surface key)
  2 bits  10 (variant)
 14 bits  check: keyed BLAKE2b over time, tag and random bits
 48 bits  random
```
The check tells an id that this project made from a client's own UUIDv7, whose bits mean nothing
to us: a reward for ours finds its surface's stream by itself, for a client's own it must be told.
"""

import hashlib
from functools import lru_cache
from typing import NamedTuple

from bandit.errors import RecordError


class EventId(NamedTuple):
    """What an event id tells."""

    ts_ms: int
    surface_tag: int | None
    """None if this project did not make the id."""


def surface_tag(surface: str) -> int:
    """Twelve bits that name a surface in an event id."""
    return int.from_bytes(hashlib.sha256(surface.encode()).digest()[:2], "big") >> 4


def make_event_id(ts_ms: int, tag: int, entropy: bytes, salt: bytes) -> str:
    """Make an event id.

    Args:
        ts_ms: The decision's time.
        tag: `surface_tag` of its surface.
        entropy: Six random bytes.
        salt: The project's secret, at most 64 bytes.
    """
    text = f"{ts_ms:012x}7{tag:03x}{0x8000 | _check(ts_ms, tag, entropy, salt):04x}{entropy.hex()}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def read_event_id(event_id: str, salt: bytes) -> EventId:
    """Read what an event id tells.

    Raises:
        RecordError: `event_id` is not a UUIDv7 in canonical lower-case text.
    """
    text = event_id.replace("-", "")
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    canonical = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    if (
        len(raw) != 16
        or raw[6] >> 4 != 7
        or raw[8] >> 6 != 2
        or raw.hex() != text
        or canonical != event_id
    ):
        raise RecordError(f"event_id is {event_id[:64]!r}, must be a UUIDv7 in lower-case text")
    ts_ms = int.from_bytes(raw[:6], "big")
    tag = int.from_bytes(raw[6:8], "big") & 0x0FFF
    check = int.from_bytes(raw[8:10], "big") & 0x3FFF
    ours = check == _check(ts_ms, tag, raw[10:], salt)
    return EventId(ts_ms, tag if ours else None)


def _check(ts_ms: int, tag: int, entropy: bytes, salt: bytes) -> int:
    hashing = _keyed(salt).copy()
    hashing.update(ts_ms.to_bytes(6, "big") + tag.to_bytes(2, "big") + entropy)
    return int.from_bytes(hashing.digest(), "big") & 0x3FFF


@lru_cache(maxsize=8)  # a copy of it costs half of a new one
def _keyed(salt: bytes) -> "hashlib.blake2b":
    return hashlib.blake2b(digest_size=2, key=salt, person=b"event-id")
