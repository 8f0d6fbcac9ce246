"""A catalogue over real processes and the real engine: served, changed, replayed, restarted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_api import JSON, WITHIN_S, Service, free_port
from tests.bandit.service.making import wait_until

pytestmark = pytest.mark.acceptance
ADDRESS = "/v1/surfaces/home.feed/catalogue"
ODD = [
    f"{ADDRESS}/%00",
    f"{ADDRESS}/%ED%A0%80",
    f"{ADDRESS}/'%20OR%201=1",
    f"{ADDRESS}/x?version=0",
    f"{ADDRESS}?limit=0",
    f"{ADDRESS}?limit=1e9",
    f"{ADDRESS}?version=18446744073709551616",
    f"{ADDRESS}?version=9",
    f"{ADDRESS}?after={'x' * 257}",
    "/v1/surfaces/nowhere/catalogue",
]


@pytest.fixture
def service(tmp_path: Path, clickhouse_url: str) -> Iterator[Service]:
    service = Service(tmp_path, clickhouse_url)
    service.start()
    put = {"/v1/policies/vw": {"type": "vw", "surface": "home.feed", "floor": 0.01}}
    put["/v1/surfaces/home.feed"] = {"policy": "vw", "max_actions": 50}
    for path, spec in put.items():
        service.until("declaring", "PUT", path, 201, json=spec)
    yield service
    service.client.close()
    service.stop()


def change(service: Service, method: str = "PUT", **body: Any) -> dict[str, Any]:
    made: dict[str, Any] = service.until("a change", method, ADDRESS, 200, json=body).json()
    return made


def item(n: int, **features: Any) -> dict[str, Any]:
    return {"id": f"item-{n}", "features": {"topic": f"t{n % 7}", **features}}


def rank(service: Service, status: int = 200, **fields: Any) -> dict[str, Any]:
    asked = {"surface": "home.feed", "unit_id": "u", "slots": 2, **fields}
    answer: dict[str, Any] = service.until(
        f"a {status}", "POST", "/v1/rank", status, json=asked, headers=JSON
    ).json()
    return answer


def explained(service: Service, answer: dict[str, Any]) -> dict[str, Any]:
    """What each offered action was, by id."""
    path = f"/v1/decisions/{answer['event_id']}"
    told = service.until("the log", "GET", path, 200).json()
    return {action["id"]: action["features"] for action in told["actions"]}


def ranked(
    service: Service, holds: Callable[[dict[str, Any]], bool], status: int = 200, **fields: Any
) -> dict[str, Any]:
    """The first answer for which `holds`: of two workers one may be a moment behind."""
    answers: list[dict[str, Any]] = []

    def answered() -> bool:
        answers.append(rank(service, status, **fields))
        return holds(answers[-1])

    wait_until(answered, WITHIN_S)
    return answers[-1]


def test_decisions_out_of_a_catalogue_that_changes_replay_identically(service: Service) -> None:
    made = change(service, upsert=[item(n, age=1) for n in range(5_000)])
    assert (made["version"], made["actions"]) == (1, 5_000)
    ids = ["item-7", "item-3", "item-4999"]
    first = rank(service, action_ids=ids)
    made = change(service, "PATCH", upsert=[item(3, age=2)], delete=["item-7"])
    assert (made["version"], made["changed"], made["deleted"]) == (2, 1, 1)
    ranked(service, lambda told: told["place"] == "$.action_ids[0]", 400, action_ids=ids)
    newest = {"topic": "t3", "age": 2}
    second = ranked(
        service, lambda told: explained(service, told)["item-3"] == newest, action_ids=ids[1:]
    )
    assert explained(service, first)["item-3"] == {"topic": "t3", "age": 1}
    assert list(explained(service, first)) == ids

    change(service, delete=[f"item-{n}" for n in range(20, 5_000)])
    left = [f"item-{n}" for n in range(20) if n != 7]
    whole = ranked(service, lambda told: list(explained(service, told)) == left)

    for answer in (first, second, whole):
        path = f"/v1/decisions/{answer['event_id']}/replay"
        replay = service.until("a replay", "GET", path, 200).json()
        assert replay["identical"], replay["differences"]
    answers = service.run("replay", "home.feed", "--sample", "100", "--seed", "7")
    assert answers.returncode == 0, answers.stdout + answers.stderr
    assert " 0 differing" in answers.stdout


def test_worker_serves_its_catalogue_without_clickhouse(service: Service) -> None:
    change(service, upsert=[item(n) for n in range(10)])
    rank(service, action_ids=["item-4", "item-2"])
    kept = service.folder / "data" / "cache" / "catalogues" / "home.feed@"
    service.workers()
    assert kept.exists()
    assert service.stop() == 0
    service.start(BANDIT_CLICKHOUSE_URL=f"http://127.0.0.1:{free_port()}")
    answer = rank(service, action_ids=["item-4", "item-2"])
    assert {slot["id"] for slot in answer["ranking"]} == {"item-4", "item-2"}
    assert len(rank(service, slots=10)["ranking"]) == 10
    refused = service.ask("PUT", ADDRESS, json={"upsert": [item(1)]})
    assert refused is not None
    assert refused.status_code == 503


def test_odd_addresses_are_4xx(service: Service) -> None:
    change(service, upsert=[item(1)])
    answers = {path: service.ask("GET", path) for path in ODD}
    wrong = {
        path: None if answer is None else (answer.status_code, answer.text)
        for path, answer in answers.items()
        if answer is None or not 400 <= answer.status_code < 500
    }
    assert not wrong
