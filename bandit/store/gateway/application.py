"""The gateway as an ASGI application: routes, threads, limits, and an orderly end."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from bandit.store.gateway import request as requests
from bandit.store.gateway.compression import Encoder, choose_encoder, decompress
from bandit.store.gateway.engine import Engine, quote
from bandit.store.gateway.exchange import (
    Budget,
    ClientGone,
    Exchange,
    Message,
    Receive,
    Send,
    answer_headers,
    exception_block,
)
from bandit.store.gateway.refusal import Refusal
from bandit.store.gateway.running import Outcome, Run
from bandit.store.gateway.sessions import Sessions
from bandit.store.gateway.statement import first_word, is_query
from bandit.store.gateway.users import User, authenticate

T = TypeVar("T")
CORRUPTED_DATA = 246


class Bounds(NamedTuple):
    """How much of anything at once."""

    body_bytes: int = 128 << 20
    held_bytes: int = 512 << 20
    """Bodies of all requests together, before and after decompression."""
    read_threads: int = 8
    insert_threads: int = 4
    queue_n: int = 128
    """Requests of one kind that may run or wait; the next one gets a 503 at once."""
    sessions_n: int = 512
    idle_s: float = 60.0
    """How long a client may neither send its body nor take its answer."""


class _Lane:
    """A pool of threads with a bounded queue."""

    def __init__(self, name: str, threads_n: int, queue_n: int) -> None:
        self.pool = ThreadPoolExecutor(threads_n, thread_name_prefix=name)
        self._queue_n = queue_n
        self._name = name
        self.inside_n = 0

    def __enter__(self) -> "_Lane":
        if self.inside_n >= self._queue_n:
            raise Refusal(
                202,
                "TOO_MANY_SIMULTANEOUS_QUERIES",
                f"Too many simultaneous {self._name}. Maximum: {self._queue_n}",
            )
        self.inside_n += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.inside_n -= 1

    def call(self, function: Callable[[], T]) -> "asyncio.Future[T]":
        """Run a function in one of the threads."""
        return asyncio.get_running_loop().run_in_executor(self.pool, function)


class _Job:
    """A run in its lane, until its handle is given back."""

    def __init__(self, lane: _Lane, run: Run, on_end: Callable[[], None]) -> None:
        self.lane = lane
        self.run = run
        self._on_end: Callable[[], None] | None = on_end

    async def end(self) -> None:
        """Give everything back; before the last byte is sent, so that the client may go on."""
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            try:
                if self.run.is_open:
                    await asyncio.shield(self.lane.call(self.run.finish))
            finally:
                on_end()


class Application:
    """ClickHouse's HTTP interface over one engine."""

    def __init__(
        self,
        engine: Engine,
        users: Iterable[User],
        *,
        now_s: Callable[[], float],
        new_id: Callable[[], str],
        bounds: Bounds,
    ) -> None:
        self._engine = engine
        self._users = {user.name: user for user in users}
        self._new_id = new_id
        self._bounds = bounds
        self._sessions = Sessions(engine, now_s=now_s, limit=bounds.sessions_n)
        self._reads = _Lane("queries", bounds.read_threads, bounds.queue_n)
        self._inserts = _Lane("inserts", bounds.insert_threads, bounds.queue_n)
        # KILL QUERY must not wait behind what it is to kill.
        self._control = _Lane("commands", 2, bounds.queue_n)
        self._budget = Budget(bounds.held_bytes)
        self._running: set[str] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self.damaged = asyncio.Event()
        """A part of a table turned out to be damaged. The engine sets such parts aside when it
        starts, and takes up again those it was merged from; while it runs it only fails."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send, self._budget, idle_s=self._bounds.idle_s)
        exchange.timezone = self._engine.timezone
        try:
            await self._route(exchange)
        except ClientGone:
            pass
        except Exception as exc:
            refusal = exc if isinstance(exc, Refusal) else Refusal.from_engine(exc)
            if refusal.code == CORRUPTED_DATA:
                self.damaged.set()
            await self._refuse(exchange, refusal)
        finally:
            exchange.close()

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> None:
        if exchange.has_started:
            return  # the response stays without an end, which clients take for an error
        with suppress(ClientGone, Refusal):
            await exchange.discard_body(4 * self._bounds.body_bytes)
        with suppress(ClientGone):
            await exchange.refuse(refusal, self._engine.version)

    async def close(self, grace_s: float) -> None:
        """Let what runs finish for `grace_s`, kill the rest, and close every handle.

        What can not be killed within another `grace_s` keeps the engine open: closing it under a
        running statement aborts the process.
        """
        self._closing = True
        if not await self._is_idle_within(grace_s):
            with suppress(Refusal):
                self._engine.kill("1")
            if not await self._is_idle_within(grace_s):
                return
        for lane in (self._reads, self._inserts, self._control):
            lane.pool.shutdown(wait=False, cancel_futures=True)
        self._sessions.close()
        self._engine.close()

    async def _is_idle_within(self, grace_s: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace_s)
        return self._idle.is_set()

    async def _route(self, exchange: Exchange) -> None:
        if exchange.path in ("/ping", "/replicas_status"):
            await exchange.reply(200, b"Ok.\n")
        elif exchange.path != "/":
            await exchange.reply(404, f"There is no handle {exchange.path}\n".encode())
        elif exchange.method not in ("GET", "HEAD", "POST"):
            await exchange.reply(405, b"Only GET, HEAD and POST\n", (("allow", "GET, HEAD, POST"),))
        elif exchange.method != "POST" and not exchange.query_string:
            await exchange.reply(200, b"Ok.\n")
        elif self._closing:
            raise Refusal(236, "ABORTED", "The gateway is stopping", 503)
        else:
            await self._statement(exchange)

    async def _statement(self, exchange: Exchange) -> None:
        url = requests.parse_url(exchange.query_string)
        user = authenticate(self._users, requests.credentials(exchange.headers, url))
        body = await exchange.body(self._bounds.body_bytes)
        if encoding := exchange.headers.get("content-encoding"):
            limit = self._bounds.body_bytes
            body = await self._inserts.call(lambda: decompress(body, encoding, limit))
            exchange.hold(len(body))
        request = requests.decode(
            method=exchange.method,
            headers=exchange.headers,
            url=url,
            body=body,
            user=user.name,
            new_id=self._new_id(),
        )
        if not request.query and not request.body:
            await exchange.reply(200, b"Ok.\n")
            return
        exchange.query_id = request.query_id
        run = Run(self._engine, self._sessions, user, request)
        with self._lane_of(run) as lane:
            self._enter(request.query_id)
            job = _Job(lane, run, lambda: self._leave(request.query_id))
            try:
                outcome = await self._started(job, exchange, request.query_id)
                await _answer(exchange, job, outcome, request.accept_encoding, self._new_id)
            finally:
                await job.end()

    def _lane_of(self, run: Run) -> _Lane:
        if first_word(run.sql) == "KILL":
            return self._control
        return self._inserts if run.is_insert else self._reads

    async def _started(self, job: _Job, exchange: Exchange, query_id: str) -> Outcome:
        """The run's first output; a query nobody waits for any more is killed."""
        # The thread's own future: asyncio's can be cancelled while the thread goes on.
        submitted = job.lane.pool.submit(job.run.start)
        future = asyncio.wrap_future(submitted)
        if not is_query(job.run.sql):
            return await future
        either: set[asyncio.Future[Any]] = {future, exchange.watch()}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        where = f"Settings['log_comment'] = {quote(query_id)}"
        while not submitted.done():
            if submitted.cancel():
                raise ClientGone
            await self._control.call(lambda: self._engine.kill(where))
            await asyncio.wait({future}, timeout=0.2)
        return await future

    def _enter(self, query_id: str) -> None:
        if query_id in self._running:
            raise Refusal(
                216,
                "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
                f"Query with id = {query_id} is already running",
            )
        self._running.add(query_id)
        self._idle.clear()

    def _leave(self, query_id: str) -> None:
        self._running.discard(query_id)
        if not self._running:
            self._idle.set()


