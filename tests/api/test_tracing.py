"""OpenTelemetry: spans of requests, without who asked and for what."""

import sys
from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from api.tracing import otlp_provider
from bandit.errors import SettingsError
from tests.api.conftest import World

RANK = {"surface": "home.feed", "unit_id": "u-secret", "actions": [{"id": "a"}]}


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traced(world: World, exporter: InMemorySpanExporter) -> Iterator[TestClient[Litestar]]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with TestClient(world.app(tracer_provider=provider)) as client:
        yield client


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exporter.get_finished_spans()
    return span


def test_a_ranking_is_one_span_that_says_who_decided(
    traced: TestClient[Litestar], exporter: InMemorySpanExporter
) -> None:
    answer = traced.post("/v1/rank", json=RANK).json()
    span = only(exporter)
    told = dict(span.attributes or {})
    assert span.name == "POST /v1/rank"
    assert told["bandit.policy"] == answer["policy"]
    assert told["bandit.snapshot"] == answer["snapshot"]
    assert told["bandit.logged"] is True
    assert 200 in told.values()


def test_no_span_says_who_asked_or_for_what(
    traced: TestClient[Litestar], exporter: InMemorySpanExporter, world: World
) -> None:
    event_id = world.event_id()
    traced.post("/v1/rank", json=RANK, headers={"user-agent": "secret-agent"})
    traced.get(f"/v1/decisions/{event_id}?unit=u-secret")
    traced.put(f"/s/home.feed/personalizer/v1.0/events/{event_id}/reward", json={"value": 1})
    told = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert len(exporter.get_finished_spans()) == 3
    for secret in ("u-secret", "secret-agent", event_id, "testclient"):
        assert secret not in told
    assert "GET /v1/decisions/{…}" in {span.name for span in exporter.get_finished_spans()}


def test_a_trace_that_a_client_began_goes_on(
    traced: TestClient[Litestar], exporter: InMemorySpanExporter
) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    traced.post("/v1/rank", json=RANK, headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    context = only(exporter).context
    assert context is not None
    assert f"{context.trace_id:032x}" == trace


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
def test_probes_are_not_traced(
    traced: TestClient[Litestar], exporter: InMemorySpanExporter, path: str
) -> None:
    assert traced.get(path).status_code == 200
    assert exporter.get_finished_spans() == ()


def test_spans_go_out_in_the_background_under_our_name() -> None:
    provider = otlp_provider()
    assert provider.resource.attributes["service.name"] == "bandit"
    provider.shutdown()


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"pip install 'bandit-service\[otel\]'"):
        otlp_provider()


def test_it_is_off_unless_it_is_asked_for(
    client: TestClient[Litestar], exporter: InMemorySpanExporter, world: World
) -> None:
    assert client.post("/v1/rank", json=RANK).status_code == 200
    assert exporter.get_finished_spans() == ()
    assert not any("OpenTelemetry" in type(each).__name__ for each in world.app().plugins)
