"""`python -m tests.chaos.overload`: three times more requests than one worker can answer.

One worker of the real service, `wrk` for the load, and a few requests a second from here, each on
its way at a planned moment, whose latency is counted from that moment. They are what is reported;
of the load itself only how much was answered. Requests name 200 actions of a catalogue: a kilobyte
to send and a millisecond and more to answer, so that three times what a worker can do is little
work for whoever offers it, who shares the processors with it.

As many requests go to a process that only echoes: their latency is what the machine costs (its
scheduler, and ours), and what answers of the worker have on top is the worker's. The service has
one processor, and whoever asks has another.
"""

import argparse
import asyncio
import contextlib
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.bench import services
from tests.bench.bodies import bodies, write_wrk_script
from tests.bench.everything import CATALOGUE, declare_everything
from tests.bench.load import closed_loop

ACTIONS_N = 200
PROBES_PER_S = 40.0
CONNECTIONS = 256
WINDOW_S = 0.5
ECHO = 299
"""Status of an echo, which no service answers."""
PACE = """
local rate = %f
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long us; } now_t; int gettimeofday(now_t *, void *);")
local at, due = ffi.new("now_t"), 0
delay = function()
  ffi.C.gettimeofday(at, nil)
  local now = tonumber(at.s) * 1000 + tonumber(at.us) / 1000
  due = math.max(due, now - 1000) + 1000 / rate
  return math.max(0, due - now)
end
"""
"""A moment for each request, whenever the answers come; what is missed is caught up on for 1 s."""
ERRORS = """
done = function(summary, latency, requests)
  io.write(string.format("RESULT %d %d\\n", summary.requests, summary.errors.status))
end
"""
ECHOING = f"""
import asyncio, contextlib
async def echo(reader, writer):
    with contextlib.suppress(EOFError):
        while head := await reader.readuntil(b"\\r\\n\\r\\n"):
            await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\\r\\n")[0]))
            writer.write(b"HTTP/1.1 {ECHO} Echo\\r\\ncontent-length: 0\\r\\n\\r\\n")
    writer.close()
async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


class Probe(NamedTuple):
    """One request of ours."""

    planned_s: float
    taken_s: float
    status: int


class Stretch(NamedTuple):
    """What a while of load was like."""

    name: str
    offered_per_s: float
    accepted_per_s: float
    probes: list[Probe]
    rss_mb: float

    def quantile_ms(self, share: float, status: int) -> float:
        """Latency of our requests that were answered so; NaN if none was."""
        taken = sorted(p.taken_s for p in self.probes if p.status == status)
        return taken[int(len(taken) * share)] * 1000 if taken else float("nan")


class Line:
    """Connections to one server, each for one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, payload: bytes) -> int:
        """Send a request; the answer's status, 0 if none came."""
        try:
            reader, writer = (
                self._idle.pop()
                if self._idle
                else await asyncio.open_connection("127.0.0.1", self._port)
            )
            writer.write(payload)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        except (OSError, EOFError):
            return 0
        self._idle.append((reader, writer))
        return int(head.split(b" ", 2)[1])


async def probing(ports: Sequence[int], seconds: float) -> list[Probe]:
    """Ask each server at a fixed pace whatever the answers do."""
    payloads = [
        b"POST /v1/rank HTTP/1.1\r\nhost: probe\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
        for body in bodies(ACTIONS_N, surface=CATALOGUE, ids_only=True)
    ]
    go_first()
    lines = [Line(port) for port in ports]
    found: list[Probe] = []

    async def one(line: Line, index: int, planned_s: float) -> None:
        status = await line.ask(payloads[index % len(payloads)])
        found.append(Probe(planned_s, time.monotonic() - planned_s, status))

    began_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for index in range(int(seconds * PROBES_PER_S)):
            for turn, line in enumerate(lines):
                planned_s = began_s + (index + turn / len(lines)) / PROBES_PER_S
                await asyncio.sleep(max(0.0, planned_s - time.monotonic()))
                group.create_task(one(line, index, planned_s))
    return found


