import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import httpx
import pytest

from bandit.client import AsyncBanditClient, Options, Ranking
from tests.bandit.client.serving import ACTIONS, QUICK, Service, async_client_of

T = TypeVar("T")


async def ask(client: AsyncBanditClient, **more: Any) -> Ranking:
    given: dict[str, Any] = {"actions": ACTIONS, "default": ["a2", "a1"], "slots": 2} | more
    return await client.rank("home.feed", "u-1", **given)


def with_client(
    service: Callable[[httpx.Request], httpx.Response],
    use: Callable[[AsyncBanditClient], Coroutine[Any, Any, T]],
    options: Options = QUICK,
) -> T:
    async def run() -> T:
        async with async_client_of(service, options=options) as client:
            return await use(client)

    return asyncio.run(run())


def test_asked_rewarded_and_assigned_like_the_synchronous_client() -> None:
    service = Service()

    async def use(client: AsyncBanditClient) -> None:
        ranking = await ask(client, context={"hour": 13})
        assert (ranking.ids, ranking.source, ranking.policy) == (("a3", "a2"), "served", "vw")
        client.reward(ranking, 1.0)
        client.exposed(ranking)
        found = await client.assign("u", default={"button": "blue"})
        assert found.variant("button") == "green"
        assert await client.flush(5.0)
        assert client.stats().delivered == 2

    with_client(service, use)
    assert service.asked[0]["context"] == {"hour": 13}
    assert len(service.accepted["/v1/rewards"]) == 1


@pytest.mark.parametrize(
    ("trouble", "reason", "overrides"),
    [
        (httpx.ConnectError("refused"), "away", 0),
        (httpx.ReadError("reset"), "away", 1),
        (httpx.ReadTimeout("late"), "deadline", 1),
        (503, "busy", 0),
        (400, "refused", 0),
        (RuntimeError("a bug"), "error", 1),
    ],
    ids=str,
)
def test_any_trouble_gives_the_default_and_its_reason(
    trouble: Exception | int, reason: str, overrides: int
) -> None:
    service = Service()
    service.troubles["/v1/rank"] = [trouble] * (2 if reason == "away" else 1)

    async def use(client: AsyncBanditClient) -> None:
        ranking = await ask(client)
        assert (ranking.ids, ranking.source, ranking.reason) == (("a2", "a1"), "default", reason)
        client.reward(ranking, 1.0)
        assert (client.stats().withheld, client.stats().overrides) == (1, overrides)

    with_client(service, use)


def test_answer_that_never_ends_is_given_up_at_the_deadline() -> None:
    class Never(httpx.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]
            await asyncio.Event().wait()
            yield b""

    async def run() -> Ranking:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Never()))
        client = AsyncBanditClient("http://service", transport=transport)
        ranking = await ask(client, deadline_s=0.01)
        await client.aclose()
        return ranking

    assert asyncio.run(run()).reason == "deadline"


def test_cancelled_question_stays_cancelled() -> None:
    entered = asyncio.Event()

    async def never(request: httpx.Request) -> httpx.Response:
        entered.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def run() -> None:
        client = AsyncBanditClient("http://service", transport=httpx.MockTransport(never))
        asking = asyncio.create_task(ask(client, deadline_s=60.0))
        await entered.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await client.aclose()

    asyncio.run(run())


def test_many_questions_at_once_are_answered_each() -> None:
    async def use(client: AsyncBanditClient) -> list[Ranking]:
        return await asyncio.gather(*(ask(client) for _ in range(50)))

    answers = with_client(Service(), use)
    assert {answer.source for answer in answers} == {"served"}
    assert len({answer.event_id for answer in answers}) == 50


def test_records_outlive_the_loop_they_were_made_in() -> None:
    service = Service()
    client = async_client_of(service, options=Options(linger_s=60.0))
    client_answers = [asyncio.run(ask(client)) for _ in range(2)]  # a loop each
    for answer in client_answers:
        client.reward(answer, 1.0)
    asyncio.run(client.aclose())
    assert len(service.accepted["/v1/rewards"]) == 2
