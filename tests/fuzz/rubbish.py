"""Raw rubbish over a socket: what no HTTP client would send, and bodies that hurt parsers."""

import gzip
import socket
import zlib
from collections.abc import Iterator
from typing import NamedTuple

ROUTES = ("/v1/rank", "/v1/rewards", "/v1/exposures", "/v1/outcomes", "/v1/assignments")
DECLARING = ("/v1/surfaces/s", "/v1/policies/p", "/v1/experiments/e", "/v1/metrics/m")
OTHERS = (
    "/s/personalizer/personalizer/v1.0/rank",
    "/personalizer/v1.0/events/e/reward",
    "/ofrep/v1/evaluate/flags",
    "/ofrep/v1/evaluate/flags/button",
)
ANSWER_S = 30.0
JSON = "application/json"
CLOSE = b"connection: close\r\n\r\n"


class Sent(NamedTuple):
    """What is sent on one connection.

    Attributes:
        pieces: Sent one after the other, as far as the service takes them.
        whole: It is a request as far as it goes, so that there must be an answer.
    """

    name: str
    pieces: tuple[bytes, ...]
    whole: bool = True


class Got(NamedTuple):
    """What came back.

    Attributes:
        statuses: Of every answer; empty if the connection was closed without one.
        late: Nothing came in time, and the connection stayed open.
    """

    sent: Sent
    statuses: tuple[int, ...]
    late: bool


def send(port: int, sent: Sent, answer_s: float = ANSWER_S) -> Got:
    """Send it on a connection of its own, and read until the service closes it."""
    received, late = b"", False
    with socket.create_connection(("127.0.0.1", port), timeout=answer_s) as connection:
        try:
            for piece in sent.pieces:
                connection.sendall(piece)
            if not sent.whole:  # else it may be taken for a client that has gone
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has heard enough, and may have said so
        try:
            while data := connection.recv(65_536):
                received += data
        except TimeoutError:
            late = True
        except OSError:
            pass
    return Got(sent, tuple(_statuses(received)), late)


def _statuses(received: bytes) -> Iterator[int]:
    for part in received.split(b"HTTP/1.")[1:]:
        words = part.split(b" ", 2)
        if len(words) > 1 and words[1].isdigit():
            yield int(words[1])


def request(
    path: str,
    body: bytes,
    *headers: str,
    method: str = "POST",
    content_type: str = JSON,
    length: int | None = None,
) -> bytes:
    """A request with a length that may be a lie."""
    head = [
        f"{method} {path} HTTP/1.1",
        "host: localhost",
        "connection: close",
        f"content-type: {content_type}",
        *headers,
    ]
    if not any(one.lower().startswith("transfer-encoding") for one in headers):
        head.append(f"content-length: {len(body) if length is None else length}")
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def chunked(*chunks: bytes) -> bytes:
    """A chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"


def rank(context: bytes = b"{}", features: bytes = b"{}", rest: bytes = b"") -> bytes:
    """A ranking's body with anything in it."""
    return (
        b'{"surface":"home.feed","unit_id":"u","context":%b,"actions":[{"id":"a","features":%b}]%b}'
        % (context, features, rest)
    )


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]", inside: bytes = b"") -> bytes:
    """Brackets in brackets."""
    return opening * depth + inside + closing * depth


