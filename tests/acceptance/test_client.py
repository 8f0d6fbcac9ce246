"""`bandit.client` against real workers that are killed and come back."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bandit.client import AsyncBanditClient, BanditClient, Options, Ranking
from bandit.service.accepting import derived_reward_id
from bandit.store.client import Store
from tests.acceptance.test_api import Service
from tests.chaos.tree import below, is_gone
from tests.until import until

pytestmark = pytest.mark.acceptance
ACTIONS = [{"id": f"a{n}", "features": {"topic": f"t{n % 3}"}} for n in range(8)]
# The machine is shared with other tests: nothing here is about speed.
PATIENT = Options(deadline_s=20.0, breaker_failures=2, breaker_pause_s=0.05, pause_most_s=0.2)


@pytest.fixture
def service(tmp_path: Path, clickhouse_url: str) -> Iterator[Service]:
    service = Service(tmp_path, clickhouse_url)
    service.start()
    yield service
    service.client.close()
    service.stop()


def url(service: Service) -> str:
    return f"http://127.0.0.1:{service.port}"


def asked(unit: int) -> dict[str, Any]:
    return {"context": {"hour": unit % 24}, "actions": ACTIONS, "slots": 2, "default": ["a5", "a1"]}


def kill(service: Service) -> None:
    """`kill -9` of the supervisor; its workers end with it."""
    assert service.process is not None
    workers = below(service.process.pid)
    service.process.kill()
    service.process.wait()
    # A worker that ends still answers whoever has asked, on connections that are open.
    until(lambda: all(map(is_gone, workers)), "the workers' end")


def reward_ids(service: Service, clickhouse_url: str) -> set[str]:
    """What the log has; of rows with one id every reader counts one."""
    store = Store.connect(clickhouse_url, database=service.environ["BANDIT_CLICKHOUSE_DATABASE"])
    try:
        return {row[0] for row in store.rows("audit_reward_ids", surface="home.feed")}
    finally:
        store.close()


def test_application_goes_on_while_the_service_is_killed_and_nothing_it_earned_is_lost(
    service: Service, clickhouse_url: str
) -> None:
    service.declare()
    with BanditClient(url(service), options=PATIENT) as client:
        answers = [client.rank("home.feed", f"user-{unit}", **asked(unit)) for unit in range(20)]
        assert {answer.source for answer in answers} == {"served"}
        for answer in answers[:10]:
            client.reward(answer, 1.0, name="click")
        kill(service)
        away = [client.rank("home.feed", f"user-{unit}", **asked(unit)) for unit in range(50)]
        assert {(answer.ids, answer.source) for answer in away} == {(("a5", "a1"), "default")}
        assert {answer.reason for answer in away} <= {"away", "breaker"}
        for answer in answers[10:] + away:
            client.reward(answer, 1.0, name="click")
        client.outcome("user-1", "revenue", 9.5)
        service.start()
        until(lambda: client.flush(1.0), "delivery after the restart", 60.0)
        units = itertools.count(20)

        def served() -> Ranking | None:
            answer = client.rank("home.feed", f"user-{next(units)}", **asked(0))
            return answer if answer.served else None

        until(served, "a served answer after the restart", 60.0)
        stats = client.stats()
    assert (stats.delivered, stats.withheld, stats.waiting) == (21 + stats.overrides, 50, 0)
    expected = {derived_reward_id(answer.event_id, "click", 0) for answer in answers}
    until(lambda: reward_ids(service, clickhouse_url) >= expected, "the rewards in the log", 60.0)
    assert reward_ids(service, clickhouse_url) == expected


def test_decision_that_was_asked_for_twice_is_one(service: Service) -> None:
    service.declare()

    async def use() -> list[Ranking]:
        async with AsyncBanditClient(url(service), options=PATIENT) as client:
            first = await client.rank("home.feed", "user-1", **asked(1))
            again = await client.rank("home.feed", "user-1", **asked(1), event_id=first.event_id)
            return [first, again]

    first, again = asyncio.run(use())
    assert first.served
    # The other worker may have been asked, but draws alike: the seed is a function of the id.
    assert (first.event_id, first.ids) == (again.event_id, again.ids)
