"""Whatever is sent to the hot routes: an answer or a 4xx, and every decision holds the rules."""

import struct
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient

from bandit.records import Decision
from bandit.specs import PolicySpec, Surface
from bandit.wire import RankAnswer
from tests.api.conftest import World

JSON = {"content-type": "application/json"}
FLOOR = 0.02

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
flat = st.dictionaries(
    st.text(min_size=1, max_size=12), st.text(max_size=12) | st.floats(-1e6, 1e6), max_size=4
)
requests = st.fixed_dictionaries(
    {
        "surface": st.just("home.feed"),
        "unit_id": st.text(min_size=1, max_size=20),
        "actions": st.lists(
            st.fixed_dictionaries({"id": st.text(min_size=1, max_size=6), "features": flat}),
            min_size=1,
            max_size=6,
            unique_by=lambda action: action["id"],
        ),
    },
    optional={"context": flat, "slots": st.integers(1, 9), "defer": st.booleans()},
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(
        tmp_path_factory.mktemp("world"),
        declared=(
            PolicySpec(key="vw", type="vw", surface="home.feed", floor=FLOOR),
            Surface(key="home.feed", policy="vw", max_actions=10),
        ),
    )


@pytest.fixture(scope="module")
def journaled(world: World) -> list[Decision]:
    kept: list[Any] = []
    world.journal.append = kept.append  # type: ignore[method-assign]
    return kept


@pytest.fixture(scope="module")
def client(world: World, journaled: list[Decision]) -> Iterator[TestClient[Litestar]]:
    with TestClient(world.app()) as client:
        yield client


@given(request=requests)
@settings(deadline=None, max_examples=150)
def test_good_request_is_decided_by_the_rules(
    client: TestClient[Litestar], journaled: list[Decision], request: dict[str, Any]
) -> None:
    body = msgspec.json.encode(request)
    response = client.post("/v1/rank", content=body, headers=JSON)
    assert response.status_code == 200, response.text
    answer = msgspec.json.decode(response.content, type=RankAnswer)
    decision, k = journaled[-1], len(request["actions"])
    pmf = struct.unpack(f"<{k}f", decision.pmf)
    assert abs(sum(pmf) - 1.0) <= 1e-6
    assert min(pmf) >= FLOOR * (1 - 1e-6)
    assert all(0.0 < propensity <= 1.0 for propensity in decision.propensities)
    assert len(answer.ranking) == min(request.get("slots", 1), k)
    ids = [action["id"] for action in request["actions"]]
    assert [slot.id for slot in answer.ranking] == [ids[index] for index in decision.ranking]
    assert len(set(decision.ranking)) == len(decision.ranking)
    assert decision.request == body


@pytest.mark.parametrize("path", ["/v1/rank", "/v1/rewards"])
@given(body=st.binary(max_size=200) | values.map(msgspec.json.encode))
@settings(deadline=None, max_examples=100)
def test_any_body_is_answered_or_refused(
    client: TestClient[Litestar], journaled: list[Decision], path: str, body: bytes
) -> None:
    before = len(journaled)
    response = client.post(path, content=body, headers=JSON)
    assert 400 <= response.status_code < 500, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert len(journaled) == before


@given(
    request=requests,
    field=st.sampled_from(
        ["surface", "unit_id", "context", "actions", "slots", "event_id", "exclude", "defer"]
    ),
    value=values,
)
@settings(deadline=None, max_examples=200)
def test_any_value_of_any_field_is_answered_or_refused(
    client: TestClient[Litestar],
    journaled: list[Decision],
    request: dict[str, Any],
    field: str,
    value: object,
) -> None:
    before = len(journaled)
    body = msgspec.json.encode(request | {field: value})
    response = client.post("/v1/rank", content=body, headers=JSON)
    assert response.status_code == 200 or 400 <= response.status_code < 500, response.text
    assert len(journaled) - before == (response.status_code == 200)


@given(request=requests, features=values, at_action=st.booleans())
@settings(deadline=None, max_examples=200)
def test_any_features_are_answered_or_refused(
    client: TestClient[Litestar], request: dict[str, Any], features: object, at_action: bool
) -> None:
    if at_action:
        request["actions"][-1]["features"] = features
    else:
        request["context"] = features
    response = client.post("/v1/rank", content=msgspec.json.encode(request), headers=JSON)
    assert response.status_code in {200, 400}, response.text


@given(request=requests, cut=st.integers(0, 400), put=st.binary(min_size=1, max_size=3))
@settings(deadline=None, max_examples=200)
def test_any_damage_to_a_body_is_answered_or_refused(
    client: TestClient[Litestar], request: dict[str, Any], cut: int, put: bytes
) -> None:
    body = msgspec.json.encode(request)
    body = body[:cut] + put + body[cut + len(put) :]
    response = client.post("/v1/rank", content=body, headers=JSON)
    assert response.status_code == 200 or 400 <= response.status_code < 500, response.text
