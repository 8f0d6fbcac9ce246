"""Reports over HTTP: asked as the address says, and away when the store is."""

from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from bandit.errors import NotDeclared
from bandit.service.planning import PlanQuestion
from bandit.service.reporting import ReportService
from bandit.service.reporting_payloads import Verdict
from tests.api.conftest import World

PLAIN = {"sequential": None, "fresh": False}


@pytest.mark.parametrize(
    ("path", "method", "arguments"),
    [
        ("experiments/feed", "experiment", ("feed", 0.05, None, None, PLAIN)),
        ("experiments/feed?alpha=0.1&at_ms=17", "experiment", ("feed", 0.1, 17, None, PLAIN)),
        (
            "experiments/feed?at=2026-11-23T01:00:00%2B01:00&sequential=fixed&fresh=true",
            "experiment",
            ("feed", 0.05, 1_795_392_000_000, None, {"sequential": "fixed", "fresh": True}),
        ),
        ("experiments/feed?surface_version=3", "experiment", ("feed", 0.05, None, 3, PLAIN)),
        ("experiments/feed/history", "history", ("feed", 0.05, 120, None, {"metric": None})),
        (
            "experiments/feed/history?n=7&at=17&metric=clicks&alpha=0.1",
            "history",
            ("feed", 0.1, 7, 17, {"metric": "clicks"}),
        ),
        ("experiments/feed/sql?at=17&metric=click", "sql", ("feed", 17, {"metric": "click"})),
        (
            "surfaces/home.feed/planning?metric=click&effect=0.1&absolute=true&shows=not_worse"
            "&power=0.9&alpha=0.1&treatments=2&share=0.5&units_per_day=9&mean=3&sd=2&type=sum"
            "&covariates=false&at=17",
            "planning",
            (
                "home.feed",
                PlanQuestion(
                    effect=0.1,
                    effect_scale="absolute",
                    shows="not_worse",
                    power=0.9,
                    alpha=0.1,
                    treatments=2,
                    share=0.5,
                    units_per_day=9.0,
                    mean=3.0,
                    sd=2.0,
                    type="sum",
                    covariates=False,
                ),
                "click",
                17,
            ),
        ),
        ("planning?mean=3&sd=2", "planning", (None, PlanQuestion(mean=3.0, sd=2.0))),
        (
            "surfaces/home.feed?alpha=0.01&at=2026-11-23",
            "surface",
            ("home.feed", 0.01, 1_795_392_000_000, None, {"fresh": False}),
        ),
        (
            "surfaces/home.feed?surface_version=2&fresh=true",
            "surface",
            ("home.feed", 0.05, None, 2, {"fresh": True}),
        ),
        ("overview", "overview", (0.05, {"archived": False})),
        ("overview?archived=true", "overview", (0.05, {"archived": True})),
    ],
)
def test_report_is_asked_as_the_address_says(
    worn: TestClient[Litestar],
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
    assert worn.get(f"/v1/reports/{path}").status_code == 404
    assert asked == [arguments]


@pytest.mark.parametrize(
    "path", ["experiments/feed", "experiments/feed/history", "surfaces/home.feed", "overview"]
)
def test_report_is_503_while_the_store_is_away(
    worn: TestClient[Litestar], worn_world: World, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worn_world.link, "away", True)
    response = worn.get(f"/v1/reports/{path}")
    assert (response.status_code, response.json()["type"]) == (503, "store_unavailable")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("at=yesterday", "at is 'yesterday', must be a time with its offset"),
        ("at=2026-11-23T10:00:00", "must be a time with its offset"),
        ("at=2026-11-23&at_ms=17", "at and at_ms are both given"),
        ("sequential=always", "sequential"),
    ],
)
def test_a_time_or_mode_that_there_is_not_is_refused(
    worn: TestClient[Litestar], query: str, said: str
) -> None:
    response = worn.get(f"/v1/reports/experiments/feed?{query}")
    assert response.status_code == 400
    assert said in response.json()["detail"]


@pytest.mark.parametrize("n", ["0", "121", "many"])
def test_a_history_has_1_to_120_points(worn: TestClient[Litestar], n: str) -> None:
    response = worn.get(f"/v1/reports/experiments/feed/history?n={n}")
    assert (response.status_code, "n" in response.json()["detail"]) == (400, True)


@pytest.mark.parametrize("query", ["alpha=small", "at_ms=now", "surface_version=0"])
def test_query_that_is_no_number_is_refused(worn: TestClient[Litestar], query: str) -> None:
    response = worn.get(f"/v1/reports/experiments/feed?{query}")
    assert response.status_code == 400
    assert query.partition("=")[0] in response.json()["detail"]


def test_document_says_that_effects_are_judged_twice(worn: TestClient[Litestar]) -> None:
    schemas = worn.get("/schema/openapi.json").json()["components"]["schemas"]
    effect = schemas["MetricEffect"]
    assert {"effect", "anytime"} <= set(effect["required"])
    assert effect["properties"]["anytime"] == effect["properties"]["effect"]
    assert "not_yet" in schemas["Verdict"]["properties"]["state"]["enum"]


def test_readme_names_every_state_of_a_verdict() -> None:
    text = (Path(__file__).parents[2] / "api" / "README.md").read_text()
    states = get_args(get_type_hints(Verdict)["state"])
    assert [state for state in states if f"`{state}`" not in text] == []
