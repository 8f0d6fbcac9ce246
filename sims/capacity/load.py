"""Plain sockets that ask for measurements: as little of the client's own time as Python can do."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

REST_S = 0.005
"""Of a client that was told to come back later."""


class Asked(NamedTuple):
    """What came of a stretch of load.

    Attributes:
        n: Answered requests.
        seconds: It took.
        taken_ms: Latency of each.
        answer: The last body.
    """

    n: int
    seconds: float
    taken_ms: list[float]
    answer: bytes


class BadAnswer(RuntimeError):
    """The service did not accept a request of a measurement."""


def request_of(path: str, body: bytes) -> bytes:
    """A request as it goes over the wire."""
    return (
        b"POST %b HTTP/1.1\r\nhost: capacity\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (path.encode(), len(body), body)
    )


class Line:
    """One connection, for one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "Line":
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> bytes | None:
        """The body of the answer; None if the service has too much to do.

        Raises:
            BadAnswer: It is neither 2xx nor 503.
        """
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        if head[9:12] == b"503":
            return None
        if head[9:10] != b"2":
            raise BadAnswer(f"{head.splitlines()[0]!r} {body[:300]!r}")
        return body

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def closed(
    port: int,
    requests: Sequence[bytes],
    *,
    seconds: float,
    connections: int,
    every: Callable[[bytes], None] | None = None,
) -> Asked:
    """Every connection asks as soon as it has its answer."""
    loop = asyncio.get_running_loop()
    lines = [await Line.open(port) for _ in range(connections)]
    begin_s = loop.time()
    end_s, taken, last, at = begin_s + seconds, [], b"", iter(range(10**9))

    async def go(line: Line) -> None:
        nonlocal last
        while (sent_s := loop.time()) < end_s:
            answer = await line.ask(requests[next(at) % len(requests)])
            if answer is None:
                await asyncio.sleep(REST_S)
                continue
            last = answer
            taken.append((loop.time() - sent_s) * 1000.0)
            if every is not None:
                every(last)

    await asyncio.gather(*map(go, lines))
    for line in lines:
        line.close()
    return Asked(len(taken), loop.time() - begin_s, taken, last)


async def open_loop(
    port: int, requests: Sequence[bytes], *, rate: float, seconds: float, seed: int = 1
) -> Asked:
    """Poisson arrivals, whatever the answers do; latencies count from the planned moment."""
    loop, rng = asyncio.get_running_loop(), random.Random(seed)
    free: list[Line] = [await Line.open(port) for _ in range(32)]
    begin_s = loop.time() + 0.05
    taken: list[float] = []
    last = b""

    async def go(request: bytes, planned_s: float) -> None:
        nonlocal last
        line = free.pop() if free else await Line.open(port)
        answer = await line.ask(request)
        free.append(line)
        if answer is not None:
            last = answer
            taken.append((loop.time() - planned_s) * 1000.0)

    tasks: set[asyncio.Task[None]] = set()
    planned_s, number = begin_s + rng.expovariate(rate), 0
    while planned_s < begin_s + seconds:
        delay_s = planned_s - loop.time()
        if delay_s > 0.0:
            await asyncio.sleep(delay_s)
        task = asyncio.create_task(go(requests[number % len(requests)], planned_s))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        planned_s, number = planned_s + rng.expovariate(rate), number + 1
    await asyncio.gather(*tasks)
    for line in free:
        line.close()
    return Asked(len(taken), seconds, taken, last)
