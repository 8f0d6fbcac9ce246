"""Health: alive, and ready to serve whether or not the store is there."""

from litestar import Litestar
from litestar.testing import TestClient

from tests.api.conftest import World
from tests.bandit.service.making import wait_until


def test_worker_with_definitions_is_ready(client: TestClient[Litestar], world: World) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    wait_until(lambda: client.get("/health/ready").json()["store"] == "reached")
    response = client.get("/health/ready")
    assert response.status_code == 200
    health = response.json()
    assert (health["ready"], health["store"], health["writer"]) == (True, "reached", "w")
    assert health["snapshots"] == {"random": 0, "order": 0}


def test_worker_stays_ready_and_ranks_while_the_store_is_away(
    client: TestClient[Litestar], world: World
) -> None:
    world.definitions.away = True
    wait_until(lambda: client.get("/health/ready").json()["store"] == "connection refused")
    response = client.get("/health/ready")
    assert (response.status_code, response.json()["ready"]) == (200, True)
    asked = {"surface": "home.feed", "unit_id": "u", "actions": [{"id": "a"}]}
    assert client.post("/v1/rank", json=asked).status_code == 200


def test_worker_without_definitions_is_alive_but_not_ready(world: World) -> None:
    world.definitions.away = True
    with TestClient(world.app()) as client:
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 503
        asked = {"surface": "home.feed", "unit_id": "u", "actions": [{"id": "a"}]}
        response = client.post("/v1/rank", json=asked)
        assert (response.status_code, response.json()["type"]) == (503, "store_unavailable")


def test_worker_starts_from_the_last_good_state_of_another(world: World) -> None:
    with TestClient(world.app()):
        pass
    world.definitions.away = True
    restarted = type(world)(world.folder / "elsewhere")
    restarted.definitions.away = True
    (world.folder / "cache").rename(world.folder / "elsewhere" / "cache")
    with TestClient(restarted.app()) as client:
        assert client.get("/health/ready").status_code == 200