async def _answer(
    exchange: Exchange, job: _Job, outcome: Outcome, accept: str, new_id: Callable[[], str]
) -> None:
    chosen = choose_encoder(accept)
    encoding, encoder = chosen or (None, None)
    headers = answer_headers(outcome.format, outcome.answer.summary, encoding)
    if outcome.stream is None:
        data = outcome.answer.data
        if encoder is not None:
            data = await job.lane.call(lambda: encoder.feed(data) + encoder.finish())
        await job.end()
        await exchange.reply(200, data, headers)
        return
    tag = new_id().replace("-", "")[:16]
    await exchange.start(200, (*headers, ("x-clickhouse-exception-tag", tag)))
    await _send_stream(exchange, job, outcome, encoder, tag)


async def _send_stream(
    exchange: Exchange, job: _Job, outcome: Outcome, encoder: Encoder | None, tag: str
) -> None:
    def encoded(data: bytes) -> bytes:
        return data if encoder is None else encoder.feed(data)

    def following() -> bytes | None:
        assert outcome.stream is not None
        piece = outcome.stream.fetch()
        return None if piece is None else encoded(piece)

    gone = exchange.watch()
    piece: bytes | None = await job.lane.call(lambda: encoded(outcome.first or b""))
    last = b""
    while piece is not None and not gone.done():
        if piece:
            await exchange.send(piece, more=True)
        try:
            piece = await job.lane.call(following)
        except Refusal as refusal:
            piece, last = None, encoded(exception_block(refusal, tag))
    await job.end()
    if not gone.done():
        await exchange.send(last + (encoder.finish() if encoder else b""), more=False)
