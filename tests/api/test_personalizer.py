"""Personalizer's protocol, route by route; its own clients are in `tests/acceptance`."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient
from msgspec.structs import replace

from api.personalizer import NOT_OFFERED, VERSIONS
from bandit.records import AnyLogRecord, Decision, Exposure, Reward
from bandit.service.aliases import BUCKET_MS
from bandit.specs import ContextRule, PolicySpec, Surface
from bandit.wire import RankRequest
from tests.api.conftest import World
from tests.bandit.service.making import NOW_MS, logged

LEARNED = PolicySpec(key="loop-vw", type="vw", surface="personalizer", floor=0.01)
DECLARED = (
    LEARNED,
    PolicySpec(key="order", type="fixed"),
    Surface(key="personalizer", policy="loop-vw", max_actions=50, join_window_s=600.0),
    Surface(key="home.feed", policy="order", max_actions=50),
)
RANK = {
    "contextFeatures": [{"user": {"country": "US"}}, {"user": {"hour": 13}, "tag": "a"}],
    "actions": [{"id": f"a{n}", "features": [{"topic": f"t{n}"}, {"age": n}]} for n in range(3)],
    "excludedActions": ["a0"],
    "deferActivation": False,
}
SLOTS = {
    "contextFeatures": [{"hour": 13}],
    "actions": [{"id": f"a{n}", "features": [{"topic": f"t{n}"}]} for n in range(4)],
    "slots": [
        {"id": "hero", "features": [{"size": "big"}], "baselineAction": "a2"},
        {"id": "side", "features": [{"size": "small"}], "baselineAction": "a0"},
    ],
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, declared=DECLARED)


@pytest.fixture
def kept(world: World) -> list[AnyLogRecord]:
    records: list[AnyLogRecord] = []
    world.journal.append = records.append  # type: ignore[method-assign]
    world.journal.append_many = records.extend  # type: ignore[method-assign, assignment]
    return records


@pytest.fixture
def client(world: World, kept: list[AnyLogRecord]) -> Iterator[TestClient[Litestar]]:
    with TestClient(world.app()) as client:
        yield client


def deliver(world: World, decision: AnyLogRecord) -> None:
    assert isinstance(decision, Decision)
    asked = msgspec.json.decode(decision.request, type=RankRequest)
    given = tuple(bytes(features) for features in asked.slot_features)
    world.link.logged[decision.event_id] = logged(decision, asked, slot_features=given)


def post(client: TestClient[Litestar], path: str, body: Any = None, status: int = 201) -> Any:
    response = client.post(f"/personalizer/v1.0{path}", json=body)
    assert response.status_code == status, response.text
    return response.json() if response.content else None


def another_worker(world: World) -> TestClient[Litestar]:
    """Over the same log, with a memory of its own."""
    world.services = world._services()
    return TestClient(world.app())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("place", ["", "/s/personalizer"])
def test_rank_answers_every_action_with_its_probability(
    client: TestClient[Litestar], kept: list[AnyLogRecord], place: str, version: str
) -> None:
    response = client.post(f"{place}{version}/rank", json=RANK)
    assert response.status_code == 201, response.text
    answer = response.json()
    assert [action["id"] for action in answer["ranking"]] == ["a0", "a1", "a2"]
    probabilities = {action["id"]: action["probability"] for action in answer["ranking"]}
    assert probabilities["a0"] == 0.0
    assert sum(probabilities.values()) == pytest.approx(1.0)
    [decision] = kept
    assert isinstance(decision, Decision)
    assert decision.propensities[0] == pytest.approx(probabilities[answer["rewardActionId"]])
    assert answer["eventId"] == decision.event_id == decision.unit_id
    assert decision.request.startswith(b'{"surface":"personalizer"')
    assert b'"context":{"user":{"country":"US","hour":13},"tag":"a"}' in decision.request


def test_what_the_surface_withholds_is_not_logged(tmp_path: Path) -> None:
    rules = {"user": ContextRule(rule="hash"), "tag": ContextRule(rule="drop")}
    *others, last = DECLARED
    world = World(tmp_path, declared=(*others, replace(last, context=rules)))
    with TestClient(world.app()) as client:
        response = client.post("/s/home.feed/personalizer/v1.0/rank", json=RANK)
        assert response.status_code == 201, response.text
    [journaled] = [path.read_bytes() for path in world.journal._folder.glob("*.seg")]
    assert b'"US"' not in journaled
    assert b'"context":{"user":{"country":"' in journaled
    assert b'"tag"' not in journaled


def test_surface_is_named_by_address_or_header(
    client: TestClient[Litestar], kept: list[AnyLogRecord]
) -> None:
    client.post("/s/home.feed/personalizer/v1.0/rank", json=RANK)
    client.post("/personalizer/rank", json=RANK, headers={"x-bandit-surface": "home.feed"})
    assert [record.surface for record in kept] == ["home.feed", "home.feed"]


def test_event_named_by_the_client_gets_one_answer_and_its_rewards(
    client: TestClient[Litestar], kept: list[AnyLogRecord]
) -> None:
    named = "Order #7?é% " + "x" * 200
    first = post(client, "/rank", {**RANK, "eventId": named})
    assert first["eventId"] == named
    assert post(client, "/rank", {**RANK, "eventId": named}) == first
    assert len(kept) == 1
    path = f"/events/{quote(named, safe='')}"
    post(client, f"{path}/activate", status=204)
    post(client, f"{path}/reward", {"value": 0.25}, status=204)
    post(client, f"{path}/reward", {"value": 0.5}, status=204)
    decision, exposure, *rewards = kept
    assert isinstance(decision, Decision)
    assert isinstance(exposure, Exposure)
    assert (exposure.event_id, exposure.slots) == (decision.event_id, (0,))
    assert abs(exposure.decision_ts_ms - decision.ts_ms) <= BUCKET_MS // 2
    assert [reward.value for reward in rewards if isinstance(reward, Reward)] == [0.25, 0.5]
    assert {reward.event_id for reward in rewards if isinstance(reward, Reward)} == {
        decision.event_id
    }
    assert len({reward.reward_id for reward in rewards if isinstance(reward, Reward)}) == 2


def test_reward_of_a_named_event_reaches_its_decision_through_any_worker(
    world: World, client: TestClient[Litestar], kept: list[AnyLogRecord]
) -> None:
    offsets_ms, later_ms = (0, 1, BUCKET_MS // 2, BUCKET_MS - 1), (0, 599_000)
    with another_worker(world) as other:
        for case in itertools.product(offsets_ms, later_ms, (True, False)):
            name, (offset, later, delivered) = f"e-{case}", case
            kept.clear()
            world.now_ms = NOW_MS // BUCKET_MS * BUCKET_MS + offset
            post(client, "/rank", {**RANK, "eventId": name})
            decision = kept[0]
            assert isinstance(decision, Decision)
            if delivered:
                deliver(world, decision)
            world.now_ms += later
            post(other, f"/events/{quote(name)}/reward", {"value": 1.0}, status=204)
            told = [record.event_id for record in kept if isinstance(record, Reward)]
            assert told.count(decision.event_id) == 1, case
            assert len(told) <= (1 if delivered else 2), case


def test_named_event_is_answered_from_the_log_by_a_worker_that_does_not_know_it(
    world: World, client: TestClient[Litestar], kept: list[AnyLogRecord]
) -> None:
    first = post(client, "/rank", {**RANK, "eventId": "e-1"})
    deliver(world, kept[0])
    with another_worker(world) as other:
        other_actions = [*reversed(RANK["actions"])]  # type: ignore[call-overload]
        again = post(other, "/rank", {**RANK, "eventId": "e-1", "actions": other_actions})
    assert again == first
    assert len(kept) == 1


def test_slots_are_filled_and_rewarded_by_their_ids(
    world: World, client: TestClient[Litestar], kept: list[AnyLogRecord]
) -> None:
    answer = post(client, "/multislot/rank", {**SLOTS, "eventId": "m-1", "deferActivation": True})
    assert [slot["id"] for slot in answer["slots"]] == ["hero", "side"]
    assert len({slot["rewardActionId"] for slot in answer["slots"]}) == 2
    decision = kept[0]
    assert isinstance(decision, Decision)
    assert decision.deferred
    assert b'"slot_features":[{"size":"big","slot":"hero"},' in decision.request
    deliver(world, decision)
    with another_worker(world) as other:
        post(other, "/multislot/events/m-1/activate", status=204)
        reward = {"reward": [{"slotId": "side", "value": 0.5}]}
        post(other, "/multislot/events/m-1/reward", reward, status=204)
        refused = post(
            other, "/multislot/events/m-1/reward", {"reward": [{"slotId": "x", "value": 1}]}, 400
        )
    assert refused["error"]["innerError"]["code"] == "InvalidRewardRequest"
    _, exposure, told = kept
    assert isinstance(exposure, Exposure)
    assert isinstance(told, Reward)
    assert exposure.slots == (0, 1)
    assert (told.event_id, told.slot, told.value) == (decision.event_id, 1, 0.5)


def test_slots_of_an_event_that_nobody_knows_yet_are_asked_for_again(
    worn: TestClient[Litestar],
) -> None:
    response = worn.post(
        "/personalizer/multislot/events/unknown/reward",
        json={"reward": [{"slotId": "hero", "value": 1.0}]},
    )
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert response.json()["error"]["code"] == "ServiceUnavailable"


def test_baseline_of_every_slot_is_what_a_fixed_policy_serves(
    worn: TestClient[Litestar],
) -> None:
    response = worn.post("/s/home.feed/personalizer/multislot/rank", json=SLOTS)
    assert [slot["rewardActionId"] for slot in response.json()["slots"]] == ["a2", "a0"]


def slot(**changes: Any) -> dict[str, Any]:
    return {"id": "hero", "features": [], "baselineAction": "a2"} | changes


@pytest.mark.parametrize(
    ("path", "body", "code", "says"),
    [
        ("/rank", {**RANK, "actions": []}, "InvalidRankRequest", "no action is offered"),
        ("/rank", {**RANK, "eventId": "a/b"}, "InvalidRankRequest", "^[^/]*$"),
        ("/rank", {**RANK, "eventId": "x" * 257}, "InvalidRankRequest", "length <= 256"),
        ("/rank", {**RANK, "excludedActions": ["a0", "a1", "a2"]}, "InvalidRankRequest", "excl"),
        ("/events/e/reward", {"value": 7.0}, "InvalidRewardRequest", "must be in [-1, 1]"),
        ("/events/e/reward", {"value": "1"}, "InvalidRewardRequest", "Expected `float`"),
        ("/multislot/rank", {**SLOTS, "slots": []}, "InvalidRankRequest", "length >= 1"),
        (
            "/multislot/rank",
            {**SLOTS, "slots": [slot(), slot()]},
            "InvalidRankRequest",
            "'hero' is repeated",
        ),
        (
            "/multislot/rank",
            {**SLOTS, "slots": [slot(baselineAction="gone")]},
            "InvalidRankRequest",
            "'gone' must be offered",
        ),
    ],
)
def test_bad_request_is_refused_in_their_shape(
    worn: TestClient[Litestar],
    worn_world: World,
    path: str,
    body: Any,
    code: str,
    says: str,
) -> None:
    before = worn_world.journal_bytes
    error = post(worn, path, body, 400)["error"]
    assert error["code"] == "BadRequest"
    assert error["innerError"] == {"code": code}
    assert says in error["message"]
    assert worn_world.journal_bytes == before


@pytest.mark.parametrize("name", ["", "New name", "a" * 101])
def test_learning_settings_need_the_name_of_a_policy(worn: TestClient[Litestar], name: str) -> None:
    response = worn.put("/personalizer/configurations/policy", json={"name": name, "arguments": ""})
    assert response.status_code == 400
    assert response.json()["error"]["innerError"]["code"] == "InvalidPolicyConfiguration"


def test_surface_that_nobody_declared_is_not_found(worn: TestClient[Litestar]) -> None:
    response = worn.post("/s/nothing/personalizer/v1.0/rank", json=RANK)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "ResourceNotFound"


@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [
        ("PUT", "evaluations/e1", "evaluations"),
        ("PUT", "featureImportances/f1", "featureImportances"),
        ("POST", "configurations/applyFromEvaluation", "applyFromEvaluation"),
        ("GET", "model", "model"),
        ("PUT", "model", "model"),
        ("DELETE", "model", "model"),
        ("DELETE", "logs", "logs"),
    ],
)
def test_what_has_no_place_here_says_why(
    worn: TestClient[Litestar], method: str, path: str, reason: str
) -> None:
    response = worn.request(method, f"/personalizer/{path}", content=b"{}")
    assert response.status_code == 501
    assert response.json()["error"]["message"] == NOT_OFFERED[reason]
    assert response.json()["error"]["code"] == "OperationNotAllowed"


@pytest.mark.parametrize("of", ["evaluations", "featureImportances"])
def test_there_are_no_evaluations(worn: TestClient[Litestar], of: str) -> None:
    assert worn.get(f"/personalizer/{of}?top=5").json() == {"value": []}
    assert worn.get(f"/personalizer/{of}/x").status_code == 404
    assert worn.delete(f"/personalizer/{of}/x").status_code == 404


def test_log_properties_span_the_surface(
    world: World, client: TestClient[Litestar], kept: list[AnyLogRecord]
) -> None:
    assert client.get("/personalizer/logs/properties").json() == {"dateRange": None}
    post(client, "/rank", RANK)
    deliver(world, kept[0])
    span = client.get("/personalizer/logs/properties").json()["dateRange"]
    assert span == {"from": "2026-09-21T14:13:20.000Z", "to": "2026-09-21T14:13:20.000Z"}


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("asked", [RANK, SLOTS], ids=["rank", "slots"])
@given(
    field=st.sampled_from(
        ["contextFeatures", "actions", "slots", "excludedActions", "eventId", "deferActivation"]
    ),
    value=values,
)
@settings(deadline=None, max_examples=150)
def test_any_value_of_any_field_is_answered_or_refused(
    worn: TestClient[Litestar], asked: dict[str, Any], field: str, value: object
) -> None:
    path = "/personalizer/rank" if asked is RANK else "/personalizer/multislot/rank"
    body = json.dumps(asked | {field: value})
    response = worn.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code in {201, 400}, response.text


@given(features=st.lists(st.dictionaries(st.text(max_size=8), values), max_size=3))
@settings(deadline=None, max_examples=200)
def test_any_features_are_answered_or_refused(
    worn: TestClient[Litestar], features: list[object]
) -> None:
    body = json.dumps(RANK | {"contextFeatures": features})
    response = worn.post(
        "/personalizer/rank", content=body, headers={"content-type": "application/json"}
    )
    assert response.status_code in {201, 400}, response.text
