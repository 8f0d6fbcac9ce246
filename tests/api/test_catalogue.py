"""Catalogues over HTTP: bulk changes, pages, optimistic concurrency, and serving from them."""

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from bandit.records import Decision
from tests.api.conftest import MAX_BODY_BYTES, World
from tests.bandit.service.making import wait_until

ADDRESS = "/v1/surfaces/home.feed/catalogue"
Client = TestClient[Litestar]


def change(client: Client, *upsert: object, delete: list[str] | None = None, **headers: str):
    body = {"upsert": list(upsert), "delete": delete or []}
    return client.put(ADDRESS, json=body, headers=headers)


def action(id_: str, **features: object) -> dict[str, object]:
    return {"id": id_, "features": features}


def served(world: World) -> int:
    catalogue = world.serving.state.surface("home.feed").catalogue
    return 0 if catalogue is None else catalogue.version


def test_what_was_put_is_shown_in_pages(client: Client) -> None:
    made = change(client, *(action(id_, n=1) for id_ in "cab"))
    assert (made.status_code, made.headers["etag"]) == (200, '"1"')
    assert made.json() == {
        "version": 1, "actions": 3, "added": 3, "changed": 0, "unchanged": 0, "deleted": 0,
    }  # fmt: skip
    change(client, action("b", n=2))
    first = client.get(ADDRESS, params={"limit": 2})
    assert first.headers["etag"] == '"2"'
    assert first.json() == {
        "version": 2,
        "actions": [
            {"id": "a", "features": {"n": 1}, "version": 1},
            {"id": "b", "features": {"n": 2}, "version": 2},
        ],
        "next": "b",
    }
    rest = client.get(ADDRESS, params={"limit": 2, "after": "b", "version": 1})
    assert [one["id"] for one in rest.json()["actions"]] == ["c"]
    assert rest.json()["next"] is None


def test_patch_is_the_same_as_put(client: Client) -> None:
    body = {"upsert": [action("a")], "delete": ["nobody"]}
    made = client.patch(ADDRESS, json=body)
    assert (made.status_code, made.json()["version"], made.json()["deleted"]) == (200, 1, 0)


def test_one_action_is_shown_as_it_is_and_as_it_was(client: Client) -> None:
    change(client, action("a b", n=1))
    change(client, action("a b", n=2))
    now, then = client.get(f"{ADDRESS}/a%20b"), client.get(f"{ADDRESS}/a%20b?version=1")
    assert now.json() == {"id": "a b", "features": {"n": 2}, "version": 2}
    assert then.json() == {"id": "a b", "features": {"n": 1}, "version": 1}
    assert client.get(f"{ADDRESS}/nobody").status_code == 404
    assert client.get(f"{ADDRESS}/a%20b?version=3").status_code == 404


def test_deleted_action_is_gone(client: Client) -> None:
    change(client, action("a"), action("b"))
    gone = client.delete(f"{ADDRESS}/a")
    assert (gone.status_code, gone.json()["version"], gone.json()["actions"]) == (200, 2, 1)
    again = client.delete(f"{ADDRESS}/a")
    assert (again.status_code, again.json()["type"]) == (404, "not_found")
    assert client.get(ADDRESS).headers["etag"] == '"2"'


def test_change_against_another_version_is_refused(client: Client) -> None:
    assert change(client, action("a"), **{"if-match": '"0"'}).status_code == 200
    late = change(client, action("a", n=1), **{"if-match": '"0"'})
    assert (late.status_code, late.json()["type"]) == (412, "precondition_failed")
    assert "is at version 1" in late.json()["detail"]
    assert change(client, action("a", n=1), **{"if-match": '"1"'}).json()["version"] == 2
    assert change(client, action("a", n=2), **{"if-match": "*"}).json()["version"] == 3
    assert change(client, action("b"), **{"if-match": "3"}).status_code == 400


@pytest.mark.parametrize(
    ("upsert", "delete", "place"),
    [
        ([action("a"), action("b", days=5e9)], [], "$.upsert[1].features.days"),
        ([action("a"), {"id": "b", "features": [1]}], [], "$.upsert[1].features"),
        ([action("a"), action("a")], [], "$.upsert[1].id"),
        ([action("a")], ["b", "a"], "$.delete[1]"),
        ([{"id": ""}], [], "$.upsert[0].id"),
        ([], [], "$"),
    ],
    ids=["number", "no object", "twice", "both ways", "no id", "nothing"],
)
def test_bad_change_names_the_place_and_changes_nothing(
    client: Client, upsert: list[object], delete: list[str], place: str
) -> None:
    answer = change(client, *upsert, delete=delete)
    assert (answer.status_code, answer.json()["place"]) == (400, place)
    assert client.get(ADDRESS).json()["version"] == 0


def test_ten_thousand_actions_come_in_one_request(client: Client) -> None:
    made = change(client, *(action(f"item-{n}", n=n, topic="go") for n in range(10_000)))
    assert len(made.request.content) > MAX_BODY_BYTES
    assert (made.status_code, made.json()["actions"]) == (200, 10_000)
    more = change(client, *(action(f"item-{n}") for n in range(10_001)))
    assert more.status_code == 400


def test_surface_that_nobody_declared_has_no_catalogue(client: Client) -> None:
    body = {"upsert": [action("a")]}
    assert client.put("/v1/surfaces/home.hero/catalogue", json=body).status_code == 404
    assert client.get("/v1/surfaces/home.hero/catalogue").status_code == 404


def test_store_that_is_away_is_said(client: Client, world: World) -> None:
    world.catalogues.away = True
    answer = change(client, action("a"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_requests_rank_out_of_the_catalogue(client: Client, world: World) -> None:
    change(client, action("a", n=1), action("b", n=2), action("c", n=3))
    wait_until(lambda: served(world) == 1)
    asked = {"surface": "home.feed", "unit_id": "u", "slots": 3}
    appended: list[Decision] = []
    append = world.journal.append
    world.journal.append = lambda record: (appended.append(record), append(record))  # type: ignore[method-assign, func-returns-value, assignment, return-value]
    whole = client.post("/v1/rank", json=asked)
    some = client.post("/v1/rank", json=asked | {"action_ids": ["c", "a"]})
    assert {one["id"] for one in whole.json()["ranking"]} == {"a", "b", "c"}
    assert {one["id"] for one in some.json()["ranking"]} == {"a", "c"}
    logged = [(decision.catalogue, decision.offered) for decision in appended]
    assert logged == [(1, b'["a","b","c"]'), (1, b"")]
    unknown = client.post("/v1/rank", json=asked | {"action_ids": ["c", "x"]})
    assert (unknown.status_code, unknown.json()["place"]) == (400, "$.action_ids[1]")
