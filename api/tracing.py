"""Spans of the API's requests for OpenTelemetry: off unless `BANDIT_TRACING=otlp`.

Litestar's own plugin wraps the whole application, so while it is off nothing is asked and nothing
costs. A span tells which route, status and, of a ranking, which policy and snapshot decided: no
unit, no context, no event id, no address of whoever asked. Where spans go is said by
OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER` …).
"""

import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from litestar.plugins import InitPlugin

from bandit.errors import SettingsError
from bandit.wire import RankAnswer

SERVICE = "bandit"
UNTRACED = ["^/health/", "^/metrics", "^/schema"]
TOLD_PATHS = ("http.target", "http.url", "http.route", "url.path", "url.full")
"""Attributes that would hold a path as it was asked."""
SECRET_ATTRIBUTES = (
    "client.address", "client.port", "net.peer.ip", "net.peer.port", "network.peer.address",
    "network.peer.port", "url.query", "http.user_agent", "user_agent.original",
)  # fmt: skip
"""Attributes that tell who asked."""
_NAMED = re.compile(
    r"(?<=/)(decisions|events|flags|catalogue|evaluations|featureImportances|s|surfaces|policies|"
    r"experiments|layers|metrics)/[^/]+"
)

Annotate = Callable[[RankAnswer], None]


def otlp_provider() -> Any:
    """A tracer provider that sends spans in the background.

    Raises:
        SettingsError: OpenTelemetry is not installed.
    """
    try:
        resources = importlib.import_module("opentelemetry.sdk.resources")
        trace = importlib.import_module("opentelemetry.sdk.trace")
        export = importlib.import_module("opentelemetry.sdk.trace.export")
        otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError as exc:
        raise SettingsError(
            f"BANDIT_TRACING is otlp and {exc.name} is not installed, must be: "
            "pip install 'bandit-service[otel]'"
        ) from exc
    resource = resources.Resource.create({"service.name": SERVICE})
    provider = trace.TracerProvider(resource=resource)
    provider.add_span_processor(export.BatchSpanProcessor(otlp.OTLPSpanExporter()))
    return provider


def plugin(provider: Any) -> InitPlugin:
    """What Litestar is to be given.

    Args:
        provider: Makes the tracer.
    """
    opentelemetry = importlib.import_module("litestar.plugins.opentelemetry")
    config = opentelemetry.OpenTelemetryConfig(
        tracer_provider=provider,
        exclude=UNTRACED,
        exclude_spans=["receive", "send"],
        scope_span_details_extractor=_details,
        server_request_hook_handler=_hide,
    )
    made: InitPlugin = opentelemetry.OpenTelemetryPlugin(config)
    return made


def annotate() -> Annotate:
    """Says in the span of a ranking who decided."""
    trace = importlib.import_module("opentelemetry.trace")

    def say(answer: RankAnswer) -> None:
        span = trace.get_current_span()
        span.set_attribute("bandit.policy", answer.policy)
        span.set_attribute("bandit.snapshot", answer.snapshot)
        span.set_attribute("bandit.logged", answer.logged)

    return say


def route_of(path: str) -> str:
    """A path without what was asked for.

    >>> route_of("/v1/decisions/0192d0c4/replay"), route_of("/s/home/personalizer/v1.0/rank")
    ('/v1/decisions/{…}/replay', '/s/{…}/personalizer/v1.0/rank')
    """
    return _NAMED.sub(r"\1/{…}", path)


def _details(scope: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    route = route_of(scope["path"])
    return f"{scope['method']} {route}", {"http.route": route}


def _hide(span: Any, scope: Mapping[str, Any]) -> None:
    """Replace what the instrumentation wrote about who asked, and for what."""
    route, known = route_of(scope["path"]), getattr(span, "attributes", None) or {}
    for name in TOLD_PATHS:
        if name in known:
            span.set_attribute(name, route)
    for name in SECRET_ATTRIBUTES:
        if name in known:
            span.set_attribute(name, "")