DIGITS = b"9" * 5_000
VALUES: dict[str, bytes] = {
    "empty": b"",
    "space": b" \n\t" * 1000,
    "NUL": b"\0",
    "null": b"null",
    "BOM": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "invalid UTF-8": b'"\xff\xfe\xc0\x80"',
    "raw lone surrogate": b'"\xed\xa0\x80"',
    "escaped lone surrogate": b'"\\ud800"',
    "lone surrogate as a name": b'{"\\udfff":"\\ud800x"}',
    "reversed surrogates": b'"\\udc00\\ud800"',
    "half an escape": b'"\\u12"',
    "control character": b'"\x01"',
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "1e39": b"1e39",
    "1e400": b"1e400",
    "-1e-400": b"-1e-400",
    "5,000 digits": DIGITS,
    "5,000 digits after the point": b"0." + DIGITS,
    "exponent of 5,000 digits": b"1e" + DIGITS,
    "minus": b"-",
    "leading zero": b"007",
    "depth 1,000": nested(1_000),
    "depth 100,000": nested(100_000),
    "open depth 100,000": b"[" * 100_000,
    "objects 1,000 deep": nested(1_000, b'{"a":', b"}", b"1"),
    "objects 100,000 deep": nested(100_000, b'{"a":', b"}", b"1"),
    "duplicate keys": b'{"a":1,"a":2,"a":{"a":3,"a":4}}',
    "100,000 keys": b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(100_000)) + b"}",
    "100,000 items": b"[" + b",".join([b"0"] * 100_000) + b"]",
    "1 MB text": b'"' + b"x" * 1_000_000 + b'"',
    "names that collide": b"{" + b",".join(b'"%b":1' % (b"a" * n) for n in range(1, 900)) + b"}",
    "trailing comma": b'{"a":1,}',
    "two values": b"{} {}",
    "a comment": b"{/**/}",
}
"""JSON that is none, or strange; each is sent as a body, and inside of good ones."""


def bodies() -> Iterator[Sent]:
    """Every value as a body of every route, and in every open place of good bodies."""
    for name, value in VALUES.items():
        for path in (*ROUTES, *OTHERS):
            yield Sent(f"{name} to {path}", (request(path, value),))
        for path in DECLARING:
            yield Sent(f"{name} to {path}", (request(path, value, method="PUT"),))
            for field in (b"payload", b"parameters", b"variants", b"rules", b"numeric", b"key"):
                body = b'{"type":"uniform","policy":"random","%b":%b}' % (field, value)
                yield Sent(f"{name} as {field!r} of {path}", (request(path, body, method="PUT"),))
        for place, body in {
            "context": rank(context=value),
            "a member of the context": rank(context=b'{"x":%b}' % value),
            "features": rank(features=value),
            "a feature": rank(features=b'{"x":%b}' % value),
            "slot_features": rank(rest=b',"slot_features":[%b]' % value),
            "event_id": rank(rest=b',"event_id":%b' % value),
            "exclude": rank(rest=b',"exclude":[%b]' % value),
            "slots": rank(rest=b',"slots":%b' % value),
            "an unknown field": rank(rest=b',"x":%b' % value),
        }.items():
            yield Sent(f"{name} as {place}", (request("/v1/rank", body),))
        for field in (b"event_id", b"value", b"slot", b"name", b"token", b"surface"):
            yield Sent(
                f"{name} as {field!r} of a reward",
                (request("/v1/rewards", b'{"event_id":"e","value":1,"%b":%b}' % (field, value)),),
            )
        told = b'{"unit_id":"u","context":%b}' % value
        yield Sent(f"{name} as context of an assignment", (request("/v1/assignments", told),))
        asked = b'{"context":{"targetingKey":"u","country":%b}}' % value
        yield Sent(f"{name} in a flag's context", (request("/ofrep/v1/evaluate/flags", asked),))


def encodings() -> Iterator[Sent]:
    """Content encodings and types."""
    bomb = gzip.compress(b"[" * 50_000_000, 9)
    deflated = zlib.compress(b" " * 50_000_000, 9)
    for path in ROUTES:
        yield Sent(f"gzip bomb to {path}", (request(path, bomb, "content-encoding: gzip"),))
        yield Sent(f"deflate to {path}", (request(path, deflated, "content-encoding: deflate"),))
        for encoding in ("br", "zstd", "gzip, gzip, gzip", "x" * 500, "identity"):
            yield Sent(
                f"encoding {encoding[:20]} to {path}",
                (request(path, b"{}", f"content-encoding: {encoding}"),),
            )
        for kind in (
            "",
            ";",
            "text/html",
            "application/json; charset=utf-16",
            "multipart/form-data",
            "application/x-www-form-urlencoded",
            "application/json" * 300,
            "\xff\xfe",
        ):
            yield Sent(f"type {kind[:20]!r} to {path}", (request(path, rank(), content_type=kind),))


