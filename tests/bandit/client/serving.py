"""A service in the test's hands, behind httpx's mock transport."""

import json
import threading
from collections.abc import Callable
from typing import Any

import httpx

from bandit.client import Ambient, AsyncBanditClient, BanditClient, Options, Ranking
from bandit.client.lanes import Outgoing

NOW_MS = 1_790_000_000_000
# The thread's pauses are real, and short.
QUICK = Options(linger_s=0.001, pause_s=0.001, pause_most_s=0.002, deadline_s=5.0, flush_s=5.0)
ACTIONS = [{"id": "a1", "features": {"topic": "go"}}, {"id": "a2"}, {"id": "a3"}]

Trouble = int | Exception | httpx.Response


class Service:
    """Ranks the offered actions backwards and accepts everything, unless told otherwise."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.accepted: dict[str, list[dict[str, Any]]] = {}
        self.troubles: dict[str, list[Trouble]] = {}
        self.posts: list[str] = []
        self.lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            return self.answer(request.url.path, request.content)

    def answer(self, path: str, content: bytes) -> httpx.Response:
        if path == "/health/live":
            return httpx.Response(200)
        self.posts.append(path)
        body = json.loads(content)
        if path in ("/v1/rank", "/v1/assignments"):
            self.asked.append(body)
        trouble = self.troubles.get(path)
        if trouble:
            first = trouble.pop(0)
            if isinstance(first, Exception):
                raise first
            return first if isinstance(first, httpx.Response) else problem(first)
        if path == "/v1/rank":
            return httpx.Response(200, json=self.ranking(body))
        if path == "/v1/assignments":
            return httpx.Response(200, json=ASSIGNED)
        self.accepted.setdefault(path, []).extend(body)
        return httpx.Response(202, json={"accepted": len(body)})

    def ranking(self, body: dict[str, Any]) -> dict[str, Any]:
        drawn = [action["id"] for action in reversed(body["actions"])][: body.get("slots", 1)]
        return {
            "event_id": body["event_id"],
            "ranking": [{"id": i, "slot": n, "propensity": 0.5} for n, i in enumerate(drawn)],
            "experiment": {"key": "feed", "variant": "treatment"},
            "policy": "vw",
            "snapshot": "vw@3",
            "told_by_a_newer_service": True,
        }


ASSIGNED = {
    "unit_id": "u",
    "assignments": [{"key": "button", "variant": "green", "payload": {"c": 1}, "reason": "split"}],
}


def problem(status: int, **told: Any) -> httpx.Response:
    return httpx.Response(status, json={"type": "bad_record", "detail": "no", **told})


class Clock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.s = 0.0

    def ambient(self, now_ms: Callable[[], int] = lambda: NOW_MS) -> Ambient:
        return Ambient(now_ms=now_ms, monotonic_s=lambda: self.s)


def client_of(service: Callable[[httpx.Request], httpx.Response], **given: Any) -> BanditClient:
    given = {"options": QUICK, **given}
    return BanditClient("http://service", transport=httpx.MockTransport(service), **given)


def async_client_of(
    service: Callable[[httpx.Request], httpx.Response], **given: Any
) -> AsyncBanditClient:
    transport = httpx.MockTransport(service)
    given = {"options": QUICK, **given}
    return AsyncBanditClient(
        "http://service", transport=transport, record_transport=transport, **given
    )


def record(number: int, surface: str = "") -> Outgoing:
    return Outgoing(b"%d" % number, surface)


def ask(client: BanditClient, **more: object) -> Ranking:
    given: dict[str, object] = {"actions": ACTIONS, "default": ["a2", "a1"], "slots": 2} | more
    return client.rank("home.feed", "u-1", **given)  # type: ignore[arg-type]
