"""Headers of every answer, whatever route, method and outcome."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.handlers import ASGIRouteHandler
from litestar.testing import TestClient

from api.security import HEADERS
from tests.api.conftest import World

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[TestClient[Litestar]]:
    with TestClient(world.app(), raise_server_exceptions=False) as client:
        yield client


def paths_of(app: Litestar) -> set[str]:
    return {re.sub(r"\{[^}]*\}", "home.feed", route.path_format) for route in app.routes}


def test_every_answer_of_every_route_has_the_headers(
    client: TestClient[Litestar], world: World
) -> None:
    asked = 0
    for path in sorted(paths_of(world.app()) | {"/nowhere", "/v1/rank/x"}):
        for method in METHODS:
            response = client.request(method, path, json={} if method != "GET" else None)
            for name, value in HEADERS.items():
                assert response.headers.get_list(name) == [value], (method, path, name)
            asked += 1
    assert asked > 300
    assert any(isinstance(route.route_handler, ASGIRouteHandler)
               for route in world.app().routes if hasattr(route, "route_handler"))  # fmt: skip


def test_good_answers_of_the_hot_routes_have_them_too(client: TestClient[Litestar]) -> None:
    asked = {"surface": "home.feed", "unit_id": "u", "actions": [{"id": "a"}]}
    answer = client.post("/v1/rank", json=asked)
    reward = client.post("/v1/rewards", json={"event_id": answer.json()["event_id"], "value": 1})
    assert (answer.status_code, reward.status_code) == (200, 202)
    for response in (answer, reward):
        assert HEADERS.items() <= dict(response.headers).items()


def test_page_of_the_routes_has_no_style_but_the_one_that_is_allowed(
    client: TestClient[Litestar],
) -> None:
    page = client.get("/schema").text
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    hashes = [b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in styles]
    assert [f"'sha256-{one}'" in HEADERS["content-security-policy"] for one in hashes] == [True]
    assert not re.search(r"<(script|link|img|iframe)\b|\sstyle=|\son\w+=|url\(", page)
