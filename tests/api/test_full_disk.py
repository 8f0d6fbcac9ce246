"""A disk that is full or fails: rankings go on and say so, the rest is to be sent again."""

import errno
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from bandit.errors import JournalUnavailable
from bandit.event_id import read_event_id, surface_tag
from bandit.journal.disk import Space
from bandit.specs import Surface
from tests.api.conftest import DECLARED, World
from tests.bandit.journal.fakes import ROOMY
from tests.bandit.service.making import NOW_MS, SALT
from tests.bandit.service.test_assigning import BUTTON

RANK = {"surface": "home.feed", "unit_id": "u", "actions": [{"id": "a1"}, {"id": "a2"}]}
PERSONALIZER = {"actions": [{"id": "a1", "features": []}, {"id": "a2", "features": []}]}


@pytest.fixture(scope="module")
def one_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """For all tests here: an application takes longer to make than all of them."""
    declared = [*DECLARED, BUTTON, Surface(key="personalizer", policy="order")]
    return World(tmp_path_factory.mktemp("world"), declared=declared)


@pytest.fixture(scope="module")
def client(one_world: World) -> Iterator[TestClient[Litestar]]:
    with TestClient(one_world.app()) as client:
        one_world.wait_for_revision()
        yield client


@pytest.fixture
def world(one_world: World) -> Iterator[World]:
    yield one_world
    free(one_world)


@pytest.fixture
def own(request: pytest.FixtureRequest) -> str:
    """A client's own event id, another one for each test."""
    name = hashlib.sha256(request.node.name.encode()).hexdigest()
    time = f"{NOW_MS:012x}"
    return f"{time[:8]}-{time[8:]}-7abc-8def-{name[:12]}"


def fill(world: World) -> None:
    world.disk.left = Space(1000, 40)
    world.journal.tick()


def free(world: World) -> None:
    world.disk.left, world.disk.error = ROOMY, None
    world.journal.tick()


def unlogged(client: TestClient[Litestar], kind: str) -> float:
    line = f'bandit_unlogged_records_total{{kind="{kind}"}} '
    lines = client.get("/metrics").text.splitlines()
    return sum(float(found.removeprefix(line)) for found in lines if found.startswith(line))


@pytest.mark.parametrize("is_own", [False, True])
def test_ranking_goes_on_and_says_that_it_is_not_logged(
    client: TestClient[Litestar], world: World, own: str, is_own: bool
) -> None:
    fill(world)
    before, counted = world.journal_bytes, unlogged(client, "decision")
    asked = RANK | ({"event_id": own} if is_own else {})
    answer = client.post("/v1/rank", json=asked)
    assert answer.status_code == 200
    told = answer.json()
    assert (len(told["ranking"]), told["logged"]) == (1, False)
    read = read_event_id(told["event_id"], SALT)
    assert (read.surface_tag, read.logged) == (surface_tag("home.feed"), False)
    again = client.post("/v1/rank", json=RANK | {"event_id": own if is_own else told["event_id"]})
    assert again.json() == told
    assert world.journal_bytes == before
    assert unlogged(client, "decision") == counted + 2


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_write_that_fails_is_no_reason_not_to_rank(
    client: TestClient[Litestar], world: World, code: int
) -> None:
    world.disk.error = code
    answers = [client.post("/v1/rank", json=RANK) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert [answer.json()["logged"] for answer in answers] == [False] * 3
    free(world)
    assert client.post("/v1/rank", json=RANK).json()["logged"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/rewards", {"value": 1.0}),
        ("/v1/rewards", [{"value": 1.0}]),
        ("/v1/exposures", {"slots": [0]}),
        ("/v1/outcomes", {"unit_id": "u", "name": "revenue", "value": 1.0}),
        ("/v1/assignments", {"unit_id": "user-2"}),
    ],
)
def test_what_would_have_to_be_kept_is_to_be_sent_again(
    client: TestClient[Litestar], world: World, path: str, body: Any
) -> None:
    named = {"event_id": world.event_id(surface_tag("home.feed"))}
    if path in ("/v1/rewards", "/v1/exposures"):
        body = [body[0] | named] if isinstance(body, list) else body | named
    fill(world)
    before = world.journal_bytes
    refused = client.post(path, json=body)
    assert (refused.status_code, refused.json()["type"]) == (503, "storage_full")
    assert int(refused.headers["retry-after"]) > 0
    assert world.journal_bytes == before
    free(world)
    assert client.post(path, json=body).status_code in (200, 202)
    assert world.journal_bytes > before


def test_request_that_breaks_a_rule_is_told_so_on_a_full_disk(
    client: TestClient[Litestar], world: World
) -> None:
    fill(world)
    bad = {"event_id": world.event_id(surface_tag("home.feed")), "value": 7e6}
    assert client.post("/v1/rewards", json=bad).status_code == 400


