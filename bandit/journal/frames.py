"""How a record lies in a segment, and how a segment is read however it was left.

```
segment   b"BNDTJNL" | u8 format version | frame of the header | frame of a record | … | footer
frame     u32 length | u32 crc32 of the payload | payload             little-endian
payload   msgpack [seq, record]
footer    frame of msgpack [n, digest]: of the n records before it, in their order, BLAKE2b-128 of
          their frames' four bytes of crc32
```
A checksum tells a damaged record; the footer tells records that are gone without a trace. A segment
whose writer was killed, or whose disk was full, has none. One that could not be left after all goes
on behind its footer, and gets another.

Nothing here touches a file: bytes in, values out.
"""

import hashlib
import struct
import zlib
from typing import NamedTuple

import msgspec

from bandit.journal.base import Entry
from bandit.records import AnyLogRecord, Record

FORMAT = 1
"""Version of everything above; a reader refuses a segment of another version."""
MAX_PAYLOAD_BYTES = 1 << 28
"""A length above this is damage, not a frame."""
HEADER_BYTES_MAX = 4096
FOOTER_BYTES_MAX = 40

_MAGIC = b"BNDTJNL"
_LENGTHS = struct.Struct("<II")
_PAYLOAD_STARTS_WITH = b"\x92"  # msgpack's array of two, with which every record's payload starts
_encoder = msgspec.msgpack.Encoder()


class Header(Record, frozen=True, kw_only=True):
    """What a segment says of itself: it can be read wherever it was moved."""

    writer: str


class Footer(NamedTuple):
    """What a finished segment says of the records before this place."""

    records_n: int
    digest: bytes


class UnreadableSegment(Exception):
    """The header is damaged; there may be good frames behind it."""


class OtherVersion(UnreadableSegment):
    """The segment is of another format version: only that version can read it."""


class Damage(NamedTuple):
    """Bytes `[start, stop)` that hold no frame; torn ones are a write that was never accepted."""

    start: int
    stop: int
    torn: bool


class Frames(NamedTuple):
    """What was found in a piece of a segment."""

    payloads: list[bytes]
    stop: int
    """Where reading goes on: the start of the first frame that is not there as a whole."""
    damage: list[Damage]
    checks: bytes = b""
    """The checksums of the payloads, four bytes each."""


def encode(seq: int, record: AnyLogRecord) -> bytes:
    """A record as a frame."""
    return frame(_encoder.encode((seq, record)))


def decode(payload: bytes) -> Entry:
    """The record in a frame's payload.

    Raises:
        msgspec.MsgspecError: The payload is no record that this version knows.
    """
    return _entries.decode(payload)


_entries = msgspec.msgpack.Decoder(Entry)
_footers = msgspec.msgpack.Decoder(Footer)


def check_of(data: bytes) -> bytes:
    """The checksum that a frame begins with, as it lies there."""
    return data[4:8]


def footer_of(checks: bytes | bytearray) -> Footer:
    """The footer of records whose checksums these are, one after the other."""
    return Footer(len(checks) // 4, hashlib.blake2b(checks, digest_size=16).digest())


def encode_footer(footer: Footer) -> bytes:
    """A footer as a frame."""
    return frame(_encoder.encode(footer))


def decode_footer(payload: bytes) -> Footer | None:
    """The footer in a frame's payload; None if it is something else."""
    try:
        return _footers.decode(payload)
    except msgspec.MsgspecError:
        return None


def frame(payload: bytes) -> bytes:
    """Payload with its length and checksum."""
    return _LENGTHS.pack(len(payload), zlib.crc32(payload)) + payload


def encode_header(header: Header) -> bytes:
    """How every segment starts."""
    return _MAGIC + bytes([FORMAT]) + frame(_encoder.encode(header))


def decode_header(data: bytes) -> tuple[Header, int] | None:
    """The header at the start of `data` and where it ends; None while it is not there as a whole.

    Raises:
        UnreadableSegment: It never will be.
    """
    start = len(_MAGIC) + 1
    if not data.startswith(_MAGIC[: len(data)]):
        raise UnreadableSegment("it does not start like a segment")
    if len(data) >= start and data[start - 1] != FORMAT:
        raise OtherVersion(f"format version is {data[start - 1]}, must be {FORMAT}")
    if len(data) >= start + _LENGTHS.size and _claimed_stop(data, start) > HEADER_BYTES_MAX:
        raise UnreadableSegment("its header is damaged")
    if _claimed_stop(data, start) > len(data):
        return None
    payload = _payload(data, start)
    if payload is None:
        raise UnreadableSegment("its header is damaged")
    try:
        header = msgspec.msgpack.decode(payload, type=Header)
    except msgspec.MsgspecError as exc:
        raise UnreadableSegment("its header is of another version") from exc
    return header, start + _LENGTHS.size + len(payload)


def split(data: bytes, *, complete: bool, limit: int | None = None) -> Frames:
    """Take the frames out of a piece of a segment.

    Args:
        data: From the start of a frame on.
        complete: Nothing will ever follow `data`. While more may come, whatever is not a good
            frame is taken for one that is still being written, and reading stops before it.
        limit: At most so many frames.
    """
    payloads: list[bytes] = []
    damage: list[Damage] = []
    checks = bytearray()
    at = 0
    while at < len(data) and (limit is None or len(payloads) < limit):
        payload = _payload(data, at)
        if payload is not None:
            payloads.append(payload)
            checks += data[at + 4 : at + 8]
            at += _LENGTHS.size + len(payload)
        elif complete:
            stop = _next_frame(data, at + 1)
            torn = stop == len(data) < _claimed_stop(data, at)
            damage.append(Damage(at, stop, torn))
            at = stop
        else:
            break
    return Frames(payloads, at, damage, bytes(checks))


def holds_frames(data: bytes) -> bool:
    """Whether any good frame of a record or footer is somewhere in `data`."""
    return _next_frame(data, 0) < len(data)


def _payload(data: bytes, at: int) -> bytes | None:
    """Payload of the frame at `at`; None if no good frame is there as a whole."""
    stop = _claimed_stop(data, at)
    if not at < stop <= len(data):
        return None
    payload = data[at + _LENGTHS.size : stop]
    return payload if zlib.crc32(payload) == _LENGTHS.unpack_from(data, at)[1] else None


def _claimed_stop(data: bytes, at: int) -> int:
    """Where the frame at `at` says it ends: behind `data` if that is cut, `at` if it can not be."""
    if at + _LENGTHS.size > len(data):
        return at + _LENGTHS.size + 1
    length: int = _LENGTHS.unpack_from(data, at)[0]
    return at + _LENGTHS.size + length if 0 < length <= MAX_PAYLOAD_BYTES else at


def _next_frame(data: bytes, at: int) -> int:
    """Start of the first good frame of a record at or after `at`; the end of `data` if none is."""
    first_byte = at + _LENGTHS.size
    while (first_byte := data.find(_PAYLOAD_STARTS_WITH, first_byte)) >= 0:
        if _payload(data, first_byte - _LENGTHS.size) is not None:
            return first_byte - _LENGTHS.size
        first_byte += 1
    return len(data)
