"""Routes of a surface's catalogue: its actions with features, changed in bulk, in versions.

The ETag of a catalogue is its version. A change without `If-Match` holds whatever others changed
meanwhile (changes name actions one by one, so they commute); with it, it holds only if nobody did.
"""

from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, route
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from api.services import Services
from bandit.errors import NotFound, RecordError, VersionConflict
from bandit.records import Action, Id, JsonObject, Record
from bandit.service.cataloguing import CatalogueChange
from bandit.service.key_ring import Principal
from bandit.store.catalogue import ListedAction

AUTHOR = "api"
MAX_BODY_BYTES = 32 * 1024 * 1024
"""Of one change: 10,000 actions with 3 kB of features each."""
Version = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1)]
After = Annotated[str, QueryParameter(max_length=256)]
Limit = Annotated[int, QueryParameter(ge=1, le=10_000)]
IfMatch = Annotated[str | None, HeaderParameter(name="If-Match")]


class CatalogueRequest(Record, frozen=True, kw_only=True):
    """A change of a catalogue, made whole or not at all.

    Attributes:
        upsert: Actions that are to be there, with these features in place of any others.
        delete: Ids of actions that are not to be there.
    """

    upsert: Annotated[list[Action], msgspec.Meta(max_length=10_000)] = []
    delete: Annotated[list[Id], msgspec.Meta(max_length=10_000)] = []


class HeldAction(Record, frozen=True, kw_only=True):
    """An action of a catalogue.

    Attributes:
        version: That changed it last.
    """

    id: str
    features: JsonObject
    version: int


class CataloguePage(Record, frozen=True, kw_only=True):
    """Some actions of a catalogue, by id.

    Attributes:
        version: The catalogue's.
        next: What to ask for as `after` to go on; null: this is the end.
    """

    version: int
    actions: list[HeldAction]
    next: str | None


def catalogue_routes() -> Router:
    """GET of a page and of one, bulk PUT or PATCH, DELETE of one."""
    return Router(
        "/v1/surfaces/{key:str}/catalogue",
        route_handlers=[show_page, show_action, change, remove],
        tags=["catalogue"],
    )


@get("/", sync_to_thread=True)
def show_page(
    key: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    after: After = "",
    limit: Limit = 1_000,
    version: Version = None,
) -> Response[CataloguePage]:
    """Show a page of the catalogue, by id; name the first page's `version` to go on in it."""
    found_at, found = services.cataloguing.of(principal.project).page(
        key, after=after, limit=limit, version=version
    )
    page = CataloguePage(
        version=found_at,
        actions=[_held(one) for one in found],
        next=found[-1].action.id if len(found) == limit else None,
    )
    return Response(page, headers={"etag": _etag(found_at)})


@get("/{id:str}", sync_to_thread=True)
def show_action(
    key: FromPath[str],
    id: FromPath[str],  # noqa: A002 (the glossary's word)
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    version: Version = None,
) -> Response[HeldAction]:
    """Show one action of the catalogue, as it is or as it was at a version."""
    found_at, found = services.cataloguing.of(principal.project).action(key, id, version)
    return Response(_held(found), headers={"etag": _etag(found_at)})


@route("/", http_method=["PUT", "PATCH"], status_code=200, sync_to_thread=True,
       request_max_body_size=MAX_BODY_BYTES)  # fmt: skip
def change(
    key: FromPath[str],
    data: JSONBody[CatalogueRequest],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    if_match: IfMatch = None,
) -> Response[CatalogueChange]:
    """Add, change and delete actions, all of it or nothing; what is not named stays."""
    return _change(services, principal, key, data.upsert, data.delete, if_match)


@delete("/{id:str}", status_code=200, sync_to_thread=True)
def remove(
    key: FromPath[str],
    id: FromPath[str],  # noqa: A002 (the glossary's word)
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    if_match: IfMatch = None,
) -> Response[CatalogueChange]:
    """Delete one action; decisions that offered it keep its features."""
    answer = _change(services, principal, key, [], [id], if_match)
    if not answer.content.deleted:
        raise NotFound(
            f"action {id[:256]!r} is not in the catalogue of surface {key!r} "
            f"at version {answer.content.version}"
        )
    return answer


def _change(
    services: Services,
    principal: Principal,
    key: str,
    upsert: list[Action],
    gone: list[str],
    if_match: str | None,
) -> Response[CatalogueChange]:
    expected = None if if_match in (None, "*") else _version(if_match)
    try:
        made = services.cataloguing.of(principal.project).change(
            key, upsert, gone, expected=expected, author=principal.client or AUTHOR
        )
    except VersionConflict as exc:
        if expected is None:
            raise
        raise HTTPException(status_code=412, detail=str(exc)) from exc
    return Response(made, headers={"etag": _etag(made.version)})


def _version(if_match: str) -> int:
    text = if_match.strip()
    digits = text[1:-1]
    if text[:1] + text[-1:] != '""' or not digits.isascii() or not digits.isdigit():
        raise RecordError(
            f'If-Match is {if_match[:64]}, must be a version in quotes: "3", or "0" for none'
        )
    return int(digits)


def _held(one: ListedAction) -> HeldAction:
    return HeldAction(id=one.action.id, features=one.action.features, version=one.changed)


def _etag(version: int) -> str:
    return f'"{version}"'
