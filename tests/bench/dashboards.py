"""What open dashboards cost those who are served: p99 of `/v1/rank` with and without 20 of them."""

import asyncio
import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from bandit.cli.up import NICE
from tests.bench.bodies import SURFACE, bodies, write_wrk_script
from tests.bench.load import closed_loop, open_loop
from tests.bench.services import free_port, ours, process

SESSIONS_N = 20
ACTIONS_N = 50
GATE = 1.10
"""The most that p99 may be of what it is without them."""
SETTLE_S = 8.0
"""Until every session has drawn its page once: looking is what is measured, not coming."""


def dashboards(
    *, decisions_n: int = 20_000, rounds: int = 7, seconds: float = 6.0, share: float = 0.25
) -> None:
    """Print p99 in turn, with the dashboard idle and with 20 sessions that look at it.

    Args:
        decisions_n: Made before, so that pages have something to show.
        rounds: Of both.
        seconds: Of each.
        share: of the saturation rate that is asked for, as on an ordinary day.
    """
    with tempfile.TemporaryDirectory() as name, ours(Path(name), drain=True) as port:
        directory = Path(name)
        declare_experiment(port)
        with beside(directory, port) as url:
            script = write_wrk_script(directory, ACTIONS_N)
            full = closed_loop(port, script, seconds=3).rate
            paced = full * share
            ahead_s = max(5.0, decisions_n / paced)
            asyncio.run(open_loop(port, bodies(ACTIONS_N), rate=paced, seconds=ahead_s))
            print(f"  {ahead_s * paced:,.0f} decisions, then {paced:,.0f}/s", flush=True)
            taken: dict[int, list[float]] = {0: [], SESSIONS_N: []}
            for _ in range(rounds):
                for sessions_n in random.sample(list(taken), len(taken)):
                    with watching(url, sessions_n):
                        taken[sessions_n].append(_p99_ms(port, paced, seconds))
            report(taken)


def _p99_ms(port: int, rate: float, seconds: float) -> float:
    took = sorted(asyncio.run(open_loop(port, bodies(ACTIONS_N), rate=rate, seconds=seconds)))
    return took[int(len(took) * 0.99)]


def report(taken: dict[int, list[float]]) -> None:
    """Medians, and the ratio of each round to the one beside it."""
    for sessions_n, p99s in taken.items():
        shown = " ".join(f"{one:.2f}" for one in p99s)
        print(f"  {sessions_n:>3} sessions: p99 {statistics.median(p99s):.2f} ms ({shown})")
    ratios = [looked / idle for idle, looked in zip(taken[0], taken[SESSIONS_N], strict=True)]
    ratio = statistics.median(ratios)
    met = "met" if ratio <= GATE else "MISSED"
    print(f"  with ÷ without: {ratio:.2f} (target: {GATE:.2f} at most, {met})", flush=True)


def declare_experiment(port: int) -> None:
    """Declare an experiment, for the pages to show."""
    body = {
        "surface": SURFACE,
        "salt": "dashboards",
        "control": "a",
        "status": "running",
        "variants": [
            {"key": "a", "policy": "uniform", "allocation": [[0, 5000]]},
            {"key": "b", "policy": "bench-vw", "allocation": [[5000, 10000]]},
        ],
    }
    url = f"http://127.0.0.1:{port}/v1/experiments/dashboards"
    put = httpx.put(url, json=body, headers={"If-None-Match": "*"}, timeout=30)
    assert put.status_code == 201, put.text


@contextlib.contextmanager
def beside(directory: Path, api_port: int) -> Iterator[str]:
    """The refresher and the dashboard, as `bandit up` starts them; gives the latter's address."""
    gateway_port = _gateway_port(directory)
    port = free_port()
    env = {
        "BANDIT_DATA_DIR": str(directory / "ours"),
        "BANDIT_GATEWAY_PORT": str(gateway_port),
        "BANDIT_PORT": str(api_port),
    }
    bandit = [sys.executable, "-m", "bandit"]
    refresh = ["nice", "-n", str(NICE["refresh"]), *bandit, "refresh"]
    dashboard = ["nice", "-n", str(NICE["dashboard"]), *bandit, "dashboard", "--port", str(port)]
    with (
        (directory / "refresh.log").open("wb") as log,
        process(dashboard, port, env, directory / "dashboard.log"),
    ):
        refreshing = subprocess.Popen(refresh, env={**os.environ, **env}, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            refreshing.terminate()
            refreshing.wait(30)


def _gateway_port(directory: Path) -> int:
    """Where the gateway of `ours` listens, as it said itself."""
    said = (directory / "gateway.log").read_text()
    return int(said.split("http://")[1].split("/")[0].rsplit(":", 1)[1])


@contextlib.contextmanager
def watching(url: str, sessions_n: int) -> Iterator[None]:
    """So many sessions open meanwhile; none: as long a pause."""
    if not sessions_n:
        time.sleep(SETTLE_S)
        yield
        return
    argv = [sys.executable, "-m", "tests.bench.sessions", url, str(sessions_n)]
    looking = subprocess.Popen(argv)
    try:
        time.sleep(SETTLE_S)
        assert looking.poll() is None, "the sessions ended"
        yield
        assert looking.poll() is None, "the sessions ended"
    finally:
        looking.terminate()
        looking.wait(10)
