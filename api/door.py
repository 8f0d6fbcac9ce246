"""What every request passes first: load is shed here, and slow senders are given up.

Requests that would only add to a queue are refused at once, so that those which are let in are
answered in time. It stands outside of Litestar, whose routing costs more than a refusal.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
from litestar.exceptions import HTTPException

from api.personalizer_errors import personalizer_error
from api.problems import MEDIA_TYPE, Problem, headers_of, problem_of

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]

WAIT_S = 0.010
"""Work of the event loop that may wait: what is let in is begun within that time."""
LEAST, MOST = 8, 256
"""Bounds of how many requests that is, however long one seems to take."""
SLOW_N = 16
"""Requests that may be in threads or wait for one: reports, replays, definitions, catalogues."""
SENDING_S = 10.0
"""So long a request of the event loop may take, which is to say: sending it."""
UPLOADING_S = 60.0
"""The same for what is changed by PUT and PATCH, which may be many megabytes."""
STALE_S = 0.1
"""Who is inside for longer waits for the client or the disk, and not for the event loop."""
FREE = ("/health/", "/metrics", "/schema")
CLOSE = (b"connection", b"close")


class Gate:
    """Lets as many requests into the event loop as it gets done within `WAIT_S`.

    It counts who is inside, without those that wait for something else, and learns what one takes:
    the time that requests were inside ÷ the requests that they found there (themselves included).
    """

    def __init__(self, monotonic_s: Callable[[], float], *, least: int = LEAST) -> None:
        """Let the most in, until it is known what a request takes.

        Args:
            monotonic_s: A clock that never goes back.
            least: So many are let in however long each takes.
        """
        self.monotonic_s = monotonic_s
        self.limit = MOST
        self.inside: dict[asyncio.Task[None], float] = {}
        self.slow: dict[asyncio.Task[None], float] = {}
        self.given_up: set[asyncio.Task[None]] = set()
        self._least = least
        self._taken_s = 0.0
        self._found_n = 0

    def enter(self, task: "asyncio.Task[None]") -> None:
        """Let a request in."""
        self.inside[task] = self.monotonic_s()
        self._found_n += len(self.inside)

    def leave(self, task: "asyncio.Task[None]") -> None:
        """Let it out, however it went."""
        since_s = self.inside.pop(task, None)
        if since_s is not None:
            self._taken_s += self.monotonic_s() - since_s
        elif self.slow:
            self.slow.pop(task, None)

    def tick(self) -> None:
        """Take the slow ones out of the count, give up the slowest, and learn; call it often."""
        now_s = self.monotonic_s()
        for task, since_s in list(self.inside.items()):
            if now_s - since_s < STALE_S:
                break
            self.slow[task] = self.inside.pop(task)
        for task, since_s in list(self.slow.items()):
            if now_s - since_s < SENDING_S:
                break
            del self.slow[task]
            self.given_up.add(task)
            task.cancel()
        if self._found_n:
            each_s = max(self._taken_s / self._found_n, WAIT_S / MOST)
            self.limit = max(self._least, min(MOST, int(WAIT_S / each_s)))
            # An average over the last few hundred milliseconds.
            self._taken_s, self._found_n = self._taken_s / 2, self._found_n // 2


class Door:
    """An ASGI application around the one that answers."""

    def __init__(
        self,
        application: Application,
        *,
        gate: Gate,
        count: Callable[[Problem], None],
        when_ready: Callable[[], None],
    ) -> None:
        """Stand before an application.

        Args:
            application: Answers what is let in.
            gate: Of the requests that the event loop works on.
            count: Told of every problem that is answered here.
            when_ready: Called once the application has started.
        """
        self.is_closing = False
        """Whether clients are told to go on elsewhere."""
        self._application = application
        self._gate = gate
        self._count = count
        self._when_ready = when_ready
        self._slow_n = 0

    def __call__(self, scope: Any, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer a request."""
        if scope["type"] != "http":
            return self._live(scope, receive, send)
        if self.is_closing:
            send = _saying_goodbye(send)
        if scope["method"] == "POST":
            if len(self._gate.inside) >= self._gate.limit:
                return self._refuse(_too_many(len(self._gate.inside)), scope, send)
            return self._in_loop(scope, receive, send)
        if scope["path"].startswith(FREE):
            return self._application(scope, receive, send)
        if self._slow_n >= SLOW_N:
            return self._refuse(_too_many(self._slow_n), scope, send)
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

    async def _live(self, scope: Any, receive: Receive, send: Send) -> None:
        """Pass the application's life on, ticking all the while."""

        async def tell(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self._when_ready()

        ticking = asyncio.create_task(self._tick())
        try:
            await self._application(scope, receive, tell)
        finally:
            ticking.cancel()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(STALE_S)
            self._gate.tick()


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


def _too_slow(limit_s: float) -> HTTPException:
    return HTTPException(
        status_code=408,
        detail=f"the request was not complete after {limit_s:g} s, must be sent faster",
        headers={"connection": "close"},
    )
