"""`bandit up`: everything as real processes, each of them killed once, the API's restarted."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.until import until

pytestmark = pytest.mark.acceptance

WITHIN_S = 60.0
KINDS = ["api", "api", "api", "api", "dashboard", "drain", "gateway", "learn", "refresh"]


def free_ports(n: int) -> list[int]:
    probes = [socket.socket() for _ in range(n)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Up:
    """A running `bandit up`."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "up.log"
        self.data_dir = folder / "data"
        port, gateway_port, dashboard_port = free_ports(3)
        environ = {k: v for k, v in os.environ.items() if not k.startswith("BANDIT_")} | {
            "BANDIT_DATA_DIR": str(self.data_dir),
            "BANDIT_PORT": str(port),
            "BANDIT_GATEWAY_PORT": str(gateway_port),
            "BANDIT_DASHBOARD_PORT": str(dashboard_port),
        }
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10.0, trust_env=False)
        command = [sys.executable, "-m", "bandit", "up"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)

    def said(self, text: str) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return text in self.log.read_text()

    def children(self) -> dict[int, str]:
        """Kinds of the main processes."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        found = {}
        for pid in (int(pid) for task in tasks for pid in task.read_text().split()):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            except FileNotFoundError:  # it ended since it was listed
                continue
            if words[1:3] == ["-m", "bandit"]:
                found[pid] = words[3]
            elif "streamlit" in words:
                found[pid] = "dashboard"
        return found

    def are_all_there(self, but: Container[int] = ()) -> bool:
        """Whether each kind has its processes, the spare one included."""
        found = self.children()
        return sorted(found.values()) == KINDS and not any(pid in but for pid in found)

    def ask(self, method: str, path: str, body: object, status: int) -> Any:
        """Ask until it answers so, on a new connection each time."""
        answer: httpx.Response | None = None

        def is_answered() -> bool:
            nonlocal answer
            try:
                answer = self.api.request(method, path, json=body, headers={"connection": "close"})
            except httpx.TransportError:
                return False
            assert answer.status_code in {status, 503, 404}, answer.text
            return answer.status_code == status

        until(is_answered, f"{method} {path} with {status}", WITHIN_S)
        assert answer is not None
        return answer.json()

    def rank_and_reward(self, n: int) -> str:
        actions = [{"id": f"a{k}"} for k in range(3)]
        asked = {"surface": "home", "unit_id": f"u{n}", "actions": actions}
        event_id: str = self.ask("POST", "/v1/rank", asked, 200)["event_id"]
        self.ask("POST", "/v1/rewards", {"event_id": event_id, "value": 1.0}, 202)
        return event_id


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    up = Up(tmp_path)
    yield up
    up.api.close()
    up.process.kill()
    up.process.wait()


def ask_until(stop: threading.Event, url: str, *, keep_alive: bool) -> list[str]:
    """Ask for rankings, one after the other; what was answered otherwise."""
    wrong = []
    headers = {} if keep_alive else {"connection": "close"}
    asked = {"surface": "home", "unit_id": "u", "actions": [{"id": "a"}, {"id": "b"}]}
    with httpx.Client(base_url=url, timeout=10.0, trust_env=False) as client:
        while not stop.is_set():
            try:
                answer = client.post("/v1/rank", json=asked, headers=headers)
            except httpx.TransportError as exc:
                wrong.append(repr(exc))
            else:
                wrong += [answer.text] if answer.status_code != 200 else []
            stop.wait(0.005)
    return wrong


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_every_process_may_be_killed_or_restarted_and_nothing_accepted_is_lost(up: Up) -> None:
    until(lambda: up.said("Dashboard   http://"), "the table of addresses", WITHIN_S)
    up.ask("PUT", "/v1/policies/random", {"type": "uniform"}, 201)
    up.ask("PUT", "/v1/surfaces/home", {"policy": "random"}, 201)
    until(up.are_all_there, "every process", WITHIN_S)
    before = up.children()
    events = []
    for n, pid in enumerate(before):
        events.append(up.rank_and_reward(n))
        os.kill(pid, signal.SIGKILL)
        until(partial(up.are_all_there, but={pid}), before[pid], WITHIN_S)
    events.append(up.rank_and_reward(len(before)))
    for event_id in events:
        up.ask("GET", f"/v1/decisions/{event_id}", None, 200)
    after = up.children()
    assert not set(after) & set(before)

    stop = threading.Event()
    with ThreadPoolExecutor() as pool:
        asking = [
            pool.submit(ask_until, stop, str(up.api.base_url), keep_alive=n < 3) for n in range(4)
        ]
        up.process.send_signal(signal.SIGHUP)
        until(lambda: up.said("api-2 was restarted"), "the rolling restart", WITHIN_S)
        stop.set()
        assert [client.result() for client in asking] == [[]] * 4
    rolled = up.children()
    assert sorted(rolled.values()) == KINDS
    assert {after[pid] for pid in set(after) - set(rolled)} == {"api"}
    assert {kind for pid, kind in rolled.items() if pid in after} == set(KINDS) - {"api"}

    up.process.terminate()
    assert up.process.wait(WITHIN_S) == 0, up.log.read_text()
    assert all(is_gone(pid) for pid in rolled)
    left = [path for path in (up.data_dir / "journal").iterdir() if path.is_dir()]
    assert left == [], "the drain was ended before the journal was empty"
