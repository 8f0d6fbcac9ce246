"""The OpenAPI document, and a page that shows it without loading anything from elsewhere.

Litestar writes the document from the typed handlers; the hot routes are bare ASGI handlers that it
can not see, so their operations are added here, from the same types that decode them.
"""

import html
import re
from typing import Any

import msgspec
from litestar import Request
from litestar.enums import MediaType
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin

import bandit
from api.hot import Rewards
from api.problems import MEDIA_TYPE, Problem
from api.security import PAGE_STYLE
from bandit.wire import Accepted, RankAnswer, RankRequest

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
        return self.render_json(request, completed(openapi_schema))


class Page(OpenAPIRenderPlugin):
    """The operations as a plain page: no script, nothing fetched."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(media_type=MediaType.HTML, **kwargs)

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page."""
        document = completed(openapi_schema)
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


def completed(schema: dict[str, Any]) -> dict[str, Any]:
    """The document with the hot routes, and with problem documents as every route's error."""
    types = [kind for _, _, request, _, answer in HOT for kind in (request, answer)]
    shapes, components = msgspec.json.schema_components([*types, Problem], ref_template=REF)
    *of_hot, problem = shapes
    error = {
        "description": "A problem document (RFC 9457).",
        "content": {MEDIA_TYPE: {"schema": problem}},
    }
    paths = {path: dict(operations) for path, operations in schema.get("paths", {}).items()}
    for place, (path, summary, _, status, _) in enumerate(HOT):
        request, answer = of_hot[2 * place], of_hot[2 * place + 1]
        paths[path] = {
            "post": {
                "summary": summary,
                "operationId": path.strip("/").replace("/", "_"),
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": request}},
                },
                "responses": {
                    str(status): {
                        "description": "Durable, and answered.",
                        "content": {"application/json": {"schema": answer}},
                    }
                },
            }
        }
    for operations in paths.values():
        for method, operation in operations.items():
            answers = {s: a for s, a in operation["responses"].items() if s[0] == "2"}
            operations[method] = operation | {"responses": answers | {"default": error}}
    known = schema.get("components", {})
    schemas = known.get("schemas", {}) | components
    return schema | {"paths": paths, "components": known | {"schemas": schemas}}