def go_first() -> None:
    """Let this thread run before others, if we may: whoever asks is not what is measured."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -10)


@contextmanager
def echoing() -> Iterator[int]:
    """A process that answers at once; its port."""
    with subprocess.Popen(
        [sys.executable, "-c", ECHOING], stdout=subprocess.PIPE, preexec_fn=go_first
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


@contextmanager
def load(port: int, script: Path, rate: float, seconds: float) -> Iterator[Callable[[], list[int]]]:
    """Offer requests at a rate; inside the block, a function that waits for what came of them."""
    paced = script.with_name(f"paced-{rate:.0f}.lua")
    paced.write_text(script.read_text() + PACE % rate + ERRORS)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "-s", str(paced)]
    with subprocess.Popen(
        [*command, f"http://127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True
    ) as process:
        yield lambda: _result(process.communicate()[0])


def _result(said: str) -> list[int]:
    line = next(line for line in said.splitlines() if line.startswith("RESULT"))
    return [int(word) for word in line.split()[1:]]


def stretch(
    name: str, port: int, echo_port: int, script: Path, *, rate: float, seconds: float
) -> Stretch:
    """Load the worker for a while, and watch."""
    pid = worker(port)
    with ThreadPoolExecutor() as pool, load(port, script, rate, seconds) as came:
        probes = pool.submit(asyncio.run, probing([port, echo_port], seconds - 1.0))
        highest = 0.0
        while not probes.done():
            highest = max(highest, rss_mb(pid))
            time.sleep(0.1)
        requests_n, refused_n = came()
    return Stretch(
        name, requests_n / seconds, (requests_n - refused_n) / seconds, probes.result(), highest
    )


def recovery_s(probes: Sequence[Probe], normal_p99_s: float, end_s: float) -> float:
    """After how long all were accepted again, none slower than twice normal p99, for a window."""
    for start_s in (end_s + step * 0.1 for step in range(1000)):
        window = [
            p for p in probes if p.status != ECHO and start_s <= p.planned_s < start_s + WINDOW_S
        ]
        if not window:
            break
        if all(p.status == 200 and p.taken_s <= 2 * normal_p99_s for p in window):
            return start_s - end_s
    return float("nan")


def worker(port: int) -> int:
    """Process id of the one worker."""
    pid: int = httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False).json()["pid"]
    return pid


def rss_mb(pid: int) -> float:
    """Memory that a process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def table(stretches: Sequence[Stretch], capacity: float) -> Iterator[str]:
    """One line a stretch, as Markdown."""
    yield (
        "| load | offered ÷ capacity | accepted ÷ capacity | accepted p50 | p99 | shed p50 | p99 "
        "| echo p50 | p99 | memory |"
    )
    yield "| --- " + "| ---: " * 9 + "|"
    for each in stretches:
        times = [
            each.quantile_ms(share, status) for status in (200, 503, ECHO) for share in (0.5, 0.99)
        ]
        shown = " | ".join("–" if ms != ms else f"{ms:.1f} ms" for ms in times)
        yield (
            f"| {each.name} | {each.offered_per_s / capacity:.2f} | "
            f"{each.accepted_per_s / capacity:.2f} | {shown} | {each.rss_mb:.0f} MB |"
        )


def measure(port: int, script: Path, *, times: float, seconds: float) -> None:
    """Print what an overload is like, and what comes before and after it."""
    closed_loop(port, script, seconds=3, connections=16)
    capacity = closed_loop(port, script, seconds=5, connections=16).rate
    print(f"{platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    print(f"capacity of one worker, {ACTIONS_N} actions by id: {capacity:,.0f}/s\n", flush=True)
    with echoing() as echo_port:

        def loaded(name: str, rate: float, for_s: float) -> Stretch:
            return stretch(name, port, echo_port, script, rate=rate, seconds=for_s)

        normal = loaded("half", capacity / 2, 10.0)
        over = loaded(f"{times:g}×", times * capacity, seconds)
        end_s = time.monotonic()
        after = loaded("half again", capacity / 2, 10.0)
    print("\n".join(table([normal, over, after], capacity)))
    p99_ms = normal.quantile_ms(0.99, 200)
    back_s = recovery_s(after.probes, p99_ms / 1000, end_s)
    ratio = over.quantile_ms(0.99, 200) / p99_ms
    print(f"\naccepted p99 ÷ normal p99: {ratio:.2f}; normal again after {back_s:.1f} s")


def processors() -> tuple[set[int], set[int]]:
    """Which processor the service has, and which whoever asks it; the same if there is but one."""
    usable = sorted(os.sched_getaffinity(0))
    return {usable[0]}, {usable[-1]}


def main() -> None:
    """Start a worker, and measure."""
    parser = argparse.ArgumentParser(prog="tests.chaos.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="Of the overload.")
    parser.add_argument("--times", type=float, default=3.0, help="What a worker can answer.")
    given = parser.parse_args()
    ours, theirs = processors()
    os.sched_setaffinity(0, ours)  # for whoever is started now
    with tempfile.TemporaryDirectory() as name, services.ours(Path(name), drain=True) as port:
        os.sched_setaffinity(0, theirs)
        declare_everything(port)
        script = write_wrk_script(Path(name), ACTIONS_N, surface=CATALOGUE, ids_only=True)
        measure(port, script, times=given.times, seconds=given.seconds)


if __name__ == "__main__":
    main()
