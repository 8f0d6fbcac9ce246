import asyncio
from collections.abc import Callable, Iterator

import httpx
import msgspec
import pytest

from bandit.records import Action
from bandit.wire import AssignedVariant, RankAnswer, RankedAction, RankRequest, RewardRequest
from sims.driver import Driver, Refused
from sims.worlds.base import Round

EVENT_ID = "0192f0c4-8e00-7abc-8def-00000000{:04x}"


class Service:
    """Ranks the second action first, and fails when it is told to."""

    def __init__(self) -> None:
        self.ranked: list[RankRequest] = []
        self.rewarded: list[RewardRequest] = []
        self.troubles: dict[str, list[Exception | int]] = {"/v1/rank": [], "/v1/rewards": []}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        trouble = self.troubles[request.url.path]
        if trouble and isinstance(trouble[0], Exception):
            raise trouble.pop(0)
        if trouble:
            return httpx.Response(trouble.pop(0), json={"title": "no"})
        if request.url.path == "/v1/rewards":
            self.rewarded.append(msgspec.json.decode(request.content, type=RewardRequest))
            return httpx.Response(202, json={"accepted": 1})
        asked = msgspec.json.decode(request.content, type=RankRequest)
        self.ranked.append(asked)
        answer = RankAnswer(
            event_id=EVENT_ID.format(len(self.ranked)),
            ranking=[RankedAction(id=asked.actions[1].id, slot=0, propensity=0.25)],
            experiment=AssignedVariant(key="e", variant="treatment"),
            policy="movies-vw",
            snapshot="movies-vw@41",
        )
        return httpx.Response(200, content=msgspec.json.encode(answer))


def rounds(*rewards: float) -> Iterator[Round]:
    for number, reward in enumerate(rewards):
        yield Round(
            unit_id=f"user-{number}",
            context=b'{"age":"56+"}',
            actions=(Action.of("a"), Action.of("b", decade="1990s")),
            rewards=(0.5, reward),
            expected=(0.5, reward),
        )


def play(
    service: Callable[[httpx.Request], httpx.Response], *rewards: float, patience_s: float = 30.0
) -> Driver:
    async def run() -> Driver:
        transport = httpx.MockTransport(service)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            driver = Driver(client, "movies", "like", patience_s=patience_s, pauses_s=(0.0,))
            await driver.play(rounds(*rewards), len(rewards), rate_per_s=1e6, concurrency=1)
            return driver

    return asyncio.run(run())


def test_driver_rewards_the_action_that_was_shown_if_it_earned_something() -> None:
    service = Service()
    ledger = play(service, 1.0, 0.0).ledger
    assert [(r.event_id, r.value, r.name) for r in service.rewarded] == [
        (EVENT_ID.format(1), 1.0, "like")
    ]
    assert [(s.reward, s.snapshot, s.propensity) for s in ledger.shown] == [
        (1.0, 41, 0.25),
        (0.0, 41, 0.25),
    ]
    assert ledger.mean_reward("treatment") == 0.5
    assert ledger.mean_reward("control") is None


def test_driver_sends_what_the_round_holds() -> None:
    service = Service()
    play(service, 1.0)
    asked = service.ranked[0]
    assert (asked.surface, asked.unit_id, bytes(asked.context)) == (
        "movies",
        "user-0",
        b'{"age":"56+"}',
    )
    assert bytes(asked.actions[1].features) == b'{"decade":"1990s"}'


def test_event_time_is_read_from_the_id() -> None:
    assert play(Service(), 0.0).ledger.shown[0].ts_ms == 0x0192F0C48E00


@pytest.mark.parametrize(
    ("trouble", "unknown_n"),
    [(httpx.ConnectError("refused"), 0), (503, 0), (httpx.ReadError("reset"), 1)],
    ids=["not sent", "try later", "broken after sending"],
)
def test_driver_ranks_again_and_counts_what_nobody_can_know(
    trouble: Exception | int, unknown_n: int
) -> None:
    service = Service()
    service.troubles["/v1/rank"] = [trouble]
    ledger = play(service, 0.0).ledger
    assert len(ledger.shown) == 1
    assert (ledger.unknown_n, ledger.retries_n) == (unknown_n, 1)


def test_driver_sends_a_reward_again_under_the_same_id() -> None:
    service = Service()
    service.troubles["/v1/rewards"] = [httpx.ReadError("reset"), 503]
    ledger = play(service, 1.0).ledger
    assert ledger.reward_ids == {f"like-{EVENT_ID.format(1)}"}
    assert [r.reward_id for r in service.rewarded] == list(ledger.reward_ids)
    assert (ledger.unknown_n, ledger.retries_n) == (0, 2)


def test_driver_stops_at_a_refusal_and_says_what_was_answered() -> None:
    service = Service()
    service.troubles["/v1/rank"] = [400]
    with pytest.raises(Refused, match=r'POST /v1/rank: 400 \{"title":"no"\}'):
        play(service, 1.0, 1.0)
    assert not service.ranked


def test_driver_gives_up_when_its_patience_ends() -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(Refused, match="no success in 0 s, last: ConnectError"):
        play(never, 1.0, patience_s=0.0)
