"""Exposures, outcomes and assignments over HTTP."""

from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from bandit.errors import JournalUnavailable
from tests.api.conftest import World
from tests.bandit.service.test_assigning import BUTTON


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(
    ("path", "one"),
    [
        ("/v1/exposures", {"slots": [0, 1]}),
        ("/v1/outcomes", {"unit_id": "u", "name": "revenue", "value": 9.5}),
    ],
)
def test_records_are_journaled_one_or_many(
    client: TestClient[Litestar], world: World, path: str, one: dict[str, Any], many: bool
) -> None:
    if "slots" in one:
        one = one | {"event_id": world.event_id()}
    before = world.journal_bytes
    response = client.post(path, json=[one] * 3 if many else one)
    assert response.status_code == 202
    assert response.json() == {"accepted": 3 if many else 1}
    assert world.journal_bytes > before


def test_unit_is_told_its_variants(client: TestClient[Litestar]) -> None:
    response = client.post("/v1/assignments", json={"unit_id": "user-2"})
    assert response.status_code == 200
    told = {"key": "feed", "variant": "treatment", "payload": None, "reason": "split"}
    assert response.json() == {"unit_id": "user-2", "assignments": [told]}


@pytest.mark.parametrize("log", [True, False])
def test_assignment_is_answered_once_the_journal_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: bool
) -> None:
    world = World(tmp_path, declared=[BUTTON])
    waited: list[int] = []

    async def durable() -> None:
        waited.append(world.journal_bytes)

    monkeypatch.setattr(world.journal, "durable", durable)
    asked = {"unit_id": "user-2", "log": log}
    with TestClient(world.app()) as client:
        before = world.journal_bytes
        answers = [client.post("/v1/assignments", json=asked).json() for _ in range(2)]
        after = world.journal_bytes
    assert answers[0] == answers[1]
    assert answers[0]["assignments"][0]["payload"] == {"colour": "red"}
    assert (after > before) is log
    assert waited == [after] * (2 if log else 0)


def test_assignment_that_can_not_be_journaled_is_503(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, declared=[BUTTON])

    def full(records: object) -> None:
        raise JournalUnavailable("no space left on device")

    monkeypatch.setattr(world.journal, "append_many", full)
    with TestClient(world.app()) as client:
        assert client.post("/v1/assignments", json={"unit_id": "user-2"}).status_code == 503
        # To be told is possible as long as nothing must be kept.
        asked = {"unit_id": "user-2", "log": False}
        assert client.post("/v1/assignments", json=asked).status_code == 200


def test_experiment_that_nobody_declared_is_not_found(client: TestClient[Litestar]) -> None:
    asked = {"unit_id": "user-2", "experiments": ["fed"]}
    assert client.post("/v1/assignments", json=asked).status_code == 404
