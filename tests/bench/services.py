"""Starts the services under measurement as real processes, and stops them."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from bandit.cli.up import NICE
from tests.bench.bodies import SURFACE

VW_POLICY = {"type": "vw", "surface": SURFACE, "floor": 0.001}


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def process(argv: list[str], port: int, env: dict[str, str], log: Path) -> Iterator[int]:
    """Run a process until its port answers; end it afterwards."""
    with log.open("wb") as out:
        child = subprocess.Popen(argv, env={**os.environ, **env}, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if child.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{argv} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield port
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextlib.contextmanager
def naive(directory: Path) -> Iterator[int]:
    """FastAPI + vowpalwabbit on uvicorn with uvloop and httptools, one worker, no log."""
    port = free_port()
    argv = [sys.executable, "-m", "uvicorn", "tests.bench.peers.naive:app", "--port", str(port)]
    with process([*argv, "--log-level", "warning"], port, {}, directory / "naive.log") as ready:
        yield ready


@contextlib.contextmanager
def floor(directory: Path) -> Iterator[int]:
    """Litestar's empty `@asgi` route on Granian, one worker."""
    port = free_port()
    argv = [sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(port)]
    argv += ["--no-ws", "--log-level", "warning", "tests.bench.peers.floor:app"]
    with process(argv, port, {}, directory / "floor.log") as ready:
        yield ready


@contextlib.contextmanager
def ours(directory: Path, *, drain: bool = False) -> Iterator[int]:
    """The real service: embedded ClickHouse, one API worker, every decision journaled."""
    gateway_port, port = free_port(), free_port()
    env = {
        "BANDIT_DATA_DIR": str(directory / "ours"),
        "BANDIT_GATEWAY_PORT": str(gateway_port),
        "BANDIT_PORT": str(port),
        "BANDIT_WORKERS": "1",
        "BANDIT_SPARE_WORKERS": "0",
        "BANDIT_LOG_LEVEL": "warning",
    }
    bandit = [sys.executable, "-m", "bandit"]
    gateway = ["nice", "-n", str(NICE["gateway"]), *bandit, "gateway"]  # as `bandit up` starts it
    api = [*bandit, "api"] + ([] if drain else ["--no-drain"])
    with (
        process(gateway, gateway_port, env, directory / "gateway.log"),
        process(api, port, env, directory / "api.log"),
    ):
        await_ready(port)
        declare(port)
        yield port


def await_ready(port: int) -> None:
    """Return once the worker answers; connections wait for it from the beginning."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).status_code == 200:
                return
        time.sleep(0.1)
    raise SystemExit("the worker did not become ready")


def declare(port: int) -> None:
    """Declare the benchmark's surface and policy through the public API, and await both."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        definitions = {
            "/v1/policies/uniform": {"type": "uniform"},
            f"/v1/surfaces/{SURFACE}": {"policy": "uniform", "reward_low": 0.0},
            "/v1/policies/bench-vw": VW_POLICY,
        }
        for path, body in definitions.items():
            key = path.rsplit("/", 1)[1]
            put = client.put(path, json={"key": key, **body}, headers={"If-None-Match": "*"})
            assert put.status_code in {200, 201}, put.text
        body = {"key": SURFACE, "policy": "bench-vw", "reward_low": 0.0}
        etag = client.get(f"/v1/surfaces/{SURFACE}").headers["etag"]
        put = client.put(f"/v1/surfaces/{SURFACE}", json=body, headers={"If-Match": etag})
        assert put.status_code == 200, put.text
        ask = {"surface": SURFACE, "unit_id": "u", "actions": [{"id": "a"}, {"id": "b"}]}
        deadline = time.monotonic() + 30
        while client.post("/v1/rank", json=ask).json().get("policy") != "bench-vw":
            assert time.monotonic() < deadline, "the worker did not load the definitions"
            time.sleep(0.1)
