import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from litestar import Litestar, put
from litestar.params import JSONBody

from api import door as doors
from api.door import LEAST, MOST, Door, Gate
from api.problems import Problem

POST = {"type": "http", "method": "POST", "path": "/v1/rank", "headers": [], "query_string": b""}


class Clock:
    s = 0.0

    def __call__(self) -> float:
        return self.s


class Asked:
    """One request: its body comes when it is told to."""

    def __init__(self, **scope: Any) -> None:
        self.scope: dict[str, Any] = {**POST, **scope}
        self.body_comes = asyncio.Event()
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        await self.body_comes.wait()
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int | None:
        return self.sent[0]["status"] if self.sent else None

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.sent[1]["body"])


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers 200 once it has the body."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}", "more_body": False})


class House:
    """A door and what goes through it."""

    def __init__(self, application: Any = echo) -> None:
        self.gate = Gate(Clock())
        self.counted: list[Problem] = []
        self.door = Door(application, gate=self.gate, count=self.counted.append)
        self.tasks: list[asyncio.Future[None]] = []

    async def ask(self, asked: Asked) -> Asked:
        answering: Awaitable[None] = self.door(asked.scope, asked.receive, asked.send)
        self.tasks.append(asyncio.ensure_future(answering))
        await settle()
        return asked


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def run(test: Callable[[], Any]) -> None:
    asyncio.run(test())


def test_requests_beyond_the_limit_are_refused_at_once_and_let_in_again_later() -> None:
    async def storm() -> None:
        house = House()
        house.gate.limit = 2
        asked = [await house.ask(Asked()) for _ in range(5)]
        assert [each.status for each in asked] == [None, None, 503, 503, 503]
        assert asked[2].headers["retry-after"] == "1"
        assert asked[2].headers["content-type"] == "application/problem+json"
        assert asked[2].json["type"] == "service_unavailable"
        assert len(house.counted) == 3
        for each in asked:
            each.body_comes.set()
        await settle()
        assert [each.status for each in asked] == [200, 200, 503, 503, 503]
        assert not house.gate.inside
        later = Asked()
        later.body_comes.set()
        assert (await house.ask(later)).status == 200

    run(storm)


def test_slow_senders_keep_nobody_out_and_are_given_up_in_the_end() -> None:
    async def storm() -> None:
        house = House()
        house.gate.limit = 2
        slow = [await house.ask(Asked()) for _ in range(2)]
        for _ in range(2):
            house.gate.tick(0.0)
        quick = Asked()
        quick.body_comes.set()
        assert (await house.ask(quick)).status == 200
        for _ in range(99):
            house.gate.tick(0.0)
        await settle()
        assert [each.status for each in slow] == [408, 408]
        assert slow[0].headers["connection"] == "close"
        assert not house.gate.inside
        assert not house.gate.slow
        assert not house.gate.given_up
        assert all(task.done() and not task.cancelled() for task in house.tasks)

    run(storm)


def test_a_request_that_is_cancelled_by_others_stays_cancelled() -> None:
    async def storm() -> None:
        house = House()
        await house.ask(Asked())
        house.tasks[0].cancel()
        await settle()
        assert house.tasks[0].cancelled()
        assert not house.gate.inside

    run(storm)


def test_the_limit_is_the_work_of_ten_milliseconds() -> None:
    async def learn(each_s: float) -> int:
        clock = Clock()
        gate = Gate(clock)
        gate.tick(0.0)
        task = asyncio.current_task()
        assert task is not None
        for _ in range(100):
            gate.enter(task)
            gate.leave(task)
            clock.s += each_s
        gate.tick(0.0)
        return gate.limit

    assert asyncio.run(learn(0.0002)) == pytest.approx(50, abs=1)
    assert asyncio.run(learn(0.1)) == LEAST
    assert asyncio.run(learn(1e-9)) == MOST


def test_long_waits_lower_the_limit_while_requests_are_refused() -> None:
    gate = Gate(Clock())

    def tick(*lags_s: float, refused: bool) -> int:
        gate.limit, limit = (0, gate.limit) if refused else (MOST, gate.limit)
        assert gate.is_full() is refused
        gate.limit = limit
        for lag_s in lags_s:
            gate.tick(lag_s)
        return gate.limit

    assert tick(*[0.015] * 5, refused=False) == MOST, "nobody queues, the machine is busy"
    assert tick(0.5, 0.001, 0.5, 0.5, 0.5, refused=True) == MOST, "not all waits were long"
    assert tick(*[0.015] * 5, refused=True) == MOST * 2 // 3
    assert tick(*[0.001] * 5, refused=True) > MOST * 2 // 3
    for _ in range(10):
        tick(*[0.5] * 5, refused=True)
    assert gate.limit == LEAST
    for _ in range(30):
        tick(*[0.001] * 5, refused=False)
    assert gate.limit == MOST


