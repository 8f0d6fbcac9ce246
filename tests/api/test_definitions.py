"""Definitions over HTTP: versions, ETags, preconditions."""

from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from bandit.specs import Metric
from tests.api.conftest import World

METRIC: dict[str, Any] = {"source": "outcome", "name": "revenue"}


def put(client: TestClient[Litestar], body: dict[str, Any], **headers: str | bytes) -> Any:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.put("/v1/metrics/revenue", json=body, headers=names)


def test_definition_is_declared_shown_and_listed(client: TestClient[Litestar]) -> None:
    declared = put(client, METRIC)
    assert (declared.status_code, declared.headers["etag"]) == (201, '"1"')
    assert declared.json() == msgspec.to_builtins(Metric(key="revenue", **METRIC))
    assert declared.json()["better"] == "higher"  # a default is shown, too
    shown = client.get("/v1/metrics/revenue")
    assert (shown.content, shown.headers["etag"]) == (declared.content, '"1"')
    listed = client.get("/v1/metrics").json()
    assert [each["key"] for each in listed] == ["clicks", "revenue"]
    assert (listed[1]["version"], listed[1]["spec"]) == (1, declared.json())


def test_change_makes_a_version_and_the_old_one_can_still_be_seen(
    client: TestClient[Litestar],
) -> None:
    put(client, METRIC)
    changed = put(client, METRIC | {"better": "lower"}, if_match='"1"')
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert client.get("/v1/metrics/revenue").json()["better"] == "lower"
    assert client.get("/v1/metrics/revenue?version=1").json()["better"] == "higher"
    assert client.get("/v1/metrics/revenue?version=3").status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if_match": '"1"'}, 200),
        ({"if_match": "*"}, 200),
        ({"if_match": '"2"'}, 412),
        ({"if_match": "1"}, 412),
        ({"if_none_match": "*"}, 412),
        ({"if_none_match": '"1"'}, 400),
        ({}, 428),
    ],
)
def test_change_needs_to_know_what_it_changes(
    client: TestClient[Litestar], world: World, headers: dict[str, str], status: int
) -> None:
    put(client, METRIC)
    before = world.definitions.revision()
    response = put(client, METRIC | {"better": "lower"}, **headers)
    assert response.status_code == status, response.text
    assert world.definitions.revision() == before + (status == 200)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"if_none_match": "*"}, 201), ({"if_match": "*"}, 412), ({"if_match": '"1"'}, 412)],
)
def test_new_definition_can_say_that_it_is_new(
    client: TestClient[Litestar], headers: dict[str, str], status: int
) -> None:
    assert put(client, METRIC, **headers).status_code == status


def test_repeating_what_is_declared_changes_nothing(
    client: TestClient[Litestar], world: World
) -> None:
    put(client, METRIC)
    before = world.definitions.revision()
    again = put(client, METRIC)
    assert (again.status_code, again.headers["etag"]) == (200, '"1"')
    assert world.definitions.revision() == before


def test_definition_that_lost_a_race_is_a_conflict(
    client: TestClient[Litestar], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = world.definitions.all
    monkeypatch.setattr(
        world.definitions, "all", lambda: [d for d in everything() if d.key != "clicks"]
    )
    response = client.put("/v1/metrics/clicks", json={"source": "reward", "better": "lower"})
    assert response.status_code == 409
    assert response.json()["type"] == "version_conflict"
    late = {"if-none-match": "*"}
    response = client.put("/v1/metrics/clicks", json={"source": "reward"}, headers=late)
    assert response.status_code == 412


@pytest.mark.parametrize("kind", ["surfaces", "policies", "experiments", "layers", "metrics"])
def test_what_nobody_declared_is_not_found(worn: TestClient[Litestar], kind: str) -> None:
    for path in (f"/v1/{kind}/nothing", f"/v1/{kind}/nothing/history"):
        response = worn.get(path)
        assert response.status_code == 404
        assert "'nothing' is not declared" in response.json()["detail"]


def test_history_tells_who_changed_what_and_when(
    client: TestClient[Litestar], world: World
) -> None:
    put(client, METRIC, bandit_author="Zoë".encode())
    world.now_ms += 60_000
    put(client, METRIC | {"better": "lower"}, if_match="*")
    first, second = client.get("/v1/metrics/revenue/history").json()
    assert (first["version"], first["author"]) == (1, "Zoë")
    assert [change["path"] for change in first["changes"]] == ["$"]
    assert first["changes"][0]["new"]["name"] == "revenue"
    assert second == {
        "version": 2,
        "created_ms": first["created_ms"] + 60_000,
        "author": "api",
        "changes": [{"path": "$.better", "old": "higher", "new": "lower"}],
    }


@pytest.mark.parametrize("author", [b"", b" ", b"x" * 101, b"a\tb", "a\u202eb".encode()])
def test_author_must_be_readable(worn: TestClient[Litestar], author: bytes) -> None:
    response = put(worn, METRIC, bandit_author=author)
    assert response.status_code == 400
    assert "must be 1 to 100 printable characters" in response.json()["detail"]


def test_layer_is_declared_before_the_experiments_in_it(client: TestClient[Litestar]) -> None:
    experiment = {
        "salt": "s",
        "layer": "page",
        "control": "a",
        "variants": [{"key": key, "allocation": []} for key in ("a", "b")],
    }
    response = client.put("/v1/experiments/button", json=experiment)
    assert "layer 'page' is not declared" in response.json()["detail"]
    assert client.put("/v1/layers/page", json={"salt": "page-1"}).status_code == 201
    assert client.put("/v1/experiments/button", json=experiment).status_code == 201


def test_targeting_that_can_not_be_compiled_says_where(worn: TestClient[Litestar]) -> None:
    experiment = {
        "salt": "s",
        "targeting": "context.age >",
        "control": "a",
        "variants": [{"key": key, "allocation": []} for key in ("a", "b")],
    }
    response = worn.put("/v1/experiments/button", json=experiment)
    assert (response.status_code, response.json()["place"]) == (400, "$.targeting")
    assert "can not be parsed at line 1, column 14" in response.json()["detail"]


def test_spec_that_could_not_be_served_says_why(worn: TestClient[Litestar]) -> None:
    response = worn.put("/v1/surfaces/home.hero", json={"policy": "nobody"})
    assert response.status_code == 400
    assert response.json()["type"] == "bad_spec"
    assert "policy 'nobody' is not declared" in response.json()["detail"]


def test_declared_surface_serves_at_once(client: TestClient[Litestar], world: World) -> None:
    assert client.put("/v1/surfaces/home.hero", json={"policy": "order"}).status_code == 201
    world.wait_for_revision()
    asked = {"surface": "home.hero", "unit_id": "u", "actions": [{"id": "a"}]}
    assert client.post("/v1/rank", json=asked).json()["policy"] == "order"


def test_store_that_is_away_is_503(client: TestClient[Litestar], world: World) -> None:
    world.definitions.away = True
    for response in (client.get("/v1/metrics/clicks"), put(client, METRIC)):
        assert response.status_code == 503
        assert response.json()["type"] == "store_unavailable"
        assert "retry-after" in response.headers
