"""What a worker logs while it is asked bad and impossible things: nothing of what was asked."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from litestar.testing import TestClient

from bandit import logs
from tests.api.conftest import World

SECRET = "u-5ecret"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Everything that is logged, also what only `debug` shows."""
    root, stream = logging.getLogger(), io.StringIO()
    level = root.level
    logs.configure("api", level="debug", how="json", stream=stream)
    yield stream
    for handler in [each for each in root.handlers if isinstance(each, logs._Handler)]:
        root.removeHandler(handler)
    root.setLevel(level)


def events(lines: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_a_workers_life_and_its_refusals_are_named(lines: io.StringIO, world: World) -> None:
    with TestClient(world.app()) as client:
        client.post(
            "/v1/rank", json={"surface": "nothing", "unit_id": SECRET, "actions": [{"id": "a"}]}
        )
        client.post("/v1/rank", content=b"{")
    named = [each for each in events(lines) if each["process"] == "api"]
    assert [e["event"] for e in named if str(e["event"]) in logs.EVENTS] == [
        "started",
        "request_refused",
        "request_refused",
        "ended",
    ]
    refused = [each["fields"] for each in named if each["event"] == "request_refused"]
    assert refused[0] == {"status": 404, "type": "not_declared"}


def test_an_error_of_ours_is_logged_with_its_place_and_without_the_request(
    lines: io.StringIO, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr(world.services.deciding, "rank", fail)
    with TestClient(world.app()) as client:
        body = {"surface": "home.feed", "unit_id": SECRET, "actions": [{"id": "a"}]}
        assert client.post("/v1/rank", json=body).status_code == 500
    (failed,) = [each for each in events(lines) if each["event"] == "request_failed"]
    error = failed["error"]
    assert isinstance(error, dict)
    assert error["what"] == "KeyError"
    assert any("in fail" in place for place in error["at"])
    assert SECRET not in lines.getvalue()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/rank", {"surface": "home.feed", "unit_id": SECRET * 100, "actions": [{"id": "a"}]}),
        ("/v1/rank", {"surface": "home.feed", "unit_id": SECRET, "context": SECRET}),
        ("/v1/rewards", {"event_id": SECRET, "value": 1}),
        ("/v1/outcomes", {"unit_id": SECRET, "name": "", "value": 1e99}),
        ("/v1/assignments", {"unit_id": SECRET, "context": {"a": SECRET}, "experiments": 5}),
        ("/ofrep/v1/evaluate/flags/x", {"context": {"targetingKey": SECRET}}),
        ("/personalizer/v1.0/rank", {"eventId": SECRET, "actions": SECRET}),
    ],
)
def test_no_line_quotes_a_request(
    lines: io.StringIO, world: World, path: str, body: dict[str, object]
) -> None:
    with TestClient(world.app()) as client:
        assert client.post(path, json=body).status_code >= 400
    assert "request_refused" in lines.getvalue()
    assert SECRET not in lines.getvalue()
