"""Snapshots that tell when they are damaged, or were learned with something else.

`magic | u32 bytes of text | u64 bytes of state | SHA-256 of both | text | state`, little-endian.
The magic names the policy's type, and its last byte is the format's version; the text is what was
declared.
"""

import hashlib
import struct

from bandit.errors import BadSpec, SnapshotCorrupt


def frame(magic: bytes, text: str, state: bytes) -> bytes:
    """State in a frame that knows its length, its digest and what it was learned with.

    Args:
        magic: Type and version.
        text: The arguments or parameters in their canonical spelling.
        state: What was learned.
    """
    learned_with = text.encode()
    digest = hashlib.sha256(learned_with + state).digest()
    head = _head(magic).pack(magic, len(learned_with), len(state), digest)
    return head + learned_with + state


def unframe(magic: bytes, text: str, saved: bytes) -> bytes:
    """The state that was framed.

    Raises:
        SnapshotCorrupt: It is not what was saved.
        BadSpec: It was learned with another text.
    """
    head = _head(magic)
    if len(saved) < head.size:
        raise SnapshotCorrupt(f"snapshot has {len(saved)} bytes, must have at least {head.size}")
    found, text_bytes, state_bytes, digest = head.unpack_from(saved)
    if found != magic:
        raise SnapshotCorrupt(f"snapshot begins with {found!r}, must begin with {magic!r}")
    need = head.size + text_bytes + state_bytes
    if len(saved) != need:
        raise SnapshotCorrupt(f"snapshot has {len(saved)} bytes, must have {need}")
    if hashlib.sha256(memoryview(saved)[head.size :]).digest() != digest:
        raise SnapshotCorrupt("snapshot does not have the SHA-256 that it was saved with")
    learned_with = saved[head.size : head.size + text_bytes].decode()
    if learned_with != text:
        raise BadSpec(f"weights were learned with {learned_with!r}, must be with {text!r}")
    return saved[head.size + text_bytes :]


def _head(magic: bytes) -> struct.Struct:
    return struct.Struct(f"<{len(magic)}sIQ32s")
