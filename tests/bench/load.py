"""Load on loopback: closed loop with wrk, open loop with plain sockets."""

import asyncio
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple


class Closed(NamedTuple):
    """Result of one closed-loop run."""

    rate: float
    """Requests per second that got what they asked for."""
    errors_n: int
    p50_ms: float
    p99_ms: float


def closed_loop(port: int, script: Path, *, seconds: int, connections: int = 16) -> Closed:
    """Saturate `POST /v1/rank` with wrk: every connection sends as soon as it has its answer."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed for this benchmark: apt-get install wrk")
    done = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "-s",
            script,
            f"http://127.0.0.1:{port}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    requests, micros, errors, p50_us, p99_us = (float(word) for word in line.split()[1:])
    return Closed((requests - errors) / (micros / 1e6), int(errors), p50_us / 1000, p99_us / 1000)


async def open_loop(
    port: int, payloads: list[bytes], *, rate: float, seconds: float, connections: int = 64
) -> list[float]:
    """Send at a fixed pace whatever the answers do; latencies in ms, counted from the planned time.

    Counting from the planned time is what keeps a stall from hiding the requests behind it.
    """
    requests = [
        b"POST /v1/rank HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
        for body in payloads
    ]
    total = int(rate * seconds)
    latencies: list[float] = []
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    start = time.perf_counter() + 0.1

    async def one(index: int) -> None:
        reader, writer = await free.get()
        writer.write(requests[index % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        latencies.append((time.perf_counter() - (start + index / rate)) * 1000)
        free.put_nowait((reader, writer))

    tasks: set[asyncio.Task[None]] = set()
    for index in range(total):
        delay = start + index / rate - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        task = asyncio.create_task(one(index))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    while not free.empty():
        free.get_nowait()[1].close()
    return latencies
