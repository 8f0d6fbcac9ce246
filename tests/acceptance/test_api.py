"""`bandit api` as real processes over a real ClickHouse: rank, reward, log, replay, kill -9."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Container, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.acceptance
JSON = {"content-type": "application/json"}
WITHIN_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Service:
    """A running `bandit api` with its drain."""

    def __init__(self, folder: Path, clickhouse_url: str) -> None:
        self.folder = folder
        self.log = folder / "api.log"
        self.port = free_port()
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("BANDIT_")} | {
            "BANDIT_DATA_DIR": str(folder / "data"),
            "BANDIT_CLICKHOUSE_URL": clickhouse_url,
            "BANDIT_CLICKHOUSE_DATABASE": f"api_{uuid.uuid4().hex[:12]}",
            "BANDIT_PORT": str(self.port),
            "BANDIT_WORKERS": "2",
        }
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=WITHIN_S)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **environ: str) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bandit", "api"],
                env=self.environ | environ,
                stdout=log,
                stderr=log,
            )

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(WITHIN_S)
        finally:
            self.process.kill()
            self.process.wait()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bandit", *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response | None:
        """One request on a connection of its own, so that either worker may get it."""
        try:
            return self.client.request(
                method, path, headers={"connection": "close", **given.pop("headers", {})}, **given
            )
        except httpx.TransportError:  # a worker that is dying or not there yet
            return None

    def until(self, what: str, method: str, path: str, status: int, **given: Any) -> httpx.Response:
        """Ask until it answers so; events elsewhere make that happen."""
        deadline, said = time.monotonic() + WITHIN_S, "nothing"
        while time.monotonic() < deadline:
            response = self.ask(method, path, **given)
            if response is not None and response.status_code == status:
                return response
            said = said if response is None else response.text
            assert self.process is None or self.process.poll() is None, self.log.read_text()
            threading.Event().wait(0.02)
        pytest.fail(f"{what}: {said} after {WITHIN_S} s\n{self.log.read_text()[-3000:]}")

    def workers(self, n: int = 2, but: Container[int] = ()) -> dict[str, int]:
        """Process ids of `n` workers that reach the store, by their writer."""
        found: dict[str, int] = {}
        deadline = time.monotonic() + WITHIN_S
        while len(found) < n:
            assert time.monotonic() < deadline, self.log.read_text()
            health = self.until("readiness", "GET", "/health/ready", 200).json()
            if health["store"] == "reached" and health["pid"] not in but:
                found[health["writer"]] = health["pid"]
        return found

    def declare(self) -> None:
        """Declare the demo of this test, and wait until every worker serves it."""
        put = partial(self.until, "declaring", "PUT", status=201)
        put("/v1/policies/random", json={"type": "uniform"})
        put("/v1/policies/vw", json={"type": "vw", "surface": "home.feed", "floor": 0.01})
        put(
            "/v1/surfaces/home.feed",
            json={"policy": "vw", "shadows": ["random"], "max_actions": 50},
        )
        put("/v1/metrics/clicks", json={"source": "reward", "name": "click"})
        put("/v1/experiments/feed", json=EXPERIMENT)
        served: set[str] = set()
        deadline = time.monotonic() + WITHIN_S
        while len(served) < 2:
            assert time.monotonic() < deadline, self.log.read_text()
            health = self.until("readiness", "GET", "/health/ready", 200).json()
            if health["revision"] == 5:
                served.add(health["writer"])

    def rank(self, unit: int, **more: Any) -> dict[str, Any]:
        """Ask until somebody answers, as a client with retries would."""
        asked = {
            "surface": "home.feed",
            "unit_id": f"user-{unit}",
            "context": {"hour": unit % 24},
            "actions": [{"id": f"a{n}", "features": {"topic": f"t{n % 3}"}} for n in range(8)],
            "slots": 3,
            **more,
        }
        answer: dict[str, Any] = self.until(
            "ranking", "POST", "/v1/rank", 200, json=asked, headers=JSON
        ).json()
        return answer

    def reward(self, answer: dict[str, Any]) -> None:
        body = {"event_id": answer["event_id"], "value": 1.0, "name": "click"}
        self.until("rewarding", "POST", "/v1/rewards", 202, json=body, headers=JSON)


EXPERIMENT = {
    "surface": "home.feed",
    "salt": "feed",
    "status": "running",
    "control": "control",
    "metrics": ["clicks"],
    "variants": [
        {"key": "control", "policy": "random", "allocation": [[0, 5000]]},
        {"key": "treatment", "policy": "vw", "allocation": [[5000, 10000]]},
    ],
}


@pytest.fixture
def service(tmp_path: Path, clickhouse_url: str) -> Iterator[Service]:
    service = Service(tmp_path, clickhouse_url)
    service.start()
    yield service
    service.client.close()
    service.stop()


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory, clickhouse_url: str) -> Iterator[Service]:
    """One for tests that only ask, and what they must not break is that it goes on."""
    service = Service(tmp_path_factory.mktemp("lasting"), clickhouse_url)
    service.start()
    service.declare()
    yield service
    service.client.close()
    service.stop()


def test_loop_from_declaring_to_replaying_goes_on_over_kill_9(service: Service) -> None:
    service.declare()
    answers = [service.rank(unit) for unit in range(30)]
    for answer in answers:
        service.reward(answer)
    before = service.workers()
    os.kill(next(iter(before.values())), signal.SIGKILL)
    answers += [service.rank(unit) for unit in range(30, 60)]

    for answer in answers:  # what was answered is in the log as it was answered
        path = f"/v1/decisions/{answer['event_id']}"
        told = service.until(f"{path} in the log", "GET", path, 200).json()
        drawn = [(slot["id"], slot["propensity"]) for slot in told["ranking"]]
        assert drawn == [(slot["id"], slot["propensity"]) for slot in answer["ranking"]]
        assert (told["experiment"], told["policy"]) == (answer["experiment"], answer["policy"])
    assert {answer["policy"] for answer in answers} == {"random", "vw"}

    after = service.workers()
    assert set(after) != set(before)

    one = answers[-1]["event_id"]
    replay = service.until("a replay", "GET", f"/v1/decisions/{one}/replay", 200).json()
    assert replay["identical"], replay["differences"]
    replayed = service.run("replay", "home.feed", "--sample", "1000", "--seed", "7")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert "60 identical, 0 differing" in replayed.stdout

    report = service.until("a report", "GET", "/v1/reports/surfaces/home.feed", 200)
    assert report.json()


def test_answer_to_a_repeated_event_id_survives_the_workers(service: Service) -> None:
    service.declare()
    stamp = f"{time.time_ns() // 1_000_000 - 5_000:012x}"  # old enough to be looked for
    event_id = f"{stamp[:8]}-{stamp[8:]}-7abc-8def-0123456789ab"
    first = service.rank(1, event_id=event_id)
    service.until("the log", "GET", f"/v1/decisions/{event_id}", 200)
    before = service.workers().values()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    service.workers(but=before)
    again = service.rank(2, event_id=event_id, slots=1)  # another unit, other slots: same answer
    assert again == first


def test_worker_starts_and_serves_without_clickhouse(service: Service) -> None:
    service.declare()
    first = service.rank(1)
    assert service.stop() == 0
    service.start(BANDIT_CLICKHOUSE_URL=f"http://127.0.0.1:{free_port()}")
    again = service.rank(1)
    assert again["experiment"] == first["experiment"]
    health = service.until("readiness", "GET", "/health/ready", 200).json()
    assert "reached" not in health["store"]
    put = service.ask("PUT", "/v1/policies/other", json={"type": "uniform"})
    assert put is not None
    assert put.status_code == 503
    assert "retry-after" in put.headers


def test_body_of_10_mb_is_413_and_the_workers_go_on(lasting: Service) -> None:
    before = lasting.workers()
    for path in ("/v1/rank", "/v1/rewards", "/v1/outcomes"):
        for body in (b" " * 10_000_000, chunks()):
            response = lasting.ask("POST", path, content=body, headers=JSON)
            assert response is not None
            assert response.status_code == 413
            assert response.headers["content-type"] == "application/problem+json"
    assert lasting.workers() == before


def chunks() -> Iterator[bytes]:
    """10 MB whose length is not said beforehand."""
    yield from (b" " * 100_000 for _ in range(100))


ODD = [
    "decisions/ffffffff-ffff-7fff-bfff-ffffffffffff",
    "decisions/00000000-0000-7000-8000-000000000000",
    "decisions/0192d6a1-7c5b-4abc-9def-0123456789ab/replay",
    "decisions/%00",
    "decisions/'%20OR%201=1",
    "surfaces/%00",
    "surfaces/%ED%A0%80",
    "surfaces/x?version=0",
    "surfaces/x?version=-1",
    "surfaces/x?version=99999999999999999999999",
    "surfaces/home.feed?version=18446744073709551616",
    "policies/" + "x" * 5000,
    "reports/experiments/nothing",
    "reports/surfaces/nothing?alpha=0.05",
    *(f"reports/experiments/feed?alpha={alpha}" for alpha in ("0", "1", "-1", "2", "nan", "inf")),
    *(f"reports/surfaces/home.feed?alpha={alpha}" for alpha in ("0", "nan", "1e-400")),
    *(f"reports/experiments/feed?at_ms={at}" for at in ("-1", "1.5", "99999999999999999999")),
    "reports/surfaces/home.feed?at_ms=99999999999999999999",
]


def test_odd_addresses_are_4xx(lasting: Service) -> None:
    answers = {}
    for path in ODD:
        response = lasting.ask("GET", f"/v1/{path}")
        assert response is not None, path
        answers[path] = (response.status_code, response.headers["content-type"], response.text)
    wrong = {
        path: answer
        for path, answer in answers.items()
        if not 400 <= answer[0] < 500 or answer[1] != "application/problem+json"
    }
    assert not wrong


def test_api_refuses_to_be_reached_from_other_machines(tmp_path: Path) -> None:
    refused = Service(tmp_path, "http://127.0.0.1:1").run("api", "--host", "0.0.0.0")
    assert refused.returncode == 2
    assert "must be BANDIT_AUTH=keys" in refused.stderr


def test_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = Service(tmp_path, "http://127.0.0.1:1").run("api", "--port", port)
    assert refused.returncode == 2
    assert f"127.0.0.1:{port} can't be listened on" in refused.stderr
