"""A key of another project, on every route there is: for it nothing is there, and nothing changes.

The routes are read from the application, so a new one fails here until it is asked for, too.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient
from msgspec.structs import replace

from bandit.records import Action, Decision
from bandit.specs import AnySpec, Experiment, Layer, Metric, PolicySpec, Variant
from bandit.store.keys import SCOPES
from bandit.wire import RankRequest
from tests.api.conftest import World
from tests.bandit.service.making import EXPERIMENT, FIXED, SURFACE, UNIFORM, logged
from tests.bandit.service.making_keys import MemoryKeys, made

OPEN = ("/health/", "/schema")
THEIRS: tuple[AnySpec, ...] = tuple(
    replace(spec, project="theirs")
    for spec in (
        UNIFORM,
        FIXED,
        PolicySpec(key="home.vw", type="vw", surface="home.feed"),
        replace(SURFACE, shadows=["home.vw"]),
        EXPERIMENT,
        Layer(key="checkout", salt="l"),
        Metric(key="clicks", source="reward"),
        Experiment(
            key="flag",
            salt="f",
            status="running",
            control="a",
            variants=[
                Variant(key="a", payload=1, allocation=[(0, 5000)]),
                Variant(key="b", payload=2, allocation=[(5000, 10000)]),
            ],
        ),
    )
)
ACTIONS = {"actions": [{"id": "a"}, {"id": "b"}]}
FLAG = {"context": {"targetingKey": "u"}}
SLOTS = {**ACTIONS, "slots": [{"id": "top", "baselineAction": "a"}]}
LOOP = {
    "rewardWaitTime": "PT5M",
    "defaultReward": 0.0,
    "rewardAggregation": "earliest",
    "explorationPercentage": 0.2,
}


class Case(NamedTuple):
    """How a route is asked for something of theirs.

    Attributes:
        path: With what it names; `{event_id}` stands for a decision of theirs.
        works: What their own key is answered; 0: is not asked here.
    """

    path: str
    body: object = None
    works: int = 200


def cases() -> dict[tuple[str, str], Case]:
    """Every route but the open ones, by method and template."""
    found = {
        ("POST", "/v1/rank"): Case(
            "/v1/rank", {"surface": "home.feed", "unit_id": "u", **ACTIONS, "event_id": None}
        ),
        ("POST", "/v1/rewards"): Case("/v1/rewards", {"event_id": "{event_id}", "value": 1}, 202),
        ("POST", "/v1/exposures"): Case(
            "/v1/exposures", {"event_id": "{event_id}", "slots": [0]}, 202
        ),
        ("POST", "/v1/assignments"): Case("/v1/assignments", {"unit_id": "u"}),
        ("GET", "/v1/decisions/{event_id}"): Case("/v1/decisions/{event_id}"),
        ("GET", "/v1/decisions/{event_id}/replay"): Case("/v1/decisions/{event_id}/replay"),
        ("POST", "/ofrep/v1/evaluate/flags"): Case("/ofrep/v1/evaluate/flags", FLAG),
        ("POST", "/ofrep/v1/evaluate/flags/{key}"): Case("/ofrep/v1/evaluate/flags/flag", FLAG),
        ("GET", "/v1/reports/overview"): Case("/v1/reports/overview", works=0),
        ("GET", "/v1/reports/experiments/{key}"): Case("/v1/reports/experiments/feed", works=0),
        ("GET", "/v1/reports/experiments/{key}/history"): Case(
            "/v1/reports/experiments/feed/history", works=0
        ),
        ("GET", "/v1/reports/experiments/{key}/sql"): Case(
            "/v1/reports/experiments/feed/sql", works=0
        ),
        ("GET", "/v1/reports/surfaces/{key}"): Case("/v1/reports/surfaces/home.feed", works=0),
        ("GET", "/v1/reports/surfaces/{key}/planning"): Case(
            "/v1/reports/surfaces/home.feed/planning", works=0
        ),
        ("GET", "/v1/reports/planning"): Case("/v1/reports/planning?mean=1&sd=1"),
        ("GET", "/v1/reports/surfaces/{key}/actions"): Case(
            "/v1/reports/surfaces/home.feed/actions", works=0
        ),
        ("GET", "/v1/reports/surfaces/{key}/exploration"): Case(
            "/v1/reports/surfaces/home.feed/exploration", works=0
        ),
        ("GET", "/v1/keys/self"): Case("/v1/keys/self"),
        **{
            ("GET", f"/v1/reports/surfaces/{{key}}/{name}"): Case(
                f"/v1/reports/surfaces/home.feed/{name}", works=0
            )
            for name in ("allocation", "behaviour", "newcomers", "feedback")
        },
        ("GET", "/v1/reports/policies/{key}/weights"): Case(
            "/v1/reports/policies/home.vw/weights", works=0
        ),
        ("GET", "/v1/decisions"): Case("/v1/decisions?surface=home.feed", works=0),
        ("GET", "/v1/decisions/{event_id}/feedback"): Case(
            "/v1/decisions/{event_id}/feedback", works=0
        ),
        ("GET", "/v1/evaluations"): Case("/v1/evaluations?surface=home.feed"),
        ("GET", "/v1/evaluations/{id}"): Case("/v1/evaluations/e1", works=404),
    }
    for spec in {type(spec): spec for spec in THEIRS}.values():
        path = {"policy": "/v1/policies"}.get(spec.kind, f"/v1/{spec.kind}s")
        body = msgspec.to_builtins(spec)
        body.pop("project")
        found["GET", path] = Case(path)
        found["GET", f"{path}/{{key}}"] = Case(f"{path}/{spec.key}")
        found["PUT", f"{path}/{{key}}"] = Case(f"{path}/{spec.key}", body)
        found["GET", f"{path}/{{key}}/history"] = Case(f"{path}/{spec.key}/history")
    held = "/v1/surfaces/home.feed/catalogue"
    template = "/v1/surfaces/{key}/catalogue"
    found["GET", template] = Case(held)
    found["GET", f"{template}/{{id}}"] = Case(f"{held}/a")
    for method in ("PUT", "PATCH"):
        found[method, template] = Case(held, {"upsert": [{"id": "new"}]})
    found["DELETE", f"{template}/{{id}}"] = Case(f"{held}/b")
    promotions, template = "/v1/surfaces/home.feed/promotions", "/v1/surfaces/{key}/promotions"
    found["GET", template] = Case(promotions)
    found["POST", template] = Case(promotions, {"challenger": "home.vw", "dry_run": True})
    found["GET", f"{template}/{{id}}"] = Case(f"{promotions}/1", works=404)
    found["POST", f"{template}/{{id}}/revert"] = Case(f"{promotions}/1/revert", {}, 404)
    for version in ("", "/v1.0", "/v1.1-preview.2"):
        for named in ("", "/s/{named}"):
            found |= personalizer_cases(f"{named}/personalizer{version}")
    return found


def personalizer_cases(prefix: str) -> dict[tuple[str, str], Case]:
    at = prefix.replace("{named}", "home.feed")
    event, slots = "events/{event_id}", {"reward": [{"slotId": "top", "value": 1}]}
    table = {
        ("POST", "rank"): (ACTIONS, 201),
        ("POST", f"{event}/reward"): ({"value": 1}, 204),
        ("POST", f"{event}/activate"): (None, 204),
        ("POST", "multislot/rank"): (SLOTS, 201),
        ("POST", f"multislot/{event}/reward"): (slots, 0),
        ("POST", f"multislot/{event}/activate"): (None, 0),
        ("GET", "configurations/service"): (None, 200),
        ("PUT", "configurations/service"): (LOOP, 200),
        ("GET", "configurations/policy"): (None, 200),
        ("PUT", "configurations/policy"): ({"name": "home.vw", "arguments": ""}, 200),
        ("DELETE", "configurations/policy"): (None, 200),
        ("POST", "configurations/applyFromEvaluation"): (None, 501),
        ("GET", "model/properties"): (None, 200),
        ("GET", "model"): (None, 501),
        ("PUT", "model"): (None, 501),
        ("DELETE", "model"): (None, 501),
        ("GET", "logs/properties"): (None, 200),
        ("DELETE", "logs"): (None, 501),
    }
    for what in ("evaluations", "featureImportances"):
        table["GET", what] = (None, 200)
        table["GET", f"{what}/{{named_id}}"] = (None, 404)
        table["DELETE", f"{what}/{{named_id}}"] = (None, 404)
        table["PUT", f"{what}/{{named_id}}"] = (None, 501)
    return {
        (method, f"{prefix}/{path}"): Case(f"{at}/{path.replace('{named_id}', 'x')}", body, works)
        for (method, path), (body, works) in table.items()
    }


class Rows:
    """A store of which reports can only ask what is declared."""

    def __init__(self, world: World) -> None:
        self._world = world

    def rows(self, name: str, **given: object) -> list[tuple[Any, ...]]:
        every = [
            (d.kind, d.key, d.version, d.created_ms, "", "", msgspec.json.encode(d.spec))
            for d in self._world.definitions.all()
        ]
        if name == "definitions_newest":
            return every
        wanted = [row for row in every if row[:2] == (given.get("kind"), given.get("key"))]
        if name == "definition_newest_version":
            return [(wanted[0][2] if wanted else 0,)]
        return wanted if name == "definition_version" else []


class Two:
    """A world in which they have something and one in which nobody has, and both sides' keys."""

    def __init__(self, folder: Path) -> None:
        keys = MemoryKeys()
        self.mine = made(keys, "mine", *SCOPES).text
        self.theirs = made(keys, "theirs", *SCOPES).text
        self.full, self.empty = World(folder / "full", THEIRS, keys), World(folder / "e", (), keys)
        self.event_id = ""

    def fill(self) -> None:
        """Give them a catalogue and a logged decision."""
        self.full.catalogues.hold("home.feed", Action.of("a", topic="secret"), Action.of("b"))
        self.full.wait_for_revision()
        kept: list[Decision] = []
        asked = RankRequest(surface="home.feed", unit_id="u", actions=[Action.of("b")])
        append = self.full.journal.append
        self.full.journal.append = kept.append  # type: ignore[assignment, method-assign]
        self.event_id = self.full.services.deciding.rank(asked, b"").event_id
        self.full.journal.append = append  # type: ignore[method-assign]
        self.full.link.logged[self.event_id] = logged(kept[0], asked)
        for world in (self.full, self.empty):
            world.link.store = lambda world=world: Rows(world)  # type: ignore[assignment, method-assign]

    @property
    def footprint(self) -> tuple[object, ...]:
        """All that they have."""
        world = self.full
        return world.journal_bytes, world.definitions.revision(), world.catalogues.heads()

    def ask(self, client: TestClient[Litestar], method: str, case: Case, text: str) -> Response:
        body = None
        if case.body is not None:
            encoded = msgspec.json.encode(case.body).decode()
            body = encoded.replace("{event_id}", self.event_id).encode()
        headers = {"authorization": f"Bearer {text}", "x-bandit-surface": "home.feed"}
        if body is not None:
            headers["content-type"] = "application/json"
        if method == "PUT" and "/personalizer" not in case.path and "catalogue" not in case.path:
            headers["if-match"] = "*"
        path = case.path.replace("{event_id}", self.event_id)
        return client.request(method, path, content=body, headers=headers)


