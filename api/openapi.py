"""The OpenAPI document, and a page that shows it without loading anything from elsewhere.

Litestar writes the document from the typed handlers; the hot routes are bare ASGI handlers that it
can not see, so their operations are added here, from the same types that decode them.
"""

import html
import http
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, get_args, get_origin

import msgspec
from litestar import Litestar, Request, Response
from litestar.enums import MediaType
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin

import bandit
from api.hot import Rewards
from api.problems import MEDIA_TYPE, Problem
from api.security import PAGE_STYLE
from bandit.wire import Accepted, RankAnswer, RankRequest

KEY = {"type": "http", "scheme": "bearer", "description": "An API key: `bandit keys create`."}
REF = "#/components/schemas/{name}"
HOT = (
    ("/v1/rank", "Decide which actions to show, and log it.", RankRequest, 200, RankAnswer),
    ("/v1/rewards", "Accept what came back for a decision's slot.", Rewards, 202, Accepted),
)


def openapi_config() -> OpenAPIConfig:
    """How Litestar serves the document: `/schema/openapi.json` and `/schema` for people."""
    return OpenAPIConfig(
        title="bandit",
        version=bandit.__version__,
        description="Decides which items to show, learns online, proves whether it helped.",
        path="/schema",
        render_plugins=[Document(), Page(path="/", favicon="", style="")],
        use_handler_docstrings=True,
    )


class Document(JsonRenderPlugin):
    """The whole document as JSON."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document, as JSON."""
        return self.render_json(request, completed(openapi_schema, request.app))


class Page(OpenAPIRenderPlugin):
    """The operations as a plain page: no script, nothing fetched."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(media_type=MediaType.HTML, **kwargs)

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page."""
        document = completed(openapi_schema, request.app)
        operations = "".join(
            _operation(method, path, operation)
            for path, operations in sorted(document["paths"].items())
            for method, operation in operations.items()
        )
        schemas = "".join(
            f'<details id="{html.escape(name)}"><summary><code>{html.escape(name)}</code></summary>'
            f"{_shown(schema)}</details>"
            for name, schema in sorted(document["components"]["schemas"].items())
        )
        return (
            "<!doctype html><html lang=en><meta charset=utf-8><title>bandit: routes</title>"
            f"<style>{PAGE_STYLE}</style>"
            "<h1>Routes</h1><p>The whole document: "
            f'<a href="/schema/openapi.json">openapi.json</a></p>{operations}'
            f"<h2>Schemas</h2>{schemas}</html>"
        ).encode()


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    """One operation: what it does, what it takes, what it answers."""
    says = operation.get("description") or operation.get("summary", "")
    taken = [
        f"<li><code>{html.escape(one['name'])}</code> ({one['in']}) {_shown(one['schema'])}</li>"
        for one in operation.get("parameters", [])
    ]
    bodies = [("takes", operation.get("requestBody", {}).get("content", {}))]
    bodies += [(f"answers {s}", a.get("content", {})) for s, a in operation["responses"].items()]
    shapes = "".join(
        f"<p>{what}, {html.escape(media)}:</p>{_shown(one.get('schema', {}))}"
        for what, content in bodies
        for media, one in content.items()
    )
    return (
        f"<details><summary><code>{method.upper()} {html.escape(path)}</code> "
        f"{html.escape(says)}</summary><ul>{''.join(taken)}</ul>{shapes}</details>"
    )


def _shown(schema: Any) -> str:
    """A schema as JSON; what it refers to is a link."""
    text = html.escape(msgspec.json.format(msgspec.json.encode(schema)).decode(), quote=False)
    return f"<pre>{_REFERENCE.sub(_LINK, text)}</pre>"


_REFERENCE = re.compile(r'"#/components/schemas/([A-Za-z0-9_.-]+)"')
_LINK = r'<a href="#\1">\1</a>'


