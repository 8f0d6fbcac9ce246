"""OpenFeature's remote evaluation protocol; its stock client is in `tests/acceptance`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from msgspec.structs import replace

from bandit.errors import JournalUnavailable
from tests.api.conftest import World
from tests.bandit.service.making import EXPERIMENT, FIXED, SURFACE, UNIFORM
from tests.bandit.service.test_assigning import BUTTON

ALL = "/ofrep/v1/evaluate/flags"
ONE = f"{ALL}/button"
UNIT = {"context": {"targetingKey": "user-2"}}
RED = {
    "key": "button",
    "reason": "SPLIT",
    "variant": "red",
    "metadata": {"experiment_version": 1, "forced": False},
    "value": {"colour": "red"},
}


DECLARED = (
    UNIFORM,
    FIXED,
    SURFACE,
    EXPERIMENT,
    replace(BUTTON, overrides={"qa": "red"}),
    replace(BUTTON, key="for-us", targeting="context.country == 'US'"),
    replace(BUTTON, key="old", status="archived"),
    replace(BUTTON, key="draft", status="draft"),
    replace(BUTTON, key="bare", variants=[replace(v, payload=None) for v in BUTTON.variants]),
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, declared=DECLARED)


@pytest.fixture
def client(world: World) -> Iterator[TestClient[Litestar]]:
    with TestClient(world.app()) as client:
        yield client


def test_flag_is_the_payload_of_the_units_variant(worn: TestClient[Litestar]) -> None:
    response = worn.post(ONE, json=UNIT)
    assert (response.status_code, response.json()) == (200, RED)


@pytest.mark.parametrize(
    ("flag", "context", "reason", "variant"),
    [
        ("button", {"targetingKey": "qa"}, "TARGETING_MATCH", "red"),
        ("button", {"targetingKey": "user-0"}, "DEFAULT", ""),
        ("for-us", {"targetingKey": "user-2", "country": "US"}, "SPLIT", "red"),
        ("for-us", {"targetingKey": "user-2", "country": "FR"}, "DEFAULT", ""),
        ("draft", {"targetingKey": "user-2"}, "DISABLED", ""),
        ("bare", {"targetingKey": "user-2"}, "SPLIT", "red"),
    ],
)
def test_reason_says_why_and_no_value_means_the_callers_default(
    worn: TestClient[Litestar], flag: str, context: dict[str, Any], reason: str, variant: str
) -> None:
    told = worn.post(f"{ALL}/{flag}", json={"context": context}).json()
    assert (told["reason"], told["variant"]) == (reason, variant)
    assert ("value" in told) is (variant == "red" and flag != "bare")


def test_all_flags_come_at_once_without_experiments_on_surfaces(
    worn: TestClient[Litestar],
) -> None:
    response = worn.post(ALL, json=UNIT)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    flags = {flag["key"]: flag for flag in response.json()["flags"]}
    assert list(flags) == ["bare", "button", "draft", "for-us"]
    assert flags["button"] == RED


def test_what_the_client_has_already_is_not_sent_again(worn: TestClient[Litestar]) -> None:
    etag = worn.post(ALL, json=UNIT).headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}'):
        response = worn.post(ALL, json=UNIT, headers={"if-none-match": known})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == etag
    changed = {"context": {"targetingKey": "user-2", "country": "US"}}
    response = worn.post(ALL, json=changed, headers={"if-none-match": etag})
    assert response.status_code == 200
    assert response.headers["etag"] != etag


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (f"{ALL}/nothing", b'{"context":{"targetingKey":"u"}}', 404, "FLAG_NOT_FOUND"),
        (f"{ALL}/feed", b'{"context":{"targetingKey":"u"}}', 404, "FLAG_NOT_FOUND"),
        (f"{ALL}/old", b'{"context":{"targetingKey":"u"}}', 404, "FLAG_NOT_FOUND"),
        (ONE, b"{}", 400, "TARGETING_KEY_MISSING"),
        (ONE, b'{"context":{}}', 400, "TARGETING_KEY_MISSING"),
        (ONE, b'{"context":{"targetingKey":""}}', 400, "TARGETING_KEY_MISSING"),
        (ONE, b'{"context":{"targetingKey":7}}', 400, "INVALID_CONTEXT"),
        (ONE, b'{"context":{"targetingKey":"%b"}}' % (b"u" * 257), 400, "INVALID_CONTEXT"),
        (ONE, b'{"context":null}', 400, "INVALID_CONTEXT"),
        (ONE, b"[]", 400, "INVALID_CONTEXT"),
        (ONE, b"", 400, "PARSE_ERROR"),
        (ONE, b'{"context":', 400, "PARSE_ERROR"),
        (ONE, b'{"context":{"a":' + b"[" * 5000, 400, "PARSE_ERROR"),
        (ALL, b"{}", 400, "TARGETING_KEY_MISSING"),
        (ALL, b"\xff", 400, "PARSE_ERROR"),
        (ALL, b" " * 200_000, 413, "GENERAL"),
    ],
)
def test_errors_have_the_protocols_shape(
    worn: TestClient[Litestar], path: str, body: bytes, status: int, code: str
) -> None:
    response = worn.post(path, content=body, headers={"content-type": "application/json"})
    told = response.json()
    assert (response.status_code, told["errorCode"]) == (status, code)
    assert told["errorDetails"]
    assert told.get("key") == (None if path == ALL else path.rpartition("/")[2])


def test_evaluations_are_logged_as_assignments(client: TestClient[Litestar], world: World) -> None:
    before = world.journal_bytes
    client.post(ONE, json=UNIT)
    once = world.journal_bytes
    client.post(ONE, json=UNIT)
    assert before < once == world.journal_bytes


def test_flag_is_not_told_when_the_journal_can_not_have_it(
    client: TestClient[Litestar], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(records: object) -> None:
        raise JournalUnavailable("no space left on device")

    monkeypatch.setattr(world.journal, "append_many", full)
    response = client.post(ONE, json=UNIT)
    assert (response.status_code, response.json()["errorCode"]) == (503, "GENERAL")
    assert int(response.headers["retry-after"]) > 0


def test_another_content_type_can_not_be_parsed(worn: TestClient[Litestar]) -> None:
    response = worn.post(ONE, content=b"{}", headers={"content-type": "text/plain"})
    assert (response.status_code, response.json()["errorCode"]) == (400, "PARSE_ERROR")
