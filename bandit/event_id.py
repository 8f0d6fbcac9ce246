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

The id of a decision that was not logged has its check made with another `person`, and its last
24 random bits are check, too: what comes back for it is known to belong to nothing without a
look-up, and a client's own id is not mistaken for one (14 bits would take one in 16,384).
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
    logged: bool = True
    """False: of a decision that was answered and not logged, so that nothing can join it."""


def surface_tag(surface: str) -> int:
    """Twelve bits that name a surface in an event id."""
    return int.from_bytes(hashlib.sha256(surface.encode()).digest()[:2], "big") >> 4


def make_event_id(ts_ms: int, tag: int, entropy: bytes, salt: bytes, *, logged: bool = True) -> str:
    """Make an event id.

    Args:
        ts_ms: The decision's time.
        tag: `surface_tag` of its surface.
        entropy: Six random bytes.
        salt: The project's secret, at most 64 bytes.
        logged: False for a decision that is answered and not logged; three of the six random
            bytes are not used then.
    """
    if logged:
        check = _check(ts_ms, tag, entropy, salt)
    else:
        check, rest = _unlogged_check(ts_ms, tag, entropy[:3], salt)
        entropy = entropy[:3] + rest
    text = f"{ts_ms:012x}7{tag:03x}{0x8000 | check:04x}{entropy.hex()}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def unlogged_id(event_id: str, tag: int, salt: bytes) -> str:
    """The id that a decision is answered under if it is not logged after all.

    The same for the same `event_id` in every worker, so that whoever asks again is told the same.

    Args:
        event_id: Under which it was decided: ours, or the client's own.
        tag: `surface_tag` of its surface.
        salt: The project's secret.
    """
    named = hashlib.blake2b(event_id.encode(), digest_size=6, key=salt, person=b"event-unlogged")
    ts_ms = int(event_id[:8] + event_id[9:13], 16)
    return make_event_id(ts_ms, tag, named.digest(), salt, logged=False)


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
    if check == _check(ts_ms, tag, raw[10:], salt):
        return EventId(ts_ms, tag)
    if (check, raw[13:]) == _unlogged_check(ts_ms, tag, raw[10:13], salt):
        return EventId(ts_ms, tag, logged=False)
    return EventId(ts_ms, None)


def _check(ts_ms: int, tag: int, entropy: bytes, salt: bytes) -> int:
    hashing = _keyed(salt).copy()
    hashing.update(ts_ms.to_bytes(6, "big") + tag.to_bytes(2, "big") + entropy)
    return int.from_bytes(hashing.digest(), "big") & 0x3FFF


def _unlogged_check(ts_ms: int, tag: int, entropy: bytes, salt: bytes) -> tuple[int, bytes]:
    """The 14 bits and the last three bytes of an id that was not logged."""
    hashing = hashlib.blake2b(digest_size=5, key=salt, person=b"event-unlogged")
    hashing.update(ts_ms.to_bytes(6, "big") + tag.to_bytes(2, "big") + entropy)
    digest = hashing.digest()
    return int.from_bytes(digest[:2], "big") & 0x3FFF, digest[2:]


@lru_cache(maxsize=8)  # a copy of it costs half of a new one
def _keyed(salt: bytes) -> "hashlib.blake2b":
    return hashlib.blake2b(digest_size=2, key=salt, person=b"event-id")
