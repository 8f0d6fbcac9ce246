"""Exposures, outcomes and assignments over HTTP."""

from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from tests.api.conftest import World


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
    assert response.json() == {
        "unit_id": "user-2",
        "assignments": [{"key": "feed", "variant": "treatment"}],
    }


def test_experiment_that_nobody_declared_is_not_found(client: TestClient[Litestar]) -> None:
    asked = {"unit_id": "user-2", "experiments": ["fed"]}
    assert client.post("/v1/assignments", json=asked).status_code == 404
