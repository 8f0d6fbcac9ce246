"""The header of an empty Native result.

chDB sends no bytes at all for a result without rows; a server sends one block with the columns'
names and types, and clients take the columns from it.
"""

from collections.abc import Sequence

import msgspec

from bandit.store.gateway.engine import Handle
from bandit.store.gateway.refusal import Refusal
from bandit.store.gateway.request import Request
from bandit.store.gateway.statement import without_format


def header_block(columns: Sequence[tuple[str, str]]) -> bytes:
    r"""A Native block without rows.

    Args:
        columns: Names and types.

    >>> header_block([("a", "Int8")])
    b'\x01\x00\x01a\x04Int8'
    """
    out = bytearray(_varint(len(columns)) + _varint(0))
    for column in columns:
        for text in column:
            raw = text.encode()
            out += _varint(len(raw)) + raw
    return bytes(out)


def empty_result(handle: Handle, sql: bytes, request: Request) -> bytes:
    """What a server would answer to a SELECT that found nothing; no bytes if it can't be told."""
    try:
        described = handle.run(
            b"DESCRIBE TABLE (" + without_format(sql) + b"\n)",
            "JSONCompactEachRow",
            request.parameters,
        )
        rows = [msgspec.json.decode(line) for line in described.data.splitlines()]
    except (Refusal, msgspec.DecodeError):
        return b""
    return header_block([(row[0], row[1]) for row in rows])


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