class Side(NamedTuple):
    """Everything to ask both worlds."""

    two: Two
    full: TestClient[Litestar]
    empty: TestClient[Litestar]


@pytest.fixture(scope="module")
def side(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    two = Two(tmp_path_factory.mktemp("tenancy"))
    with TestClient(two.full.app()) as full, TestClient(two.empty.app()) as empty:
        two.fill()
        yield Side(two, full, empty)


def routes() -> list[tuple[str, str]]:
    """Method and template of every route that the application has, but for the open ones."""
    folder = Path(tempfile.mkdtemp())
    try:
        world = World(folder)
        found = {
            (method, route.path_format)
            for route in world.app().routes
            for method in getattr(route, "methods", None) or {"POST"}  # the hot ones are bare ASGI
            if method != "OPTIONS" and not route.path_format.startswith(OPEN)
        }
        world.services.close()
    finally:
        shutil.rmtree(folder)
    return sorted(found)


ROUTES = routes()
CASES = cases()
SPECIAL = {
    ("POST", "/v1/outcomes"): "is of its own project: see below",
    ("GET", "/metrics"): "counts requests, and names policies: see below",
}


def test_every_route_is_asked_for() -> None:
    assert set(ROUTES) == CASES.keys() | SPECIAL.keys()


@pytest.mark.parametrize(("method", "route"), [each for each in ROUTES if each in CASES])
def test_for_another_project_nothing_is_there_and_nothing_changes(
    side: Side, method: str, route: str
) -> None:
    case, two = CASES[method, route], side.two
    before = two.footprint
    got = two.ask(side.full, method, case, two.mine)
    assert two.footprint == before
    if method == "PUT" and route.endswith("s/{key}"):  # where nobody has it, it can be declared
        assert (got.status_code, got.json()["type"]) == (404, "not_declared")
        return
    same = two.ask(side.empty, method, case, two.mine)
    assert (got.status_code, got.text) == (same.status_code, same.text)
    assert got.status_code == 404 or "theirs" not in got.text


@pytest.mark.parametrize(
    ("method", "route"),
    [each for each in ROUTES if each in CASES and CASES[each].works],
)
def test_their_own_key_gets_what_the_same_requests_ask_for(
    side: Side, method: str, route: str
) -> None:
    case = CASES[method, route]
    got = side.two.ask(side.full, method, case, side.two.theirs)
    if method == "PUT" and "/policy" in route:
        assert got.status_code in (200, 400)  # the name stands for what it stood for before
    else:
        assert got.status_code == case.works, got.text


def test_an_event_id_of_another_project_is_no_repetition(side: Side) -> None:
    two = side.two
    given = {"authorization": f"Bearer {two.theirs}"}
    event_id = "019d8c2f-6c00-7000-8000-00000000aaaa"
    asked = {"surface": "home.feed", "unit_id": "u", **ACTIONS, "event_id": two.event_id}
    assert side.full.post("/v1/rank", json=asked, headers=given).status_code == 200
    mine = {"authorization": f"Bearer {two.mine}"}
    refused = side.full.post("/v1/rank", json=asked, headers=mine)
    assert (refused.status_code, refused.json()["type"]) == (404, "not_declared")
    assert event_id not in refused.text


@pytest.mark.parametrize("path", ["/v1/rewards", "/v1/exposures"])
def test_an_event_id_that_tells_no_surface_is_of_nobody(side: Side, path: str) -> None:
    """Learners of all surfaces look at what belongs to none, so nobody may put anything there."""
    mine = {"authorization": f"Bearer {side.two.mine}"}
    own = side.two.full.event_id(tag=0)
    body = {"event_id": own} | ({"value": 1} if "rewards" in path else {"slots": [0]})
    assert side.full.post(path, json=body, headers=mine).status_code == 404


def test_an_outcome_counts_in_the_project_of_its_key_only(tmp_path: Path) -> None:
    keys = MemoryKeys()
    world = World(tmp_path, keys=keys)
    text = made(keys, "mine", "reward").text
    kept: list[Any] = []
    with TestClient(world.app()) as client:
        world.journal.append = kept.append  # type: ignore[assignment, method-assign]
        given = {"authorization": f"Bearer {text}"}
        outcome = {"unit_id": "u", "name": "revenue", "value": 1}
        assert client.post("/v1/outcomes", json=outcome, headers=given).status_code == 202
    assert [record.project for record in kept] == ["mine"]


def test_numbers_of_another_projects_policies_are_not_shown(side: Side) -> None:
    def shown(text: str) -> str:
        return side.full.get("/metrics", headers={"authorization": f"Bearer {text}"}).text

    meter = side.two.full.services.meter
    meter.snapshot_number.labels("home.vw").set(7)
    assert 'policy="home.vw"' in shown(side.two.theirs)
    assert 'policy="' not in shown(side.two.mine)


def test_a_project_can_not_declare_for_another(side: Side) -> None:
    mine = {"authorization": f"Bearer {side.two.mine}"}
    body = {"type": "uniform", "project": "theirs"}
    refused = side.full.put("/v1/policies/planted", json=body, headers=mine)
    assert (refused.status_code, refused.json()["place"]) == (400, "$.project")


def test_a_declaration_names_only_what_is_of_its_project(side: Side) -> None:
    mine = {"authorization": f"Bearer {side.two.mine}"}
    refused = side.full.put("/v1/surfaces/my.feed", json={"policy": "random"}, headers=mine)
    assert refused.status_code == 400
    assert "policy 'random' is not declared" in refused.json()["detail"]
