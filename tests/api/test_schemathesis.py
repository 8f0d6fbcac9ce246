"""Schemathesis on the application itself, a few cases an operation; `make fuzz` runs thousands.

An answer must be one that the OpenAPI document tells, and never a 5xx; what breaks the document's
schemas must be refused.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from litestar import Litestar
from litestar.testing import TestClient
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.conftest import World

EXAMPLES = 3
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
OF_THE_STORE = ("/v1/reports", "/v1/evaluations", "/v1/surfaces/{key}/promotions")
"""The store in memory has no reports; `make fuzz` asks a real one."""
LISTED = "/v1/decisions"
"""Nor does it list decisions, though it gives them one by one."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient[Litestar]]:
    world = World(tmp_path_factory.mktemp("world"))
    with TestClient(world.app(), base_url="http://127.0.0.1") as client:
        yield client


def test_answers_are_as_the_document_says(client: TestClient[Litestar]) -> None:
    document = client.get("/schema/openapi.json").json()
    operations = [
        found.ok()
        for found in schemathesis.openapi.from_dict(document).get_all_operations()
        if not found.ok().path.startswith(OF_THE_STORE) and found.ok().path != LISTED
    ]
    assert len(operations) > 30
    for operation in operations:
        try_some(client, operation, schemathesis.GenerationMode.POSITIVE)
        if operation.body:  # where all is text in the address, nothing breaks its schema
            try_some(client, operation, schemathesis.GenerationMode.NEGATIVE)


def try_some(
    client: TestClient[Litestar], operation: Any, mode: schemathesis.GenerationMode
) -> None:
    @seed(7)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def try_one(case: schemathesis.Case) -> None:
        sent = case.as_transport_kwargs(base_url="http://127.0.0.1")
        response = client.request(
            sent["method"],
            sent["url"],
            headers=dict(sent["headers"]),
            params=sent.get("params"),
            **{name: sent[name] for name in ("json", "content") if name in sent},
        )
        case.validate_response(response, checks=CHECKS)

    try_one()