def framings() -> Iterator[Sent]:
    """Lengths and chunks that do not fit."""
    good = rank()
    te = "transfer-encoding: chunked"
    for path in ("/v1/rank", "/v1/exposures"):
        yield Sent(f"too short to {path}", (request(path, good, length=len(good) + 50),), False)
        yield Sent(f"too long to {path}", (request(path, good, length=10),))
        yield Sent(f"no body to {path}", (request(path, b"", length=0),))
        for length in ("-1", "1e3", "0x10", "9" * 40, "5, 5", "", "+5", "١"):
            head = request(path, good, f"content-length: {length}".encode().decode("latin-1"))
            yield Sent(f"length {length[:9]} and another to {path}", (head,), False)
        whole = request(path, chunked(good), te)
        yield Sent(f"chunks to {path}", (whole,))
        by_byte = chunked(*(bytes([byte]) for byte in good))
        yield Sent(f"a byte a chunk to {path}", (request(path, by_byte, te),))
        for name, body in {
            "no last chunk": chunked(good)[:-5],
            "size that is none": b"zz\r\n{}\r\n0\r\n\r\n",
            "negative size": b"-1\r\n{}\r\n0\r\n\r\n",
            "huge size": b"ffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
            "size of another": b"5\r\n{}\r\n0\r\n\r\n",
            "extension": b"2;" + b"x" * 10_000 + b"\r\n{}\r\n0\r\n\r\n",
            "endless extension": b"2;" + b"x" * 300_000 + b"\r\n{}\r\n0\r\n\r\n",
            "trailers": b"2\r\n{}\r\n0\r\nx: y\r\ncontent-length: 5\r\n\r\n",
        }.items():
            yield Sent(f"chunks with {name} to {path}", (request(path, body, te),), False)
        both = request(path, chunked(good), te, f"content-length: {len(good)}")
        yield Sent(f"length and chunks to {path}", (both,), False)
        for coding in (
            "gzip, chunked",
            "chunked, chunked",
            "identity",
            "xchunked",
            "chunked, gzip",
        ):
            coded = request(path, chunked(good), f"transfer-encoding: {coding}")
            yield Sent(f"coding {coding} to {path}", (coded,), False)
        yield Sent(f"3 MB to {path}", (request(path, b" " * 3_000_000),))
        yield Sent(
            f"3 MB in chunks to {path}", (request(path, chunked(*[b" " * 1_000] * 3_000), te),)
        )
        yield Sent(f"a lie of 1 TB to {path}", (request(path, good, length=10**12),), False)
        expect = request(path, good, "expect: 100-continue")
        yield Sent(f"expecting to {path}", (expect,))
        yield Sent(
            f"expecting the unheard-of to {path}", (request(path, good, "expect: magic"),), False
        )
        pipelined = request(path, good).replace(b"connection: close\r\n", b"") * 30
        yield Sent(f"30 at once to {path}", (pipelined + request(path, good),))


