"""One HTTP request and its response, over ASGI."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from bandit.store.gateway.compression import too_large
from bandit.store.gateway.refusal import Refusal

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[str, str]]

_CONTENT_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
}


class Budget:
    """Bytes of request bodies that may be held at once, over all clients."""

    def __init__(self, limit_bytes: int) -> None:
        self.left_bytes = limit_bytes

    def take(self, size: int) -> None:
        """Hold `size` more bytes.

        Raises:
            Refusal: There is no room now; later there may be (241, HTTP 503).
        """
        if size > self.left_bytes:
            raise Refusal(
                241, "MEMORY_LIMIT_EXCEEDED", "the bodies of all requests are too large now", 503
            )
        self.left_bytes -= size


class ClientGone(Exception):
    """The client hung up before it had sent its request."""


class Exchange:
    """Reads the request, writes the response, notices when the client hangs up."""

    def __init__(
        self, scope: Message, receive: Receive, send: Send, budget: Budget, *, idle_s: float
    ) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query_string: bytes = scope["query_string"]
        self.headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        self.query_id = ""
        self.timezone = "UTC"
        self._receive = receive
        self._send = send
        self._idle_s = idle_s
        self._budget = budget
        self._held_bytes = 0
        self._hang_up: asyncio.Task[None] | None = None
        self._body_ended = False
        self.has_started = False

    async def body(self, max_bytes: int) -> bytes:
        """The whole body.

        Raises:
            Refusal: It is over `max_bytes` (229), or the client stalls (209).
            ClientGone: The client hung up.
        """
        length = self.headers.get("content-length", "0")
        if length.isascii() and length.isdigit() and int(length) > max_bytes:
            raise too_large(length, max_bytes)
        parts: list[bytes] = []
        size = 0
        while not self._body_ended:
            parts.append(await self._part())
            size += len(parts[-1])
            if size > max_bytes:
                raise too_large(f"more than {max_bytes}", max_bytes)
            self.hold(len(parts[-1]))
        return b"".join(parts)

    async def discard_body(self, max_bytes: int) -> None:
        """Take what the client still sends, so that it gets to read our refusal."""
        size = 0
        while not self._body_ended and size < max_bytes:
            size += len(await self._part())

    async def _part(self) -> bytes:
        try:
            async with asyncio.timeout(self._idle_s):
                message = await self._receive()
        except TimeoutError:
            self._body_ended = True
            raise Refusal(
                209, "SOCKET_TIMEOUT", f"request body stalled for {self._idle_s:g} s"
            ) from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        self._body_ended = not message.get("more_body")
        part: bytes = message.get("body", b"")
        return part

    def watch(self) -> asyncio.Task[None]:
        """A task that ends when the client hangs up; only after `body`."""
        if self._hang_up is None:
            self._hang_up = asyncio.ensure_future(self._until_gone())
        return self._hang_up

    def hold(self, size: int) -> None:
        """Take `size` bytes from the budget until `close`."""
        self._budget.take(size)
        self._held_bytes += size

    def close(self) -> None:
        """The response is out, or nobody waits for it."""
        self._budget.left_bytes += self._held_bytes
        self._held_bytes = 0
        if self._hang_up is not None:
            self._hang_up.cancel()

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head of the response."""
        self.has_started = True
        common = [
            ("x-clickhouse-server-display-name", "bandit"),
            ("x-clickhouse-timezone", self.timezone),
        ]
        if self.query_id:
            common.append(("x-clickhouse-query-id", _printable(self.query_id)))
        raw = [(k.encode(), v.encode("latin-1", "replace")) for k, v in (*common, *headers)]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def send(self, data: bytes, *, more: bool) -> None:
        """Send a piece of the response's body.

        Raises:
            ClientGone: The client does not take it.
        """
        try:
            async with asyncio.timeout(self._idle_s):
                await self._send({"type": "http.response.body", "body": data, "more_body": more})
        except TimeoutError:
            raise ClientGone from None

    async def reply(self, status: int, data: bytes, headers: Headers = ()) -> None:
        """Send a whole response."""
        await self.start(status, (("content-length", str(len(data))), *headers))
        await self.send(b"" if self.method == "HEAD" else data, more=False)

    async def refuse(self, refusal: Refusal, version: str) -> None:
        """Send what was wrong, as ClickHouse does."""
        text = refusal.text.rstrip()
        if "(version " not in text[-80:]:
            text += f" (version {version} (chDB))"
        await self.reply(
            refusal.status,
            f"{text}\n".encode(errors="replace"),
            (
                ("content-type", "text/plain; charset=UTF-8"),
                ("x-clickhouse-exception-code", str(refusal.code)),
            ),
        )

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def answer_headers(
    fmt: str | None, summary: dict[str, str] | None, encoding: str | None
) -> list[tuple[str, str]]:
    """Headers of an answer that went well."""
    headers = []
    if summary is not None:
        headers.append(("x-clickhouse-summary", json.dumps(summary)))
    if fmt is not None:
        kind = _CONTENT_TYPES.get(fmt, "application/octet-stream")
        headers += [("x-clickhouse-format", fmt), ("content-type", kind)]
    else:
        headers.append(("content-type", "text/plain; charset=UTF-8"))
    if encoding is not None:
        headers.append(("content-encoding", encoding))
    return headers


def exception_block(refusal: Refusal, tag: str) -> bytes:
    """How an error is told after a 200: clients look for `tag`, which no row can hold by chance.

    Source: ClickHouse, src/Server/HTTP/WriteBufferFromHTTPServerResponse.cpp.
    """
    text = refusal.text.strip().encode(errors="replace")
    mark = tag.encode()
    return (
        b"\r\n__exception__\r\n" + mark + b"\r\n" + text + b"\n"
        + str(len(text) + 1).encode() + b" " + mark + b"\r\n__exception__\r\n"
    )  # fmt: skip


def _printable(text: str) -> str:
    """A client's query id that may travel in a header."""
    return "".join(c if " " <= c <= "~" else "?" for c in text[:200])
