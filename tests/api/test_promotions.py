"""Promotions and saved evaluations over HTTP, with a real store behind the worker."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from msgspec.structs import replace

from bandit.service.evaluation_artefact import EvaluationService
from bandit.service.promoting_records import (
    Gate,
    GateCheck,
    GateSegment,
    Promotion,
    PromotionPlan,
    RampLook,
    StepShown,
)
from bandit.specs import PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.keys import SCOPES
from bandit.store.migrations import migrate
from tests.api.conftest import World
from tests.bandit.service.making_evaluations import REFUSED, RUN, TOLD
from tests.bandit.service.making_keys import MemoryKeys, made

README = Path(__file__).parents[2] / "api" / "README.md"
PATH = "/v1/surfaces/home/promotions"
DECLARED = (
    PolicySpec(key="old", type="uniform", floor=0.1),
    PolicySpec(key="new", type="uniform", floor=0.1),
    Surface(key="home", policy="old", shadows=["new"], max_actions=10),
)


@pytest.fixture(scope="module")
def shared(clickhouse_url: str) -> Iterator[Store]:
    store = Store.connect(clickhouse_url, database=f"test_{uuid.uuid4().hex}")
    migrate(store)
    for spec in DECLARED:
        Definitions(store).put(
            replace(spec, project="ours"), expected=None, author="t", change_id=spec.key, now_ms=1
        )
    yield store
    store.apply("DROP DATABASE IF EXISTS $database SYNC", in_database=False)
    store.close()


class Side:
    """A worker, and how each key asks it."""

    def __init__(self, client: TestClient[Litestar], keys: dict[str, str]) -> None:
        self.client = client
        self.keys = keys

    def ask(self, whose: str, method: str, path: str, body: object = None) -> Any:
        headers = {"authorization": f"Bearer {self.keys[whose]}"}
        if body is not None:
            return self.client.request(method, path, json=body, headers=headers)
        return self.client.request(method, path, headers=headers)


@pytest.fixture(scope="module")
def side(shared: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    keys = MemoryKeys()
    texts = {
        "ours": made(keys, "ours", *SCOPES).text,
        "theirs": made(keys, "theirs", *SCOPES).text,
        "reader": made(keys, "ours", "read").text,
    }
    world = World(tmp_path_factory.mktemp("world"), (), keys)
    world.link.store = lambda: shared  # type: ignore[assignment, method-assign, return-value]
    with TestClient(world.app()) as client:
        yield Side(client, texts)


def test_refusal_is_an_answer_with_its_checks_and_is_kept(side: Side) -> None:
    asked = side.ask("ours", "POST", PATH, {"challenger": "new", "dry_run": True})
    assert (asked.status_code, asked.json()["state"], asked.json()["id"]) == (200, "refused", None)
    assert side.ask("ours", "GET", PATH).json() == []

    made_ = side.ask("ours", "POST", PATH, {"challenger": "new"})
    assert made_.status_code == 201
    got = msgspec.json.decode(made_.content, type=Promotion)
    assert got.gate is not None
    assert [check.code for check in got.gate.checks][-1] == "support"
    assert "no decision is left to judge by" in got.reason
    [listed] = side.ask("ours", "GET", PATH).json()
    assert (listed["id"], listed["state"], listed["steps"]) == (1, "refused", [])
    shown = side.ask("ours", "GET", f"{PATH}/1").json()
    assert [step["state"] for step in shown["steps"]] == ["refused"]
    back = side.ask("ours", "POST", f"{PATH}/1/revert", {"reason": "x"})
    assert back.status_code == 400
    assert "must be ramping or live" in back.json()["detail"]


def test_another_project_sees_and_moves_nothing(side: Side) -> None:
    for method, path, body in (
        ("GET", PATH, None),
        ("POST", PATH, {"challenger": "new"}),
        ("GET", f"{PATH}/1", None),
        ("POST", f"{PATH}/1/revert", {}),
        ("GET", "/v1/evaluations?surface=home", None),
    ):
        assert side.ask("theirs", method, path, body).status_code == 404


def test_who_may_only_read_promotes_nothing(side: Side) -> None:
    assert side.ask("reader", "POST", PATH, {"challenger": "new"}).status_code == 403
    assert side.ask("reader", "POST", f"{PATH}/1/revert", {}).status_code == 403
    assert side.ask("reader", "GET", PATH).status_code == 200


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"challenger": "new", "ramp": [50, 10, 100]}, "must ascend and end with 100"),
        ({"challenger": "new", "ramp": []}, "Expected `array` of length >= 1"),
        ({"challenger": "new", "alpha": 1}, "Expected `float` < 1.0"),
        ({"challenger": "NEW"}, "Expected `str` matching regex"),
        ({"challenger": "new", "rmap": [100]}, "unknown field `rmap`"),
    ],
)
def test_rubbish_is_refused_with_what_must_be(side: Side, body: object, said: str) -> None:
    got = side.ask("ours", "POST", PATH, body)
    assert got.status_code == 400
    assert said in got.json()["detail"]


@pytest.mark.parametrize("number", ["0", "7", "-1", "x", "9" * 40])
def test_promotion_that_is_not_there_is_404(side: Side, number: str) -> None:
    assert side.ask("ours", "GET", f"{PATH}/{number}").status_code == 404


def test_saved_evaluation_is_listed_shown_and_a_page(side: Side, shared: Store) -> None:
    service = EvaluationService(shared, code_version="1", new_id=lambda: "e-1", project="ours")
    saved = service.save(replace(RUN, surface="home"), author="ana")
    [listed] = side.ask("ours", "GET", "/v1/evaluations?surface=home").json()
    told = {one["name"]: one for one in listed["candidates"]}
    assert told[TOLD]["value"] is not None
    assert (told[REFUSED]["verdict"], told[REFUSED]["value"]) == ("refuse", None)
    one = side.ask("ours", "GET", "/v1/evaluations/e-1")
    assert one.content == msgspec.json.encode(saved)
    page = side.ask("ours", "GET", "/v1/evaluations/e-1.html")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert page.headers.get_list("content-security-policy") == [policy]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert side.ask("theirs", "GET", "/v1/evaluations/e-1").status_code == 404
    assert side.ask("theirs", "GET", "/v1/evaluations/e-1.html").status_code == 404
    assert side.ask("ours", "GET", "/v1/evaluations/none.html").status_code == 404


@pytest.mark.parametrize(
    "kind", [Promotion, PromotionPlan, Gate, GateCheck, GateSegment, StepShown, RampLook]
)
def test_readme_names_every_field(kind: type[msgspec.Struct]) -> None:
    text = README.read_text()
    section = text[text.index("## Promote") : text.index("## Evaluate")]
    missing = [f for f in kind.__struct_fields__ if not re.search(rf"`{f}`", section)]
    assert not missing