def completed(schema: dict[str, Any], app: Litestar) -> dict[str, Any]:
    """The document with the hot routes, and with bodies as they are decoded and encoded.

    Litestar describes types in its own way, which is not always how msgspec reads them (a pair of
    numbers, a field that may be left out); so every body is described by msgspec here.
    """
    paths = {path: dict(operations) for path, operations in schema.get("paths", {}).items()}
    paths |= {path: {"post": _hot(path, summary)} for path, summary, *_ in HOT}
    shown = {(path, method) for path, found in paths.items() for method in found}
    bodies = {place: one for place, one in _bodies(app) if place in shown} | {
        (path, "post"): Bodies(request, answer, (status,), key_in_address=False)
        for path, _, request, status, answer in HOT
    }
    shapes, components = _described(bodies)
    error = {
        "description": "A problem document (RFC 9457).",
        "content": {MEDIA_TYPE: {"schema": shapes[Problem]}},
    }
    for path, operations in paths.items():
        for method, operation in operations.items():
            operations[method] = _with_bodies(operation, bodies[path, method], shapes, error)
    parts = {"schemas": components, "securitySchemes": {"key": KEY}}
    # The empty one: a service that asks nobody for a key is described as well.
    return schema | {"paths": paths, "components": parts, "security": [{"key": []}, {}]}


class Bodies(NamedTuple):
    """What an operation takes and answers.

    Attributes:
        request: Type of its body; None: it takes none.
        answer: Type of what it answers.
        statuses: With which it answers that.
        key_in_address: The body may leave out its key.
    """

    request: Any
    answer: Any
    statuses: tuple[int, ...]
    key_in_address: bool


def _bodies(app: Litestar) -> Iterator[tuple[tuple[str, str], Bodies]]:
    """Bodies of every operation that Litestar describes, by path and method."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            data, answer = handler.parsed_data_field, handler.parsed_return_field.annotation
            if get_origin(answer) is Response:
                (answer,) = get_args(answer)
            bodies = Bodies(
                data and data.annotation,
                answer,
                handler.opt.get("statuses", (handler.status_code,)),
                handler.opt.get("key_in_address", False),
            )
            for method in handler.http_methods:
                yield (route.path_format, method.lower()), bodies


def _described(
    bodies: dict[tuple[str, str], Bodies],
) -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    """Schemas by type, and the components that they refer to."""
    types = [Problem]
    for one in bodies.values():
        types += [kind for kind in (one.request, one.answer) if kind not in (None, Response)]
    shapes, components = msgspec.json.schema_components(types, ref_template=REF)
    names = _names(components)
    components = {names[name]: _plain(schema, names) for name, schema in components.items()}
    described = {kind: _plain(shape, names) for kind, shape in zip(types, shapes, strict=True)}
    for one in bodies.values():
        if one.key_in_address:
            whole = components[one.request.__name__]
            required = [name for name in whole["required"] if name != "key"]
            name = f"{one.request.__name__}Declaration"
            components[name] = whole | {"title": name, "required": required}
    return described, components


def _names(components: Iterable[str]) -> dict[str, str]:
    """A short name for each: msgspec writes `module.Name` where several types share a name."""
    names: dict[str, str] = {}
    for name in sorted(components):  # those of `api` come first, and so get the shortest
        *modules, short = name.split(".")
        if short in names.values():
            short = f"{modules[-1].title().replace('_', '')}{short}"
        names[name] = short
    return names


def _plain(schema: Any, names: Mapping[str, str]) -> Any:
    """A schema with short names, and with tuples of equals as arrays of so many.

    Few readers know `prefixItems`.
    """
    if isinstance(schema, list):
        return [_plain(one, names) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _plain(value, names) for name, value in schema.items()}
    if isinstance(found.get("$ref"), str):
        found["$ref"] = REF.format(name=names[found["$ref"].rpartition("/")[2]])
    items = found.get("prefixItems")
    if items and all(one == items[0] for one in items):
        del found["prefixItems"]
        found["items"] = items[0]
    return found


def _hot(path: str, summary: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "operationId": path.strip("/").replace("/", "_"),
        "requestBody": {"required": True},
        "responses": {},
    }


def _with_bodies(
    operation: dict[str, Any],
    bodies: Bodies,
    shapes: dict[Any, dict[str, Any]],
    error: dict[str, Any],
) -> dict[str, Any]:
    answer = {"application/json": {"schema": shapes[bodies.answer]}}
    described = operation | {
        "responses": {
            **{
                str(status): {"description": http.HTTPStatus(status).phrase, "content": answer}
                for status in bodies.statuses
            },
            "default": error,
        }
    }
    if bodies.request is not None:
        schema = shapes[bodies.request]
        if bodies.key_in_address:
            schema = {"$ref": REF.format(name=f"{bodies.request.__name__}Declaration")}
        content = {"application/json": {"schema": schema}}
        described["requestBody"] = operation["requestBody"] | {"content": content}
    return described
