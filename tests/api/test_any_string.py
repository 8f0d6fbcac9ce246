"""No string anywhere changes how many candidates there are, and ids come back byte for byte."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient

from bandit.records import Decision
from bandit.specs import PolicySpec, Surface
from tests.api.conftest import World

JSON = {"content-type": "application/json"}
NASTY = (
    *"\x00\n\r\t\x0b\x1b\x7f\x85\xa0 |:^*#'\"\\/`$",
    *"\u2028\u2029\u200b\u200d\ufeff\ufffd\uffff",
    *"\u202a\u202e\u2066\u2069\u061c",  # direction of text
    "e\u0301",  # and é: two ids, which nobody may fold into one
    "é",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0010ffff",
    "\n|A x:1",
    " |U y:9 | shared |",
    "0:-1:0.5 | a",
    "id=a1",
    "{}",
    "]}",
)
pieces = st.sampled_from(NASTY) | st.text(max_size=8)
short = st.lists(pieces, min_size=1, max_size=5).map("".join).filter(lambda s: 0 < len(s) <= 256)
ids = short
features = st.dictionaries(
    short, short | st.lists(short, max_size=2) | st.dictionaries(short, short), max_size=3
)


@pytest.fixture(scope="module", params=["vw", "ccb", "linear", "thompson", "uniform"])
def policy(request: pytest.FixtureRequest) -> PolicySpec:
    kind, learned = request.param, {"surface": "home.feed", "floor": 0.01}
    if kind == "ccb":
        return PolicySpec(key="p", type="vw", slot_model="ccb", **learned)
    return PolicySpec(key="p", type=kind, **learned if kind != "uniform" else {})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, policy: PolicySpec) -> World:
    folder: Path = tmp_path_factory.mktemp("world")
    return World(folder, declared=(policy, Surface(key="home.feed", policy="p")))


@pytest.fixture(scope="module")
def journaled(world: World) -> list[Decision]:
    kept: list[Any] = []
    world.journal.append = kept.append  # type: ignore[method-assign]
    return kept


@pytest.fixture(scope="module")
def client(world: World, journaled: list[Decision]) -> Iterator[TestClient[Litestar]]:
    with TestClient(world.app()) as client:
        yield client


@given(
    offered=st.lists(ids, min_size=1, max_size=5, unique=True),
    told=st.lists(features, min_size=5, max_size=5),
    context=features,
    unit_id=ids,
    slot_features=st.lists(features, max_size=3),
)
@settings(deadline=None, max_examples=80)
def test_every_candidate_is_ranked_once_under_its_own_id(
    client: TestClient[Litestar],
    journaled: list[Decision],
    offered: list[str],
    told: list[dict[str, Any]],
    context: dict[str, Any],
    unit_id: str,
    slot_features: list[dict[str, Any]],
) -> None:
    body = {
        "surface": "home.feed",
        "unit_id": unit_id,
        "context": context,
        "actions": [
            {"id": id_, "features": each} for id_, each in zip(offered, told, strict=False)
        ],
        "slots": len(offered),
        "slot_features": slot_features,
    }
    response = client.post("/v1/rank", content=json.dumps(body), headers=JSON)
    assert response.status_code == 200, response.text
    ranked = [slot["id"] for slot in json.loads(response.content)["ranking"]]
    assert sorted(id_.encode() for id_ in ranked) == sorted(id_.encode() for id_ in offered)
    decision = journaled[-1]
    pmf = struct.unpack(f"<{len(offered)}f", decision.pmf)
    assert abs(sum(pmf) - 1.0) <= 1e-6
    assert [offered[index] for index in decision.ranking] == ranked
    assert decision.unit_id == unit_id


PLACES = ["unit_id", "id", "value", "name", "context", "exclude", "seen"]


def body_with(text: str, place: str) -> dict[str, Any]:
    """A request of two actions that says `text` at one place."""

    def at(here: str, otherwise: str) -> str:
        return text if place == here else otherwise

    return {
        "surface": "home.feed",
        "unit_id": at("unit_id", "u"),
        "context": {"a": at("context", "b")},
        "actions": [
            {"id": at("id", "a1"), "features": {at("name", "n"): at("value", "v")}},
            {"id": "a2"},
        ],
        "slots": 2,
        "exclude": [at("exclude", "x")],
        "seen": [at("seen", "y")],
    }


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "text",
    [
        "\ud800",
        "a\udfff",
        "\udc00\ud800",
        *("".join(NASTY[n::3]) * 500 for n in range(3)),
        "x" * 10_000,
    ],
    ids=lambda text: f"{len(text)} characters",
)
def test_lone_surrogate_or_10_kb_is_refused_or_changes_nothing(
    client: TestClient[Litestar], journaled: list[Decision], text: str, place: str
) -> None:
    before, sent = len(journaled), json.dumps(body_with(text, place))
    response = client.post("/v1/rank", content=sent, headers=JSON)
    assert response.status_code in (200, 400), response.text
    assert len(journaled) - before == (response.status_code == 200)
    if response.status_code == 200:
        assert {slot["id"] for slot in response.json()["ranking"]} == {"a1", "a2"}
    else:
        assert response.json()["detail"]
