"""Routes that declare and show: one set per kind, versioned, with optimistic concurrency.

The ETag of a definition is its version. A change names what it was made against:

| header of a PUT | meaning |
| --- | --- |
| `If-Match: "3"` | change version 3; 412 if it is another one by now |
| `If-Match: *` | change whatever is there; 412 if nothing is |
| `If-None-Match: *` | declare it new; 412 if it is declared |
| none | declare it new, or repeat what is declared; 428 for a change |

`Bandit-Author` says who makes the change, for the history of the definition; where keys are asked
for, the key says it, and whose project it is.
"""

from typing import Annotated, Any, TypeVar, cast

import msgspec
from litestar import Response, Router, get, put
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from api.authorising import principal_of
from api.bodies import JsonRequest
from api.services import Services
from bandit.errors import RecordError, VersionConflict
from bandit.records import Record
from bandit.service.defining import DefinitionService
from bandit.service.history import DefinitionVersion
from bandit.service.key_ring import Principal
from bandit.specs import AnySpec, Experiment, Layer, Metric, PolicySpec, Surface
from bandit.store.definitions import Definition

S = TypeVar("S", bound=AnySpec)
AUTHOR = "api"
"""Who changed a definition, where nobody says."""
PATHS: dict[str, type[AnySpec]] = {
    "/v1/surfaces": Surface,
    "/v1/policies": PolicySpec,
    "/v1/experiments": Experiment,
    "/v1/layers": Layer,
    "/v1/metrics": Metric,
}
Version = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1)]
IfMatch = Annotated[str | None, HeaderParameter(name="If-Match")]
IfNoneMatch = Annotated[str | None, HeaderParameter(name="If-None-Match")]
Author = Annotated[str | None, HeaderParameter(name="Bandit-Author")]


class Declared(Record, frozen=True, kw_only=True):
    """A definition in a list."""

    key: str
    version: int
    created_ms: int
    author: str
    spec: Any


class DefinitionRequest(JsonRequest):
    """A spec whose key and project may be left out of the body: address and API key say them."""

    def prepare(self, body: bytes) -> bytes:
        """The body with its key and project."""
        try:
            fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        except (ValueError, RecursionError):
            return body  # decoding it into its type says what is wrong
        fields.setdefault("key", msgspec.Raw(msgspec.json.encode(self.path_params["key"])))
        project = principal_of(self).project
        if project is not None:
            fields.setdefault("project", msgspec.Raw(msgspec.json.encode(project)))
        return msgspec.json.encode(fields)


def definition_routes() -> list[Router]:
    """GET of all, GET of one and of its history, and PUT, for every kind."""
    return [_routes_of(path, kind) for path, kind in PATHS.items()]


def _routes_of(path: str, kind: type[S]) -> Router:
    handlers = [*_reading(kind), _declaring(kind)]
    return Router(path, route_handlers=handlers, tags=[path.rpartition("/")[2]])


def _reading(kind: type[S]) -> list[HTTPRouteHandler]:
    @get("/", sync_to_thread=True)
    def show_all(
        services: NamedDependency[Services], principal: NamedDependency[Principal]
    ) -> list[Declared]:
        """Show every definition of this kind."""
        return [
            Declared(
                key=d.key, version=d.version, created_ms=d.created_ms, author=d.author, spec=d.spec
            )
            for d in services.defining.of(principal.project).all(kind.kind)
        ]

    @get("/{key:str}", sync_to_thread=True)
    def show(
        key: FromPath[str],
        services: NamedDependency[Services],
        principal: NamedDependency[Principal],
        version: Version = None,
    ) -> Response[kind]:  # type: ignore[valid-type]
        """Show a definition, the newest version or the one asked for."""
        defining = services.defining.of(principal.project)
        return _answer(defining.get(kind.kind, key, version), status=200)

    @get("/{key:str}/history", sync_to_thread=True)
    def show_history(
        key: FromPath[str],
        services: NamedDependency[Services],
        principal: NamedDependency[Principal],
    ) -> list[DefinitionVersion]:
        """Show who changed what of a definition, and when."""
        return services.defining.of(principal.project).history(kind.kind, key)

    return [show_all, show, show_history]


def _declaring(kind: type[S]) -> HTTPRouteHandler:
    @put(
        "/{key:str}",
        request_class=DefinitionRequest,
        sync_to_thread=True,
        opt={"statuses": (200, 201), "key_in_address": True},
    )
    def declare(
        key: FromPath[str],
        data: JSONBody[kind],  # type: ignore[valid-type]
        services: NamedDependency[Services],
        principal: NamedDependency[Principal],
        if_match: IfMatch = None,
        if_none_match: IfNoneMatch = None,
        author: Author = None,
    ) -> Response[kind]:  # type: ignore[valid-type]
        """Declare, or change what is declared; see If-Match and If-None-Match."""
        spec = cast(AnySpec, data)
        if spec.key != key:
            raise RecordError(
                f"key is {spec.key!r}, must be {key!r} as in the address - at `$.key`"
            )
        defining = services.defining.of(principal.project)
        return _declare(spec, defining, if_match, if_none_match, author_of(principal, author))

    return declare


def _declare(
    spec: AnySpec,
    defining: DefinitionService,
    if_match: str | None,
    if_none_match: str | None,
    author: str,
) -> Response[Any]:
    current = defining.current(spec)
    expected = _expected(current, if_match, if_none_match)
    unconditional = if_match is None and if_none_match is None
    if current is not None and unconditional:
        if current.spec == spec:
            return _answer(current, status=200)
        raise HTTPException(
            status_code=428,
            detail=f"{spec.kind} {spec.key!r} is declared otherwise at version {current.version}, "
            f"a change must say what it was made against: If-Match: {_etag(current)}",
        )
    try:
        put = defining.put(spec, expected=expected, author=author)
    except VersionConflict as exc:
        if unconditional:
            raise
        raise _failed(str(exc)) from exc
    return _answer(put, status=200 if current else 201)


def author_of(principal: Principal, header: str | None) -> str:
    """Who makes a change: the key's client, else who is named; headers come as Latin-1."""
    if principal.client:
        return principal.client
    if header is None:
        return AUTHOR
    try:
        author = header.encode("latin-1").decode().strip()
    except ValueError:
        author = ""
    if not (author.isprintable() and 0 < len(author) <= 100):
        raise RecordError(
            f"Bandit-Author is {header[:120]!r}, must be 1 to 100 printable characters in UTF-8"
        )
    return author


def _expected(
    current: Definition | None, if_match: str | None, if_none_match: str | None
) -> int | None:
    """The version that the change was made against, as the headers say it."""
    if if_none_match is not None:
        if if_none_match.strip() != "*":
            raise RecordError(f"If-None-Match is {if_none_match[:64]!r}, must be *")
        if current is not None:
            raise _failed(f"{current.kind} {current.key!r} is declared, at {_etag(current)}")
        return None
    if if_match is None:
        return None
    if current is None:
        raise _failed("it is not declared")
    if if_match.strip() in ("*", _etag(current)):
        return current.version
    raise _failed(f"{current.kind} {current.key!r} is at {_etag(current)}, not {if_match[:64]}")


def _failed(detail: str) -> HTTPException:
    return HTTPException(status_code=412, detail=detail)


def _etag(definition: Definition) -> str:
    return f'"{definition.version}"'


def _answer(definition: Definition, *, status: int) -> Response[Any]:
    return Response(definition.spec, status_code=status, headers={"etag": _etag(definition)})
