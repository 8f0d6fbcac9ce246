"""The stock OpenFeature provider, unmodified, against `bandit api` as it is started."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from bandit.assign import bucket
from tests.acceptance.test_api import WITHIN_S, Service

pytestmark = pytest.mark.acceptance
UNITS = [f"user-{n}" for n in range(40)]


def experiment(payloads: list[Any], **more: Any) -> dict[str, Any]:
    return {
        "status": "running",
        "control": "a",
        "variants": [
            {"key": "a", "payload": payloads[0], "allocation": [[0, 5000]]},
            {"key": "b", "payload": payloads[1], "allocation": [[5000, 8000]]},
        ],
        **more,
    }


FLAGS = {
    "shiny": experiment([False, True]),
    "colour": experiment(["blue", "red"], targeting="context.country == 'US'"),
    "rows": experiment([3, 5], overrides={"qa": "b"}),
    "ratio": experiment([0.5, 0.75]),
    "layout": experiment([{"columns": 1}, {"columns": [1, 2]}]),
    "later": experiment([False, True], status="draft"),
}
for key, body in FLAGS.items():
    body["salt"] = key


def given(flag: str, unit: str) -> str | None:
    """The variant that the published hash gives a unit; None outside both."""
    place = bucket(flag, unit)
    return None if place >= 8000 else "b" if place >= 5000 else "a"


def someone_in(flag: str) -> str:
    """A unit with a variant."""
    return next(key for key in UNITS if given(flag, key) is not None)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, clickhouse_url: str) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service"), clickhouse_url)
    service.start()
    for key, body in FLAGS.items():
        service.until("declaring", "PUT", f"/v1/experiments/{key}", 201, json=body)
    served: set[str] = set()
    while len(served) < 2:
        health = service.until("readiness", "GET", "/health/ready", 200).json()
        if health["revision"] == len(FLAGS):
            served.add(health["writer"])
    yield service
    service.client.close()
    service.stop()


@pytest.fixture
def client(service: Service) -> Iterator[OpenFeatureClient]:
    provider = OFREPProvider(f"http://127.0.0.1:{service.port}")
    api.set_provider(provider)
    yield api.get_client()
    api.clear_providers()
    provider.session.close()


def unit(key: str | None, **attributes: Any) -> EvaluationContext:
    return EvaluationContext(key, attributes)


def test_every_kind_of_flag_is_evaluated_as_it_was_declared(client: OpenFeatureClient) -> None:
    payloads: dict[str, Any] = {
        "shiny": (False, client.get_boolean_details),
        "colour": ("?", client.get_string_details),
        "rows": (0, client.get_integer_details),
        "ratio": (0.0, client.get_float_details),
        "layout": ({}, client.get_object_details),
    }
    for key in UNITS:
        for flag, (default, details) in payloads.items():
            found, variant = details(flag, default, unit(key, country="US")), given(flag, key)
            told = {one["key"]: one["payload"] for one in FLAGS[flag]["variants"]}
            assert (found.value, found.variant) == (told.get(variant, default), variant or "")
            assert found.reason == (Reason.SPLIT if variant else Reason.DEFAULT)
            assert found.error_code is None
            assert found.flag_metadata["experiment_version"] == 1


def test_evaluations_reach_the_log_as_assignments(
    service: Service, client: OpenFeatureClient, clickhouse_url: str
) -> None:
    inside = sorted(key for key in UNITS if given("shiny", key))
    for key in UNITS * 2:
        client.get_boolean_value("shiny", default_value=False, evaluation_context=unit(key))
    database = service.environ["BANDIT_CLICKHOUSE_DATABASE"]
    query = (
        "SELECT arraySort(groupUniqArray(unit_id)), count() <= 2 * uniqExact(unit_id) "
        f"FROM {database}.assignments WHERE experiment = 'shiny' FORMAT JSONCompactEachRow"
    )
    deadline, found = time.monotonic() + WITHIN_S, [[], 0]
    while found != [inside, 1]:  # once a day for a unit, as far as each of two workers knows
        assert time.monotonic() < deadline, found
        response = httpx.post(clickhouse_url, content=query)
        found = response.json() if response.status_code == 200 else found
        threading.Event().wait(0.05)


def test_callers_default_holds_where_no_variant_does(client: OpenFeatureClient) -> None:
    there = client.get_string_details("colour", "none", unit(someone_in("colour"), country="FR"))
    assert (there.value, there.reason) == ("none", Reason.DEFAULT)
    later = client.get_boolean_details("later", default_value=True, evaluation_context=unit("u"))
    assert (later.value, later.reason) == (True, Reason.DISABLED)
    forced = client.get_integer_details("rows", 0, unit("qa"))
    assert (forced.value, forced.reason) == (5, Reason.TARGETING_MATCH)
    assert forced.flag_metadata["forced"] is True


def test_errors_are_told_as_the_sdk_knows_them(client: OpenFeatureClient) -> None:
    def details(flag: str, context: EvaluationContext) -> tuple[str, ErrorCode | None]:
        found = client.get_string_details(flag, "default", context)
        return found.value, found.error_code

    assert details("nothing", unit("u")) == ("default", ErrorCode.FLAG_NOT_FOUND)
    assert details("colour", unit(None, country="US")) == (
        "default",
        ErrorCode.TARGETING_KEY_MISSING,
    )
    assert details("colour", unit("u" * 300)) == ("default", ErrorCode.INVALID_CONTEXT)
    assert details("rows", unit(someone_in("rows"))) == ("default", ErrorCode.TYPE_MISMATCH)
