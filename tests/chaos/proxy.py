"""An HTTP proxy between the service and ClickHouse that misbehaves on command."""

import asyncio
import random
import socket
import threading
from contextlib import suppress
from typing import NamedTuple


class Fault(NamedTuple):
    """What happens to requests while it holds; the default is nothing."""

    refuse: bool = False
    """Hang up on whoever connects."""
    delay_s: float = 0.0
    """Each insert waits so long before it is passed on."""
    codes: tuple[int, ...] = ()
    """Requests are answered 500, or with one of these ClickHouse exceptions (0: a bare 500)."""
    reset_after: bool = False
    """Inserts are passed on and committed; then the connection is reset instead of an answer."""
    share: float = 1.0
    """Of the requests that it concerns."""


_NAMES = {252: "TOO_MANY_PARTS", 241: "MEMORY_LIMIT_EXCEEDED", 243: "NOT_ENOUGH_SPACE"}


class Proxy:
    """Listens on a port of its own, in a thread of its own."""

    def __init__(self, upstream_port: int, rng: random.Random) -> None:
        self.fault = Fault()
        self.faulted_n = 0
        """How many requests got a fault."""
        self._upstream_port = upstream_port
        self._rng = rng
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        self._loop.run_until_complete(asyncio.start_server(self._serve, sock=self._socket))
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            if self.fault.refuse:
                self.faulted_n += 1
                writer.transport.abort()
                return
            head = await reader.readuntil(b"\r\n\r\n")
            body = await _body(reader, head)
            answer = await self._answer(head, body)
            if answer is None:
                _reset(writer)
                return
            writer.write(answer)
            await writer.drain()
        with suppress(OSError):
            writer.close()

    async def _answer(self, head: bytes, body: bytes) -> bytes | None:
        """The bytes to send back; None to reset the connection."""
        fault, is_insert = self.fault, b"INSERT" in head or b"INSERT" in body[:200]
        if self._rng.random() >= fault.share:
            fault = Fault()
        if fault.codes:
            self.faulted_n += 1
            return _exception(self._rng.choice(fault.codes))
        if is_insert and fault.delay_s:
            self.faulted_n += 1
            await asyncio.sleep(fault.delay_s)
        answer = await self._pass_on(head, body)
        if is_insert and fault.reset_after:
            self.faulted_n += 1
            return None
        return answer

    async def _pass_on(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        try:
            first, *lines = head.rstrip(b"\r\n").split(b"\r\n")
            kept = [line for line in lines if not line.lower().startswith(b"connection:")]
            writer.write(b"\r\n".join([first, *kept, b"connection: close", b"", b""]) + body)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """The body as it came, chunked or not."""
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        parts = []
        while True:
            size = await reader.readuntil(b"\r\n")
            parts += [size, await reader.readexactly(int(size, 16) + 2)]
            if int(size, 16) == 0:
                return b"".join(parts)
    if b"content-length:" in lower:
        return await reader.readexactly(int(lower.split(b"content-length:")[1].split(b"\r\n")[0]))
    return b""


def _exception(code: int) -> bytes:
    """ClickHouse's way to refuse."""
    text = f"Code: {code}. DB::Exception: chaos. ({_NAMES[code]})\n".encode() if code else b"chaos"
    said = b"x-clickhouse-exception-code: %d\r\n" % code if code else b""
    return (
        b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: %d\r\n%bconnection: close\r\n\r\n%b"
        % (len(text), said, text)
    )


def _reset(writer: asyncio.StreamWriter) -> None:
    """Hang up so that the other side sees ECONNRESET."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()