def test_assignment_is_told_on_a_full_disk_if_it_is_not_to_be_kept(
    client: TestClient[Litestar], world: World
) -> None:
    fill(world)
    asked = {"unit_id": "user-3", "log": False}
    assert client.post("/v1/assignments", json=asked).status_code == 200
    flag = {"context": {"targetingKey": "user-3"}}
    refused = client.post("/ofrep/v1/evaluate/flags/button", json=flag)
    assert (refused.status_code, refused.json()["errorCode"]) == (503, "GENERAL")


@pytest.mark.parametrize("is_full", [True, False])
def test_what_comes_back_for_a_decision_that_nobody_logged_falls_with_it(
    client: TestClient[Litestar], world: World, is_full: bool
) -> None:
    fill(world)
    event_id = client.post("/v1/rank", json=RANK).json()["event_id"]
    if not is_full:
        free(world)
    before = world.journal_bytes
    counted = [unlogged(client, kind) for kind in ("reward", "exposure")]
    for path, one in (
        ("/v1/rewards", {"event_id": event_id, "value": 1.0}),
        ("/v1/exposures", {"event_id": event_id, "slots": [0]}),
    ):
        for body, n in ((one, 1), ([one, one], 2)):
            answer = client.post(path, json=body)
            assert (answer.status_code, answer.json()) == (202, {"accepted": 0}), n
    assert world.journal_bytes == before
    assert [unlogged(client, kind) for kind in ("reward", "exposure")] == [n + 3 for n in counted]
    assert client.post("/v1/rewards", json=one | {"value": 1}).status_code == 400  # still checked


def test_only_those_of_a_list_that_belong_to_something_are_counted(
    client: TestClient[Litestar], world: World, own: str
) -> None:
    fill(world)
    ours = client.post("/v1/rank", json=RANK).json()["event_id"]
    free(world)
    logged = client.post("/v1/rank", json=RANK).json()["event_id"]
    both = [{"event_id": one, "value": 1.0} for one in (ours, logged, own)]
    answer = client.post("/v1/rewards", json=[both[0], both[1], both[2] | {"surface": "home.feed"}])
    assert answer.json() == {"accepted": 2}


def test_decision_that_the_disk_did_not_confirm_is_answered_and_keeps_its_rewards(
    client: TestClient[Litestar], world: World, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unsure() -> None:
        raise JournalUnavailable("input/output error")

    with monkeypatch.context() as failing:
        failing.setattr(world.journal, "durable", unsure)
        told = client.post("/v1/rank", json=RANK | {"event_id": own}).json()
    assert (told["event_id"], told["logged"]) == (own, False)
    reward = {"event_id": own, "value": 1.0, "surface": "home.feed"}
    assert client.post("/v1/rewards", json=reward).json() == {"accepted": 1}


@pytest.mark.parametrize("name", [None, "order-7", "01a0c450-6c00-7abc-8def-0123456789ab"])
def test_personalizers_events_go_on_and_fall_together(
    client: TestClient[Litestar], world: World, name: str | None
) -> None:
    fill(world)
    before = world.journal_bytes
    counted = [unlogged(client, kind) for kind in ("reward", "exposure")]
    asked = PERSONALIZER | ({"eventId": name} if name else {})
    ranked = client.post("/personalizer/v1.0/rank", json=asked)
    assert ranked.status_code == 201
    event = ranked.json()["eventId"]
    assert name in (None, event)
    for path, body in (("reward", {"value": 1.0}), ("activate", None)):
        answer = client.post(f"/personalizer/v1.0/events/{event}/{path}", json=body)
        assert answer.status_code == 204, answer.text
    assert client.post("/personalizer/v1.0/rank", json=asked | {"eventId": event}).json() == (
        ranked.json()
    )
    assert world.journal_bytes == before
    assert [unlogged(client, kind) for kind in ("reward", "exposure")] == [n + 1 for n in counted]


def test_personalizers_rewards_of_logged_events_are_to_be_sent_again(
    client: TestClient[Litestar], world: World
) -> None:
    event = client.post("/personalizer/v1.0/rank", json=PERSONALIZER).json()["eventId"]
    fill(world)
    reward = f"/personalizer/v1.0/events/{event}/reward"
    assert client.post(reward, json={"value": 1.0}).status_code == 503
    free(world)
    assert client.post(reward, json={"value": 1.0}).status_code == 204


def test_health_tells_how_full_the_disk_is(client: TestClient[Litestar], world: World) -> None:
    assert client.get("/health/ready").json()["disk"] == "ok"
    fill(world)
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["disk"]) == (200, "full")


def test_thinned_decisions_say_so_one_by_one(client: TestClient[Litestar], world: World) -> None:
    world.disk.left = Space(1000, 95)
    world.journal.tick()
    assert world.journal.keep_share == 0.5
    counted = unlogged(client, "decision")
    told = [client.post("/v1/rank", json=RANK).json() for _ in range(40)]
    logged = [one for one in told if one["logged"]]
    assert 5 < len(logged) < 35
    assert unlogged(client, "decision") == counted + 40 - len(logged)
    assert all(read_event_id(one["event_id"], SALT).logged == one["logged"] for one in told)
    rewards = [{"event_id": one["event_id"], "value": 1.0} for one in told]
    assert client.post("/v1/rewards", json=rewards).json() == {"accepted": len(logged)}
