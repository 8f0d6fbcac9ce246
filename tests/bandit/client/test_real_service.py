"""The client's requests, as the real application takes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from bandit.client import BanditClient, Options
from bandit.journal.disk import Space
from bandit.records import AnyLogRecord, Decision, Exposure, Outcome, Reward
from bandit.specs import PolicySpec, Surface
from tests.api.conftest import World
from tests.bandit.client.serving import ACTIONS, NOW_MS, QUICK, Clock

DECLARED = (
    PolicySpec(key="random", type="uniform"),
    Surface(key="home.feed", policy="random", reward_low=0.0),
)


class Line:
    """Between client and application; an answer may be lost on it."""

    def __init__(self, application: TestClient[Litestar]) -> None:
        self.application = application
        self.loses = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        response = self.application.request(
            request.method, request.url.path, content=request.content, headers=request.headers
        )
        if self.loses:
            self.loses -= 1
            raise httpx.ReadTimeout("the answer was lost", request=request)
        return httpx.Response(response.status_code, content=response.content)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, declared=DECLARED)
    world.now_ms = NOW_MS
    return world


@pytest.fixture
def journaled(world: World) -> list[AnyLogRecord]:
    kept: list[Any] = []
    world.journal.append = kept.append  # type: ignore[method-assign]
    world.journal.append_many = kept.extend  # type: ignore[method-assign]
    return kept


@pytest.fixture
def line(world: World, journaled: list[AnyLogRecord]) -> Iterator[Line]:
    with TestClient(world.app()) as application:
        world.wait_for_revision()
        yield Line(application)


def client_on(line: Line, options: Options = QUICK) -> BanditClient:
    ambient = Clock().ambient()
    transport = httpx.MockTransport(line)
    # A clock that stands still never lingers, but at the end.
    return BanditClient("http://service", options=options, transport=transport, ambient=ambient)


def test_every_kind_of_request_is_taken(line: Line, journaled: list[AnyLogRecord]) -> None:
    client = client_on(line)
    ranking = client.rank(
        "home.feed", "u", context={"hour": 3}, actions=ACTIONS, default=["a1"], slots=2
    )
    assert ranking.served
    client.reward(ranking, 1.0, slot=1, name="click")
    client.exposed(ranking, [1])
    client.overridden(ranking, 0, "ad-7")
    client.outcome("u", "revenue", 9.5)
    assert client.assign("u", default={"none": "control"}).source == "served"
    client.close()
    [decision] = [r for r in journaled if isinstance(r, Decision)]
    assert [ACTIONS[index]["id"] for index in decision.ranking] == list(ranking.ids)
    [reward] = [r for r in journaled if isinstance(r, Reward)]
    assert (reward.event_id, reward.surface, reward.slot) == (ranking.event_id, "home.feed", 1)
    seen = [(r.surface, r.slots, r.overridden) for r in journaled if isinstance(r, Exposure)]
    assert seen == [("home.feed", (1,), ()), ("home.feed", (), ((0, "ad-7"),))]
    assert [r.value for r in journaled if isinstance(r, Outcome)] == [9.5]
    assert client.stats().refused == 0


def test_decision_whose_answer_was_lost_is_known_to_be_overridden(
    line: Line, journaled: list[AnyLogRecord]
) -> None:
    client = client_on(line)
    line.loses = 1
    ranking = client.rank("home.feed", "u", actions=ACTIONS, default=["a3", "a1"], slots=2)
    assert (ranking.ids, ranking.reason) == (("a3", "a1"), "deadline")
    client.reward(ranking, 1.0)
    client.close()
    [decision] = [r for r in journaled if isinstance(r, Decision)]
    [exposure] = [r for r in journaled if isinstance(r, Exposure)]
    assert exposure.event_id == decision.event_id
    assert exposure.overridden == ((0, "a3"), (1, "a1"))
    assert not [r for r in journaled if isinstance(r, Reward)]


def test_answer_that_is_not_logged_says_so_and_what_comes_back_is_taken(
    line: Line, world: World, journaled: list[AnyLogRecord]
) -> None:
    client = client_on(line)
    world.disk.left = Space(1000, 40)
    world.journal.tick()
    ranking = client.rank("home.feed", "u", actions=ACTIONS, default=["a1"])
    assert (ranking.served, ranking.logged) == (True, False)
    client.reward(ranking, 1.0)
    client.exposed(ranking)
    client.close()
    assert (client.stats().delivered, client.stats().retries, journaled) == (2, 0, [])


def test_bad_reward_takes_no_good_one_with_it(line: Line, journaled: list[AnyLogRecord]) -> None:
    client = client_on(line)
    ranking = client.rank("home.feed", "u", actions=ACTIONS, default=["a1"])
    for number in range(20):
        client.reward(ranking, -1.0 if number == 7 else 1.0, reward_id=f"r-{number}")
    client.reward(ranking.event_id, 1.0, surface="nobody.declared", reward_id="gone")
    client.close()
    ids = [r.reward_id for r in journaled if isinstance(r, Reward)]
    assert ids == [f"r-{number}" for number in range(20) if number != 7]
    assert (client.stats().delivered, client.stats().refused) == (19, 2)
