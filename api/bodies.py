"""Request bodies: read up to a limit, and decoded strictly, so that bad ones are always a 4xx.

Litestar's own decoding answers 500 for JSON nested a thousand deep and for bytes that are no UTF-8,
takes any content type, and converts laxly (`"1"` becomes 1); so every JSON body goes through here.
"""

import re
from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.exceptions import HTTPException, InternalServerException
from litestar.types import HTTPScope, Receive

from bandit.errors import RecordError

T = TypeVar("T")
SHOWN_BYTES = 65_536
"""Of a larger body the wrong value is not looked up for its error message."""
_STEP = re.compile(r"\.([A-Za-z0-9_]+)|\[(\d+)\]")


class BadBody(RecordError):
    """A request body that breaks a rule."""

    def __init__(self, message: str, *, found: str | None = None) -> None:
        super().__init__(message)
        self.found = found


async def read_json_body(scope: HTTPScope, receive: Receive, max_bytes: int) -> bytes:
    """Read the body of a request that must be JSON.

    Raises:
        HTTPException: It is larger than `max_bytes`, ends early, or its content type is another.
    """
    for name, value in scope["headers"]:
        if name == b"content-type":
            if value != b"application/json":
                require_json(value.decode("latin-1"))
            break
    else:
        require_json("")
    message = await receive()
    body: bytes = message.get("body", b"")  # type: ignore[assignment]
    if len(body) > max_bytes:
        raise too_large(max_bytes)
    if not message.get("more_body"):
        if message["type"] == "http.disconnect":
            raise cut_short()
        return body
    chunks, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise cut_short()
        body = message.get("body", b"")  # type: ignore[assignment]
        chunks.append(body)
        size += len(body)
        if size > max_bytes:
            raise too_large(max_bytes)
    return b"".join(chunks)


def require_json(content_type: str) -> None:
    """Refuse a content type that is not JSON.

    Raises:
        HTTPException: 415.
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(
            status_code=415,
            detail=f"content type is {content_type[:100]!r}, must be 'application/json'",
        )


def too_large(max_bytes: int | None) -> HTTPException:
    """The error of a body over the limit."""
    return HTTPException(
        status_code=413, detail=f"body is too large, must be at most {max_bytes} bytes"
    )


def cut_short() -> HTTPException:
    """The error of a body that ends before it is whole; what came may look whole all the same."""
    return HTTPException(
        status_code=400, detail="body ended early, must be as long as the request says it is"
    )


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode a body.

    Raises:
        BadBody: It is no JSON, or breaks a rule; the message says which, and where.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as exc:
        raise BadBody(str(exc), found=_found(body, str(exc))) from exc
    except msgspec.DecodeError as exc:
        raise BadBody(f"body is no JSON ({exc}), must be one JSON value") from exc
    except UnicodeDecodeError as exc:
        raise BadBody(f"body holds bytes that are no UTF-8 ({exc.reason}), must be UTF-8") from exc
    except RecursionError as exc:
        raise BadBody("body is nested too deeply, must be a few levels deep") from exc


def _found(body: bytes, error: str) -> str | None:
    """What the body holds at the place that an error names, shortened."""
    place = re.search(r" - at `(\$[^`]*)`$", error)
    if place is None or len(body) > SHOWN_BYTES:
        return None
    try:
        found = msgspec.json.decode(body)
        for name, index in _STEP.findall(place[1]):
            found = found[name] if name else found[int(index)]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return msgspec.json.encode(found)[:100].decode(errors="replace")


class JsonRequest(Request[Any, Any, Any]):
    """A request whose JSON body is decoded strictly into the type that its handler declares."""

    async def json(self) -> Any:
        """The body, decoded; raises what `decode` and `require_json` raise."""
        require_json(self.headers.get("content-type", ""))
        field = self.route_handler.parsed_data_field
        assert field is not None, "only handlers that declare `data` read a body"
        return decode(_decoder(field.annotation), self.prepare(await self.body()))

    async def body(self) -> bytes:
        """The body; an error says how large it may be, or that it ended early."""
        try:
            return await super().body()
        except InternalServerException as exc:  # Litestar's word for a client that went away
            raise cut_short() from exc
        except HTTPException as exc:
            if exc.status_code != 413:
                raise
            raise too_large(self.route_handler.resolve_request_max_body_size()) from exc

    def prepare(self, body: bytes) -> bytes:
        """What is decoded; the body as it came."""
        return body


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def _decoder(annotation: Any) -> msgspec.json.Decoder[Any]:
    if annotation not in _decoders:
        _decoders[annotation] = msgspec.json.Decoder(annotation)
    return _decoders[annotation]
