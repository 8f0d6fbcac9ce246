"""The report of single actions over HTTP."""

from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from bandit.errors import NotDeclared
from bandit.service.reporting_actions import ActionReports, NotJudged
from tests.api.conftest import World

PATH = "/v1/reports/surfaces/home.feed/actions"
PLAIN = {
    "limit": 20,
    "reference": None,
    "since_ms": 0,
    "at_ms": None,
    "surface_version": None,
}


@pytest.mark.parametrize(
    ("query", "alpha", "named"),
    [
        ("", 0.05, {}),
        ("?alpha=0.1&limit=3&reference=a1", 0.1, {"limit": 3, "reference": "a1"}),
        ("?at=2026-11-23", 0.05, {"at_ms": 1_795_392_000_000}),
        ("?since=2026-11-23", 0.05, {"since_ms": 1_795_392_000_000}),
        ("?at_ms=17&surface_version=2", 0.05, {"at_ms": 17, "surface_version": 2}),
    ],
)
def test_report_is_asked_as_the_address_says(
    worn: TestClient[Litestar],
    monkeypatch: pytest.MonkeyPatch,
    query: str,
    alpha: float,
    named: dict[str, object],
) -> None:
    asked: list[Any] = []

    def report(self: ActionReports, *given: object, **others: object) -> None:
        asked.append((given, others))
        raise NotDeclared("surface", "home.feed")

    monkeypatch.setattr(ActionReports, "actions", report)
    assert worn.get(f"{PATH}{query}").status_code == 404
    assert asked == [(("home.feed", alpha), PLAIN | named)]


def test_report_is_503_while_the_store_is_away(
    worn: TestClient[Litestar], worn_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worn_world.link, "away", True)
    response = worn.get(PATH)
    assert (response.status_code, response.json()["type"]) == (503, "store_unavailable")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=few", "reference=", "alpha=x"])
def test_query_out_of_its_range_is_refused(worn: TestClient[Litestar], query: str) -> None:
    response = worn.get(f"{PATH}?{query}")
    assert response.status_code == 400
    assert query.partition("=")[0] in response.json()["detail"]


def test_document_names_every_reason_why_a_number_is_missing(worn: TestClient[Litestar]) -> None:
    schemas = worn.get("/schema/openapi.json").json()["components"]["schemas"]
    assert set(schemas["NotJudged"]["properties"]) == set(NotJudged.__struct_fields__)
    text = str(schemas["ActionEstimate"]["properties"]["anytime_reason"])
    assert "few_units" in text
    assert "one_look_only" in text