def heads() -> Iterator[Sent]:
    """Request lines and headers."""
    good = rank()
    for name, first in {
        "no version": b"POST /v1/rank\r\n\r\n",
        "HTTP/0.9": b"GET /\r\n",
        "HTTP/3": b"POST /v1/rank HTTP/3.0\r\nhost: x\r\n\r\n",
        "HTTP/2 by knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "lower case": b"post /v1/rank HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        "noise": bytes(range(256)) * 20,
        "newlines": b"\r\n" * 5_000,
        "a long method": b"X" * 50_000 + b" / HTTP/1.1\r\nhost: x\r\n\r\n",
        "no host": b"GET /health/live HTTP/1.1\r\nconnection: close\r\n\r\n",
        "two hosts": b"GET /health/live HTTP/1.1\r\nhost: a\r\nhost: b\r\n" + CLOSE,
        "folded header": b"GET /health/live HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\n\r\n",
        "space before the colon": b"GET /health/live HTTP/1.1\r\nhost : a\r\n\r\n",
        "bare newlines": b"GET /health/live HTTP/1.1\nhost: a\nconnection: close\n\n",
        "half a head": b"POST /v1/rank HTTP/1.1\r\nhost: a\r\n",
        "a full address": b"GET http://x/health/live HTTP/1.1\r\nhost: a\r\n" + CLOSE,
        "a star": b"OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "CONNECT": b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\nconnection: close\r\n\r\n",
        "TRACE": b"TRACE /v1/rank HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "upgrade": b"GET /v1/rank HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\n"
        b"upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: eA==\r\n\r\n",
        "upgrade to h2c": b"GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: upgrade, close\r\n"
        b"upgrade: h2c\r\n\r\n",
    }.items():
        yield Sent(name, (first,), whole=False)
    for name, headers in {
        "a header of 60 kB": ("x: " + "y" * 60_000,),
        "a header of 1 MB": ("x: " + "y" * 1_000_000,),
        "90 headers": tuple(f"x-{n}: y" for n in range(90)),
        "10,000 headers": tuple(f"x-{n}: y" for n in range(10_000)),
        "a name of 60 kB": ("x" * 60_000 + ": y",),
        "Latin-1": ("x: \xff\xfe", "bandit-author: \xe9\xff"),
        "a NUL": ("x: a\0b",),
        "authorization": ("authorization: Bearer \xff" + "x" * 5_000, "authorization: Basic ?"),
        "cookies": ("cookie: " + "a=b; " * 5_000,),
        "if-match": ('if-match: "99999999999999999999999999"', "if-none-match: \xff"),
        "x-bandit-surface": ("x-bandit-surface: ../../\xff",),
        "traceparent": ("traceparent: 00-zz-\xff-01", "baggage: " + "a=b," * 3_000),
    }.items():
        yield Sent(name, (request("/v1/rank", good, *headers),), whole=False)
        spec = b'{"salt":"x"}'
        yield Sent(f"{name} (PUT)", (request("/v1/layers/l", spec, *headers, method="PUT"),), False)
    for name, path in {
        "1 kB": "/" + "x" * 1_000,
        "60 kB": "/" + "x" * 60_000,
        "100 kB": "/" + "x" * 100_000,
        "escapes": "/v1/surfaces/%00%ff%fe%c0%80/history",
        "half escapes": "/v1/surfaces/%/%1/%zz",
        "dots": "/v1/../../../etc/passwd",
        "slashes": "//v1////rank//",
        "a query of 50 kB": "/v1/reports/surfaces/home.feed?" + "a=b&" * 12_000,
        "query bytes": "/v1/reports/surfaces/home.feed?at_ms=%ff&alpha=nan&surface_version=1e400",
        "alpha": "/v1/reports/overview?alpha=1e-320",
        "alpha 0": "/v1/reports/surfaces/home.feed?alpha=0",
        "alpha inf": "/v1/reports/experiments/button?alpha=inf",
        "at_ms": "/v1/reports/surfaces/home.feed?at_ms=" + "9" * 5_000,
        "limit": "/v1/surfaces/home.feed/catalogue?limit=99999999999999999999&after=%00%ff",
        "version": "/v1/surfaces/home.feed?version=9223372036854775807",
        "event": "/v1/decisions/%ff%00",
        "event of 5 kB": "/v1/decisions/" + "0" * 5_000 + "/replay",
        "semicolons": "/v1/surfaces;x=y/home.feed;jsessionid=1",
        "raw bytes": "/v1/surfaces/\xff\xfe",
        "quotes": "/v1/surfaces/'%20OR%201=1--",
    }.items():
        yield Sent(f"path: {name}", (request(path, b"", method="GET"),), whole=False)


def slow() -> Iterator[Sent]:
    """Many pieces; the pauses are the service's own, for each is awaited by the kernel."""
    whole = request("/v1/rank", rank())
    yield Sent("a byte at a time", tuple(bytes([byte]) for byte in whole))
    cut = request("/v1/rewards", b'{"event_id":"e","value":1}')
    yield Sent("head and body apart", (cut[:-26], cut[-26:]))


def everything() -> Iterator[Sent]:
    """The whole corpus."""
    yield from bodies()
    yield from encodings()
    yield from framings()
    yield from heads()
    yield from slow()


def faults(got: Got) -> list[str]:
    """What must not come back."""
    name = got.sent.name
    found = [f"{name}: answered {status}" for status in got.statuses if status >= 500]
    if got.late:
        found.append(f"{name}: no answer, and the connection stays open")
    elif got.sent.whole and not got.statuses:
        found.append(f"{name}: no answer")
    return found
