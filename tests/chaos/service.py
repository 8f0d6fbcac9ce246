"""The real service as real processes: `bandit up`, its ClickHouse, its load."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.chaos import tree
from tests.until import until

ROOT = Path(__file__).parents[2]
SURFACE = "home.feed"
POLICY = "vw"
WITHIN_S = 60.0
_PR_SET_PDEATHSIG = 1


def _end_with_us() -> None:
    """In a child before it becomes a program: it gets SIGTERM when we die, however we do."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def free_ports(n: int) -> list[int]:
    """Ports that nobody listens on now."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Gateway:
    """The embedded ClickHouse on its own, for where something comes between it and the service."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        [self.port] = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait for its answer."""
        command = [sys.executable, "-m", "bandit", "gateway", "--data-dir", str(self.folder)]
        with (self.folder.parent / "gateway.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                env=_environ({}),
                stdout=log,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
                preexec_fn=_end_with_us,
            )
        until(lambda: _answers(f"http://127.0.0.1:{self.port}/ping"), "the gateway", WITHIN_S)

    def url(self, port: int) -> str:
        """With user and password, by way of a port."""
        password = (self.folder / "secrets" / "clickhouse_password").read_text()
        return f"http://default:{password}@127.0.0.1:{port}"

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it, at once with SIGKILL."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(WITHIN_S)
            self._process = None

    def __enter__(self) -> "Gateway":
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Service:
    """A running `bandit up` without the dashboard."""

    def __init__(
        self,
        folder: Path,
        *,
        data_dir: Path | None = None,
        clickhouse_url: str | None = None,
        environ: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        window_s: float = 10.0,
    ) -> None:
        """Know what to start.

        Args:
            folder: For logs and, unless `data_dir` says otherwise, the data.
            data_dir: The service's data directory.
            clickhouse_url: With user and password; else `bandit up` runs its own gateway.
            environ: Further variables.
            prefix: A command that runs the command, such as `setpriv`.
            window_s: The join window to declare.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.data_dir = data_dir or folder / "data"
        self.window_s = window_s
        self.log = folder / "up.log"
        self.port, self._gateway_port = free_ports(2)
        self.past_proxy: str | None = None
        """How the oracle reaches a ClickHouse that is behind a proxy."""
        self._prefix = list(prefix)
        self.environ = {
            **_environ(environ or {}),
            "BANDIT_DATA_DIR": str(self.data_dir),
            "BANDIT_PORT": str(self.port),
            "BANDIT_GATEWAY_PORT": str(self._gateway_port),
            "BANDIT_WORKERS": "2",
        }
        if clickhouse_url is not None:
            self.environ["BANDIT_CLICKHOUSE_URL"] = clickhouse_url
        self.process: subprocess.Popen[bytes] | None = None
        self.api = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", timeout=10.0, trust_env=False
        )

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        assert self.process is not None
        return self.process.pid

    def roles(self) -> dict[str, list[int]]:
        """Living processes by role."""
        return tree.roles(self.pid)

    def clickhouse_url(self) -> str:
        """With user and password, past any proxy."""
        if self.past_proxy is not None:
            return self.past_proxy
        password = (self.data_dir / "secrets" / "clickhouse_password").read_text()
        return f"http://default:{password}@127.0.0.1:{self._gateway_port}"

    def start(self) -> None:
        """Start everything, and wait until a worker serves and reaches the store."""
        self.spawn()
        until(self._reaches_the_store, "the service", WITHIN_S)

    def spawn(self) -> None:
        """Start the supervisor and wait for nothing."""
        command = [*self._prefix, sys.executable, "-m", "bandit", "up", "--no-dashboard"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env=self.environ,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
                preexec_fn=_end_with_us,
            )

    def kill_supervisor(self) -> None:
        """kill -9, and wait until its guard has ended what it left behind."""
        left = tree.below(self.pid)
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        until(lambda: all(tree.is_gone(pid) for pid in left), "the guard", WITHIN_S)

    def stop(self) -> int:
        """End it in order; the exit code."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(WITHIN_S)
        finally:
            self.process.kill()
            self.process.wait()
            self.api.close()

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """A `bandit` command with the service's settings."""
        return subprocess.run(
            [sys.executable, "-m", "bandit", *arguments],
            env=self.environ | environ,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600.0,
            check=False,
        )

    def declare(self) -> None:
        """A surface whose policy learns, and both workers know it."""
        self._put("/v1/policies/random", {"type": "uniform"})
        self._put(f"/v1/policies/{POLICY}", {"type": "vw", "surface": SURFACE, "floor": 0.01})
        surface = {
            "policy": POLICY,
            "shadows": ["random"],
            "join_window_s": self.window_s,
            "max_actions": 50,
        }
        self._put(f"/v1/surfaces/{SURFACE}", surface)
        served: set[str] = set()

        def all_serve_it() -> bool:
            health = self.health()
            if health.get("revision") == 3:
                served.add(health["writer"])
            return len(served) == 2

        until(all_serve_it, "the definitions in both workers", WITHIN_S)

    def health(self) -> dict[str, Any]:
        """What one of the workers says of itself; empty if none does."""
        try:
            answer = self.api.get("/health/ready", headers={"connection": "close"})
        except httpx.TransportError:
            return {}
        body: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        return body

    def _reaches_the_store(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        return self.health().get("store") == "reached"

    def _put(self, path: str, body: object) -> None:
        def is_declared() -> bool:
            with suppress(httpx.TransportError):
                answer = self.api.put(path, json=body, headers={"connection": "close"})
                assert answer.status_code in {200, 201, 404, 503}, answer.text
                return answer.status_code < 300
            return False

        until(is_declared, path, WITHIN_S)


@contextmanager
def loaded(service: Service, journal: Path, *, rate: float, seed: int) -> Iterator[Path]:
    """Load from another process while the block runs, and until what it began is answered."""
    command = [sys.executable, "-m", "tests.chaos.load", "--port", str(service.port)]
    command += ["--journal", str(journal), "--rate", str(rate), "--seed", str(seed)]
    command += ["--surface", SURFACE, "--window-s", str(service.window_s)]
    with (service.folder / "load.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=log, preexec_fn=_end_with_us
        )
    try:
        until(lambda: journal.exists() and journal.stat().st_size, "the load", WITHIN_S)
        yield journal
        assert process.poll() is None, (service.folder / "load.log").read_text()
        process.terminate()
        process.wait(WITHIN_S)
    finally:
        process.kill()
        process.wait()


def wall_ms() -> int:
    """Milliseconds since 1970 UTC, by the machine's clock."""
    return time.time_ns() // 1_000_000


def _environ(more: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("BANDIT_")} | dict(more)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
