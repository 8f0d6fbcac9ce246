"""What every request passes first: load is shed here, and slow senders are given up.

Requests that would only add to a queue are refused at once, so that those which are let in are
answered in time. It stands outside of Litestar, whose routing costs more than a refusal.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from litestar import Litestar
from litestar.exceptions import HTTPException

from api.personalizer_errors import personalizer_error
from api.problems import MEDIA_TYPE, Problem, headers_of, problem_of

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answer = Callable[[Any, Receive, Send], Awaitable[None]]

WAIT_S = 0.010
"""Work of the event loop that may wait: what is let in is begun within that time."""
LEAST, MOST = 8, 256
"""Bounds of how many requests that is, however long one takes."""
LAGS_N = 5
"""The shortest of so many waits tells whether requests queue, or something held them up once."""
ENOUGH_N = 50
"""So many requests tell how long one takes."""
SLOW_N = 16
"""Requests that may be in threads or wait for one: reports, replays, definitions, catalogues."""
SENDING_S = 10.0
"""So long a request of the event loop may take, which is to say: sending it."""
UPLOADING_S = 60.0
"""The same for what is changed by PUT and PATCH, which may be many megabytes."""
TICK_S = 0.1
"""Who is inside for longer waits for the client or the disk, and not for the event loop."""
BODIES_BYTES = 64 * 2**20
"""Bodies that may be on their way together; those that fit into one read are not counted."""
ONE_READ_BYTES = 65_536
UNTOLD_BYTES = 2 * 2**20
"""What a body counts that does not say how long it is."""
FREE = ("/health/", "/metrics", "/schema")
CLOSE = (b"connection", b"close")


class Gate:
    """Lets as many requests into the event loop as it gets done within `WAIT_S`.

    It counts who is inside, without those that wait for something else. How many that may be is
    the lesser of two: `WAIT_S` ÷ what one takes, which is the processor time of the event loop's
    thread ÷ the requests that were done in it; and, for when others have the processors, what makes
    the event loop's own waits as short as `WAIT_S` while requests are refused.
    """

    def __init__(self, thread_time_s: Callable[[], float]) -> None:
        """Let the most in, until it is known what a request takes.

        Args:
            thread_time_s: Processor time that the calling thread has used.
        """
        self.limit = MOST
        self.inside: dict[asyncio.Task[None], int] = {}
        self.slow: dict[asyncio.Task[None], int] = {}
        self.given_up: set[asyncio.Task[None]] = set()
        self._refused_n = 0
        self._thread_time_s = thread_time_s
        self._ticks_n = 0
        self._done_n = 0
        self._since_s: float | None = None
        self._by_work = self._by_lag = MOST
        self._lags_s: list[float] = []

    def is_full(self) -> bool:
        """Whether one more has to be refused, which is remembered."""
        if len(self.inside) < self.limit:
            return False
        self._refused_n += 1
        return True

    def enter(self, task: "asyncio.Task[None]") -> None:
        """Let a request in."""
        self.inside[task] = self._ticks_n

    def leave(self, task: "asyncio.Task[None]") -> None:
        """Let it out, however it went."""
        self._done_n += 1
        if self.inside.pop(task, None) is None:
            self.slow.pop(task, None)

    def tick(self, lag_s: float) -> None:
        """Take the slow ones out of the count, give up the slowest, and learn; every `TICK_S`.

        Args:
            lag_s: How much later than it should be this is, since something else had its turn.
        """
        self._ticks_n += 1
        for task, entered in list(self.inside.items()):
            if self._ticks_n - entered <= 1:
                break
            self.slow[task] = self.inside.pop(task)
        for task, entered in list(self.slow.items()):
            if (self._ticks_n - entered) * TICK_S <= SENDING_S:
                break
            del self.slow[task]
            self.given_up.add(task)
            task.cancel()
        self._learn_work()
        self._learn_lag(lag_s)
        self.limit = min(self._by_work, self._by_lag)

    def _learn_lag(self, lag_s: float) -> None:
        self._lags_s.append(lag_s)
        if len(self._lags_s) < LAGS_N:
            return
        wait_s, refused_n, self._refused_n = min(self._lags_s), self._refused_n, 0
        self._lags_s.clear()
        if wait_s > WAIT_S and refused_n:
            self._by_lag = max(LEAST, int(self.limit * max(0.5, WAIT_S / wait_s)))
        else:
            self._by_lag = min(MOST, self._by_lag + self._by_lag // 4)

    def _learn_work(self) -> None:
        if self._since_s is None:
            self._since_s, self._done_n = self._thread_time_s(), 0
        elif self._done_n >= ENOUGH_N:
            now_s = self._thread_time_s()
            each_s = (now_s - self._since_s) / self._done_n
            self._by_work = max(LEAST, int(WAIT_S / max(each_s, WAIT_S / MOST)))
            self._since_s, self._done_n = now_s, 0


class Door:
    """An ASGI application around the one that answers."""

    def __init__(
        self,
        application: Litestar,
        *,
        gate: Gate,
        count: Callable[[Problem], None],
    ) -> None:
        """Stand before an application.

        Args:
            application: Answers what is let in.
            gate: Of the requests that the event loop works on.
            count: Told of every problem that is answered here.
        """
        self.is_closing = False
        """Whether clients are told to go on elsewhere."""
        self._application: Any = application  # its types and ours of ASGI differ
        self._gate = gate
        self._count = count
        self._slow_n = 0
        self._bodies_bytes = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Start the application; requests can be answered until the block ends."""
        async with self._application.lifespan():
            ticking = asyncio.create_task(self._tick())
            try:
                yield
            finally:
                ticking.cancel()

    @property
    def inside_n(self) -> int:
        """Requests that were let in and not answered yet."""
        return len(self._gate.inside) + len(self._gate.slow) + self._slow_n

    def __call__(self, scope: Any, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer a request."""
        if self.is_closing:
            send = _saying_goodbye(send)
        if scope["method"] == "POST":
            if self._gate.is_full():
                return self._refuse(_too_many(len(self._gate.inside)), scope, send)
            size = body_bytes(scope["headers"])
            if size > ONE_READ_BYTES:
                return self._large(size, self._in_loop, scope, receive, send)
            return self._in_loop(scope, receive, send)
        if scope["path"].startswith(FREE):
            passed: Awaitable[None] = self._application(scope, receive, send)
            return passed
        if self._slow_n >= SLOW_N:
            return self._refuse(_too_many(self._slow_n), scope, send)
        if scope["method"] in ("PUT", "PATCH"):
            return self._large(body_bytes(scope["headers"]), self._in_thread, scope, receive, send)
        return self._in_thread(scope, receive, send)

    async def _in_loop(self, scope: Any, receive: Receive, send: Send) -> None:
        task, gate = asyncio.current_task(), self._gate
        assert task is not None
        gate.enter(task)
        try:
            await self._application(scope, receive, send)
        except asyncio.CancelledError:
            if task not in gate.given_up:
                raise
            gate.given_up.discard(task)
            task.uncancel()
            await self._refuse(_too_slow(SENDING_S), scope, send)
        finally:
            gate.leave(task)

    async def _in_thread(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["method"] in ("PUT", "PATCH"):
            receive = _Upload(receive).receive
        self._slow_n += 1
        try:
            await self._application(scope, receive, send)
        finally:
            self._slow_n -= 1

    async def _large(
        self, size: int, answer: Answer, scope: Any, receive: Receive, send: Send
    ) -> None:
        """Answer a request with a large body, if there is room for it."""
        if self._bodies_bytes + size > BODIES_BYTES and self._bodies_bytes:
            await self._refuse(_no_room(self._bodies_bytes), scope, send)
            return
        self._bodies_bytes += size
        try:
            await answer(scope, receive, send)
        finally:
            self._bodies_bytes -= size

    async def _refuse(self, exc: HTTPException, scope: Any, send: Send) -> None:
        problem = problem_of(exc)
        self._count(problem)
        is_theirs = "/personalizer/" in scope["path"]
        body = msgspec.json.encode(personalizer_error(problem) if is_theirs else problem)
        headers = headers_of(exc, problem) | {
            "content-type": "application/json" if is_theirs else MEDIA_TYPE
        }
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": problem.status, "headers": raw})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            self._gate.tick(loop.time() - due_s)


class _Upload:
    """A request's body that must have come within a time."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._end_s = asyncio.get_running_loop().time() + UPLOADING_S

    async def receive(self) -> Message:
        """The next piece.

        Raises:
            HTTPException: 408, once the time is over.
        """
        try:
            async with asyncio.timeout_at(self._end_s):
                message = await self._receive()
        except TimeoutError:
            raise _too_slow(UPLOADING_S) from None
        if not message.get("more_body"):
            self._end_s = float("inf")  # what is waited for now is that the client goes away
        return message


def body_bytes(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """How long a body is, as far as its headers tell.

    >>> body_bytes([(b"host", b"x"), (b"content-length", b"17")])
    17
    """
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            return int(value)
        if name == b"transfer-encoding":
            return UNTOLD_BYTES
    return 0


def _saying_goodbye(send: Send) -> Send:
    """Answers that close their connection."""

    async def say(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), CLOSE]}
        await send(message)

    return say


def _too_many(n: int) -> HTTPException:
    return HTTPException(
        status_code=503, detail=f"{n} requests are waiting already, must be asked later"
    )


def _no_room(size: int) -> HTTPException:
    return HTTPException(
        status_code=503, detail=f"{size} bytes are being received already, must be sent later"
    )


def _too_slow(limit_s: float) -> HTTPException:
    return HTTPException(
        status_code=408,
        detail=f"the request was not complete after {limit_s:g} s, must be sent faster",
        headers={"connection": "close"},
    )
