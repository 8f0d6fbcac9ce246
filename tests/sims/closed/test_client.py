"""A client against a service that keeps books of its own, and is sometimes too busy."""

import asyncio
import itertools
import time
from collections import Counter
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, web

from sims.closed.books import Books
from sims.closed.client import Assignment, Client, Refused
from sims.closed.plan import Plan
from tests.sims.closed.making import POPULATION

PLAN = Plan(
    rate_per_s=300.0,
    seconds=0.6,
    repetitions=2,
    learning=0,
    learning_share=0.0,
    clients=1,
    window_s=0.4,
    lost=0.3,
    late=0.4,
    doubled=0.3,
    repeated=0.2,
)


class Service:
    """Ranks in the offered order; every seventh request is one too many."""

    def __init__(self, status: int = 503, every: int = 7) -> None:
        self._status, self._every = status, every
        self._numbers = itertools.count(1)
        self.busy_n = 0
        self.asked: Counter[str] = Counter()
        self.rewards: Counter[str] = Counter()

    async def rank(self, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read())
        number = next(self._numbers)
        if number % self._every == 0:
            self.busy_n += 1
            return web.Response(status=self._status, text="busy")
        event_id = body["event_id"] or f"0192d0c4-{number:04x}-7000-8000-000000000000"
        self.asked[event_id] += 1
        top = {"id": body["actions"][0]["id"], "slot": 0, "propensity": 0.5}
        answer: dict[str, Any] = {
            "event_id": event_id,
            "ranking": [top],
            "experiment": {"key": body["surface"], "variant": "uniform"},
            "policy": "p",
            "snapshot": "p@0",
        }
        return web.json_response(answer)

    async def reward(self, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read())
        self.rewards[body["event_id"]] += 1
        return web.json_response({"accepted": 1}, status=202)


def play(service: Service, plan: Plan = PLAN) -> Books:
    async def all_of_it() -> Books:
        app = web.Application()
        app.router.add_post("/v1/rank", service.rank)
        app.router.add_post("/v1/rewards", service.reward)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        given = Assignment(0, f"http://{host}:{port}", None, plan, POPULATION, time.time_ns)
        try:
            async with ClientSession(headers={"content-type": "application/json"}) as session:
                return await Client(session, given).run()
        finally:
            await runner.cleanup()

    return asyncio.run(all_of_it())


def test_books_are_what_the_service_saw() -> None:
    service = Service()
    books = play(service)
    assert books.refused == []
    assert books.retries_n == service.busy_n > 0
    assert books.unknown_n == books.unlike_n == 0
    assert {story.event_id for story in books.stories} == set(service.asked)
    assert sum(service.asked.values()) == len(books.stories) + books.repeated_n
    assert {s.event_id: s.sent_n for s in books.stories if s.sent_n} == dict(service.rewards)
    assert len(books.rank_ms) == sum(service.asked.values())
    assert len(books.reward_ms) == sum(service.rewards.values())
    kinds = Counter(story.sent for story in books.stories)
    assert kinds["lost"] > 0
    assert kinds["late"] > 0
    assert all((story.sent == "nothing") == (story.reward == 0.0) for story in books.stories)
    assert all(story.sent_n == 0 for story in books.stories if story.sent in ("nothing", "lost"))


def test_client_that_is_refused_for_good_ends() -> None:
    with pytest.raises(Refused, match="POST /v1/rank: 400 busy"):
        play(Service(status=400, every=1))