def test_a_few_requests_teach_nothing() -> None:
    async def learn() -> int:
        clock = Clock()
        gate = Gate(clock)
        gate.tick(0.0)
        task = asyncio.current_task()
        assert task is not None
        gate.enter(task)
        gate.leave(task)
        clock.s += 1.0
        gate.tick(0.0)
        return gate.limit

    assert asyncio.run(learn()) == MOST


def test_what_goes_to_threads_has_a_limit_of_its_own() -> None:
    async def storm() -> None:
        house = House()
        house.gate.limit = 0
        reports = [await house.ask(Asked(method="GET", path="/v1/reports/x")) for _ in range(17)]
        assert [each.status for each in reports] == [None] * 16 + [503]
        health = Asked(method="GET", path="/health/live")
        health.body_comes.set()
        assert (await house.ask(health)).status == 200
        for each in reports:
            each.body_comes.set()
        await settle()
        assert [each.status for each in reports] == [200] * 16 + [503]

    run(storm)


def test_large_bodies_have_room_for_some_at_a_time() -> None:
    async def storm() -> None:
        house = House()
        large = [(b"content-length", b"%d" % (30 * 2**20))]
        asked = [await house.ask(Asked(headers=large)) for _ in range(3)]
        assert [each.status for each in asked] == [None, None, 503]
        chunked = [(b"transfer-encoding", b"chunked")]
        more = [await house.ask(Asked(headers=chunked)) for _ in range(3)]
        assert [each.status for each in more] == [None, None, 503]
        small = Asked(headers=[(b"content-length", b"1000")])
        small.body_comes.set()
        assert (await house.ask(small)).status == 200
        for each in asked:
            each.body_comes.set()
        await settle()
        huge = Asked(method="PUT", headers=[(b"content-length", b"%d" % 2**40)])
        assert (await house.ask(huge)).status == 503
        for each in more:
            each.body_comes.set()
        await settle()
        alone = Asked(method="PUT", headers=[(b"content-length", b"%d" % 2**40)])
        alone.body_comes.set()
        assert (await house.ask(alone)).status == 200, "its own limit is another matter"

    run(storm)


def test_an_upload_that_does_not_end_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "UPLOADING_S", 0.0)

    @put("/v1/thing")
    async def change(data: JSONBody[dict[str, int]]) -> None: ...

    async def upload() -> None:
        house = House(Litestar([change]))
        headers = [(b"content-type", b"application/json")]
        asked = await house.ask(
            Asked(method="PUT", path="/v1/thing", headers=headers, raw_path=b"/v1/thing")
        )
        await asyncio.wait(house.tasks)
        assert asked.status == 408

    run(upload)


def test_clients_are_sent_elsewhere_while_the_worker_closes() -> None:
    async def close() -> None:
        house = House()
        asked = Asked()
        asked.body_comes.set()
        assert "connection" not in (await house.ask(asked)).headers
        house.door.is_closing = True
        again = Asked()
        again.body_comes.set()
        assert (await house.ask(again)).headers["connection"] == "close"

    run(close)


def test_personalizer_s_clients_are_refused_in_their_shape() -> None:
    async def storm() -> None:
        house = House()
        house.gate.limit = 0
        asked = await house.ask(Asked(path="/s/news/personalizer/v1.0/rank"))
        assert asked.status == 503
        assert asked.json["error"]["code"] == "ServiceUnavailable"
        assert asked.headers["retry-after"] == "1"

    run(storm)


def test_it_opens_and_closes_with_the_application() -> None:
    seen: list[str] = []

    async def open_and_close() -> None:
        application = Litestar(
            [],
            on_startup=[lambda: seen.append("open")],
            on_shutdown=[lambda: seen.append("closed")],
        )
        house = House(application)
        async with house.door.open():
            assert seen == ["open"]
        assert seen == ["open", "closed"]

    run(open_and_close)
