"""Reports over HTTP: asked as the address says, and away when the store is."""

from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from bandit.errors import NotDeclared
from bandit.service.reporting import ReportService
from bandit.service.reporting_payloads import Verdict
from tests.api.conftest import World


@pytest.mark.parametrize(
    ("path", "method", "arguments"),
    [
        ("experiments/feed", "experiment", ("feed", 0.05, None, None)),
        ("experiments/feed?alpha=0.1&at_ms=17", "experiment", ("feed", 0.1, 17, None)),
        ("surfaces/home.feed?alpha=0.01", "surface", ("home.feed", 0.01, None, None)),
        ("experiments/feed?surface_version=3", "experiment", ("feed", 0.05, None, 3)),
        ("surfaces/home.feed?surface_version=2", "surface", ("home.feed", 0.05, None, 2)),
        ("overview", "overview", (0.05, {"archived": False})),
        ("overview?archived=true", "overview", (0.05, {"archived": True})),
    ],
)
def test_report_is_asked_as_the_address_says(
    client: TestClient[Litestar],
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    method: str,
    arguments: tuple[object, ...],
) -> None:
    asked: list[Any] = []

    def report(self: ReportService, *given: object, **named: object) -> None:
        asked.append((*given, named) if named else given)
        raise NotDeclared("experiment", "feed")

    monkeypatch.setattr(ReportService, method, report)
    assert client.get(f"/v1/reports/{path}").status_code == 404
    assert asked == [arguments]


@pytest.mark.parametrize("path", ["experiments/feed", "surfaces/home.feed", "overview"])
def test_report_is_503_while_the_store_is_away(
    client: TestClient[Litestar], world: World, path: str
) -> None:
    world.link.away = True
    response = client.get(f"/v1/reports/{path}")
    assert (response.status_code, response.json()["type"]) == (503, "store_unavailable")


@pytest.mark.parametrize("query", ["alpha=small", "at_ms=now", "surface_version=0"])
def test_query_that_is_no_number_is_refused(client: TestClient[Litestar], query: str) -> None:
    response = client.get(f"/v1/reports/experiments/feed?{query}")
    assert response.status_code == 400
    assert query.partition("=")[0] in response.json()["detail"]


def test_document_says_that_effects_are_judged_twice(client: TestClient[Litestar]) -> None:
    schemas = client.get("/schema/openapi.json").json()["components"]["schemas"]
    effect = schemas["MetricEffect"]
    assert {"effect", "anytime"} <= set(effect["required"])
    assert effect["properties"]["anytime"] == effect["properties"]["effect"]
    assert "not_yet" in schemas["Verdict"]["properties"]["state"]["enum"]


def test_readme_names_every_state_of_a_verdict() -> None:
    text = (Path(__file__).parents[2] / "api" / "README.md").read_text()
    states = get_args(get_type_hints(Verdict)["state"])
    assert [state for state in states if f"`{state}`" not in text] == []
