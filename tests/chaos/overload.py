"""`python -m tests.chaos.overload`: three times more requests than one worker can answer.

One worker of the real service, `wrk` for the load, and a few requests a second from here, each on
its way at a planned moment, whose latency is counted from that moment. They are what is reported;
of the load itself only how much was answered. Compare with the same worker's own normal only.
"""

import argparse
import asyncio
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.bench import services
from tests.bench.bodies import bodies, write_wrk_script
from tests.bench.load import closed_loop

ACTIONS_N = 10
PROBES_PER_S = 40.0
CONNECTIONS = 256
WINDOW_S = 0.5
PACE = """
local connections, rate = %d, %f
delay = function() return math.random() * 2000 * connections / rate end
"""
ERRORS = """
done = function(summary, latency, requests)
  io.write(string.format("RESULT %d %d\\n", summary.requests, summary.errors.status))
end
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

    def quantile_ms(self, share: float, *, accepted: bool) -> float:
        """Latency of our requests that were accepted, or shed; NaN if none was."""
        taken = sorted(p.taken_s for p in self.probes if (p.status == 200) is accepted)
        return taken[int(len(taken) * share)] * 1000 if taken else float("nan")


async def probing(port: int, seconds: float) -> list[Probe]:
    """Ask at a fixed pace whatever the answers do."""
    asked = bodies(ACTIONS_N)
    found: list[Probe] = []
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    url, headers = f"http://127.0.0.1:{port}/v1/rank", {"content-type": "application/json"}
    async with httpx.AsyncClient(timeout=10.0, limits=limits, trust_env=False) as client:

        async def one(index: int, planned_s: float) -> None:
            try:
                body = asked[index % len(asked)]
                status = (await client.post(url, content=body, headers=headers)).status_code
            except httpx.TransportError:
                status = 0
            found.append(Probe(planned_s, time.monotonic() - planned_s, status))

        began_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for index in range(int(seconds * PROBES_PER_S)):
                planned_s = began_s + index / PROBES_PER_S
                await asyncio.sleep(max(0.0, planned_s - time.monotonic()))
                group.create_task(one(index, planned_s))
    return found


@contextmanager
def load(port: int, script: Path, rate: float, seconds: float) -> Iterator[Callable[[], list[int]]]:
    """Offer requests at a rate; inside the block, a function that waits for what came of them."""
    paced = script.with_name(f"paced-{rate:.0f}.lua")
    paced.write_text(script.read_text() + PACE % (CONNECTIONS, rate) + ERRORS)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "-s", str(paced)]
    with subprocess.Popen(
        [*command, f"http://127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True
    ) as process:
        yield lambda: _result(process.communicate()[0])


def _result(said: str) -> list[int]:
    line = next(line for line in said.splitlines() if line.startswith("RESULT"))
    return [int(word) for word in line.split()[1:]]


def stretch(name: str, port: int, script: Path, *, rate: float, seconds: float) -> Stretch:
    """Load the worker for a while, and watch."""
    pid = worker(port)
    with ThreadPoolExecutor() as pool, load(port, script, rate, seconds) as came:
        probes = pool.submit(asyncio.run, probing(port, seconds - 1.0))
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
        window = [p for p in probes if start_s <= p.planned_s < start_s + WINDOW_S]
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
        "| memory |"
    )
    yield "| --- " + "| ---: " * 7 + "|"
    for each in stretches:
        times = [
            each.quantile_ms(share, accepted=accepted)
            for accepted in (True, False)
            for share in (0.5, 0.99)
        ]
        shown = " | ".join("–" if ms != ms else f"{ms:.1f} ms" for ms in times)
        yield (
            f"| {each.name} | {each.offered_per_s / capacity:.2f} | "
            f"{each.accepted_per_s / capacity:.2f} | {shown} | {each.rss_mb:.0f} MB |"
        )


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="tests.chaos.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="Of the overload.")
    parser.add_argument("--times", type=float, default=3.0, help="What a worker can answer.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, services.ours(Path(name), drain=True) as port:
        script = write_wrk_script(Path(name), ACTIONS_N)
        closed_loop(port, script, seconds=3, connections=16)
        capacity = closed_loop(port, script, seconds=5, connections=16).rate
        print(f"{platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores")
        print(f"capacity of one worker, {ACTIONS_N} actions: {capacity:,.0f}/s\n", flush=True)
        normal = stretch("half", port, script, rate=capacity / 2, seconds=10.0)
        over = stretch(
            f"{given.times:g}×", port, script, rate=given.times * capacity, seconds=given.seconds
        )
        end_s = time.monotonic()
        after = stretch("half again", port, script, rate=capacity / 2, seconds=10.0)
        print("\n".join(table([normal, over, after], capacity)))
        p99_ms = normal.quantile_ms(0.99, accepted=True)
        back_s = recovery_s(after.probes, p99_ms / 1000, end_s)
        ratio = over.quantile_ms(0.99, accepted=True) / p99_ms
        print(f"\naccepted p99 ÷ normal p99: {ratio:.2f}; normal again after {back_s:.1f} s")


if __name__ == "__main__":
    main()
