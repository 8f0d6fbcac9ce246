"""HTTP content encodings, both ways, with bounded output."""

import zlib
from collections.abc import Callable
from typing import Protocol

import lz4.frame
from backports import zstd

from bandit.store.gateway.refusal import Refusal

_STEP_BYTES = 1 << 20


class Encoder(Protocol):
    """Compresses a response piece by piece."""

    def feed(self, data: bytes) -> bytes:
        """Compressed bytes that are ready after `data`; may be empty."""
        ...

    def finish(self) -> bytes:
        """What is left."""
        ...


class _Decoder(Protocol):
    """What zlib, lz4 and zstd decompressors have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def step(self, data: bytes, limit: int) -> bytes: ...


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._inner = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def step(self, data: bytes, limit: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, limit)


class _Frames:
    """An lz4 or zstd frame."""

    def __init__(self, inner: lz4.frame.LZ4FrameDecompressor | zstd.ZstdDecompressor) -> None:
        self._inner = inner

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes | None:
        unused: bytes | None = self._inner.unused_data
        return unused

    def step(self, data: bytes, limit: int) -> bytes:
        out: bytes = self._inner.decompress(data, max_length=limit)
        return out


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    "gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
    "deflate": lambda: _Zlib(zlib.MAX_WBITS),
    "lz4": lambda: _Frames(lz4.frame.LZ4FrameDecompressor()),
    "zstd": lambda: _Frames(zstd.ZstdDecompressor()),
}


def decompress(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The body behind its `Content-Encoding`; several members or frames in a row are one body.

    Args:
        body: What the client sent.
        encoding: Value of the header; empty or `identity` means none.
        max_bytes: Most bytes that may come out: a small body can hide gigabytes.

    Raises:
        Refusal: Unknown encoding (48), broken or cut-off data (271), too much of it (229).
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    make = _DECODERS.get(name)
    if make is None:
        known = ", ".join(sorted(_DECODERS))
        raise Refusal(
            48, "NOT_IMPLEMENTED", f"Content-Encoding is {name!r}, must be one of {known}"
        )
    out: list[bytes] = []
    size = 0
    rest = body
    while rest:
        decoder = make()
        while not decoder.eof:
            try:
                piece = decoder.step(rest, _STEP_BYTES)
            except (zlib.error, zstd.ZstdError, RuntimeError, EOFError) as exc:
                raise _broken(name, str(exc)) from exc
            rest = b""
            size += len(piece)
            if size > max_bytes:
                raise too_large(f"more than {max_bytes}", max_bytes)
            if not piece and not decoder.eof:
                raise _broken(name, "it ends too early")
            out.append(piece)
        rest = decoder.unused_data or b""
    return b"".join(out)


def too_large(size: str, max_bytes: int) -> Refusal:
    """A body that is over the limit."""
    return Refusal(
        229, "QUERY_IS_TOO_LARGE", f"request body has {size} bytes, must be at most {max_bytes}"
    )


def _broken(name: str, why: str) -> Refusal:
    return Refusal(271, "CANNOT_DECOMPRESS", f"request body is not {name} data: {why}")


class _ZlibEncoder:
    def __init__(self, wbits: int) -> None:
        self._inner = zlib.compressobj(1, wbits=wbits)

    def feed(self, data: bytes) -> bytes:
        return self._inner.compress(data)

    def finish(self) -> bytes:
        return self._inner.flush()


class _Lz4Encoder:
    def __init__(self) -> None:
        self._inner = lz4.frame.LZ4FrameCompressor()
        self._head: bytes = self._inner.begin()

    def feed(self, data: bytes) -> bytes:
        head, self._head = self._head, b""
        out: bytes = head + self._inner.compress(data)
        return out

    def finish(self) -> bytes:
        out: bytes = self._head + self._inner.flush()
        return out


class _ZstdEncoder:
    def __init__(self) -> None:
        self._inner = zstd.ZstdCompressor(level=1)

    def feed(self, data: bytes) -> bytes:
        return self._inner.compress(data)

    def finish(self) -> bytes:
        return self._inner.flush()


_ENCODERS: dict[str, Callable[[], Encoder]] = {
    "lz4": _Lz4Encoder,
    "zstd": _ZstdEncoder,
    "gzip": lambda: _ZlibEncoder(zlib.MAX_WBITS | 16),
    "deflate": lambda: _ZlibEncoder(zlib.MAX_WBITS),
}


def choose_encoder(accept_encoding: str) -> tuple[str, Encoder] | None:
    """The first encoding the client accepts that we know; None sends it plain.

    >>> name, encoder = choose_encoder("br, gzip;q=0.5")
    >>> name
    'gzip'
    """
    for offer in accept_encoding.split(","):
        name, _, quality = offer.strip().lower().partition(";")
        if name in _ENCODERS and quality.replace(" ", "") not in ("q=0", "q=0.0"):
            return name, _ENCODERS[name]()
    return None
