"""`/v1/rank` and `/v1/rewards` over ASGI."""

import asyncio

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from bandit.errors import JournalUnavailable
from bandit.wire import RankAnswer
from tests.api.conftest import World
from tests.bandit.service.making import NOW_MS

RANK = {
    "surface": "home.feed",
    "unit_id": "user-2",
    "context": {"country": "US", "hour": 13},
    "actions": [{"id": "a1", "features": {"topic": "go"}}, {"id": "a2"}],
    "slots": 2,
}


def test_rank_is_answered_in_the_public_shape(worn: TestClient[Litestar]) -> None:
    response = worn.post("/v1/rank", json=RANK)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    answer = msgspec.json.decode(response.content, type=RankAnswer)
    assert response.json() == {
        "event_id": answer.event_id,
        "ranking": [
            {"id": "a1", "slot": 0, "propensity": 1.0},
            {"id": "a2", "slot": 1, "propensity": 1.0},
        ],
        "experiment": {"key": "feed", "variant": "treatment"},
        "policy": "order",
        "snapshot": "order@0",
        "logged": True,
        "token": None,
    }


def test_rank_journals_the_clients_own_bytes(client: TestClient[Litestar], world: World) -> None:
    body = b' {"surface" : "home.feed",  "unit_id":"u","actions":[{"id":"a"}]} '
    headers = {"content-type": "application/json; charset=utf-8"}
    assert client.post("/v1/rank", content=body, headers=headers).status_code == 200
    (segment,) = (world.folder / "journal" / "w").glob("*.seg")
    assert body in segment.read_bytes()


def test_repeated_event_id_gets_the_same_answer(client: TestClient[Litestar], world: World) -> None:
    time = f"{NOW_MS:012x}"
    event_id = f"{time[:8]}-{time[8:]}-7abc-8def-0123456789ab"
    asked = RANK | {"event_id": event_id}
    first = client.post("/v1/rank", json=asked)
    size = world.journal_bytes
    again = client.post("/v1/rank", json=asked | {"actions": [{"id": "zz"}]})
    assert first.json()["event_id"] == event_id
    assert again.content == first.content
    assert world.journal_bytes == size


@pytest.mark.parametrize("many", [False, True])
def test_rewards_are_accepted_one_or_many(worn: TestClient[Litestar], many: bool) -> None:
    event_id = worn.post("/v1/rank", json=RANK).json()["event_id"]
    one = {"event_id": event_id, "value": 1.0, "slot": 1, "name": "click"}
    response = worn.post("/v1/rewards", json=[one, one] if many else one)
    assert response.status_code == 202
    assert response.json() == {"accepted": 2 if many else 1}


@pytest.mark.parametrize("path", ["/v1/rank", "/v1/rewards"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_refused(worn: TestClient[Litestar], path: str, method: str) -> None:
    response = worn.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert response.json()["type"] == "method_not_allowed"


def test_reward_that_the_journal_does_not_take_is_503_with_retry_after(
    client: TestClient[Litestar], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(record: object) -> None:
        raise JournalUnavailable("input/output error")

    monkeypatch.setattr(world.journal, "append", broken)
    response = client.post("/v1/rewards", json={"event_id": world.event_id(), "value": 1.0})
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert response.json()["type"] == "journal_unavailable"


def test_nothing_is_answered_before_the_journal_is_durable(
    client: TestClient[Litestar], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []

    async def durable() -> None:
        await asyncio.sleep(0)
        waited.append(world.journal_bytes)

    monkeypatch.setattr(world.journal, "durable", durable)
    client.post("/v1/rank", json=RANK)
    client.post("/v1/rewards", json={"event_id": world.event_id(), "value": 1.0})
    assert waited == sorted(waited)
    assert len(set(waited)) == 2


def test_body_that_comes_in_pieces_is_put_together(worn: TestClient[Litestar]) -> None:
    whole = msgspec.json.encode(RANK)
    pieces = (whole[start : start + 7] for start in range(0, len(whole), 7))
    headers = {"content-type": "application/json"}
    assert worn.post("/v1/rank", content=pieces, headers=headers).status_code == 200
