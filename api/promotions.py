"""Routes that move a challenger to live: ask the gate, begin, look, take back."""

from typing import Annotated

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from api.definitions import author_of
from api.services import Services
from bandit.records import Record
from bandit.service.key_ring import Principal
from bandit.service.promoting import PromotionService
from bandit.service.promoting_records import Promotion, PromotionPlan
from bandit.wire import Key

Author = Annotated[str | None, HeaderParameter(name="Bandit-Author")]
Limit = Annotated[int, QueryParameter(ge=1, le=1000)]


class PromotionRequest(PromotionPlan, frozen=True, kw_only=True):
    """A wish to promote a challenger, and how.

    Attributes:
        challenger: Key of the policy.
        dry_run: Only ask the gate: nothing is kept, nothing is done.
    """

    challenger: Key
    dry_run: bool = False


class RevertRequest(Record, frozen=True, kw_only=True):
    """A wish to take a challenger back.

    Attributes:
        reason: In plain words, for the history.
    """

    reason: Annotated[str, msgspec.Meta(max_length=1000)] = ""


def promotion_routes() -> Router:
    """POST of a promotion, GET of all and of one, POST of its revert."""
    return Router(
        "/v1/surfaces/{key:str}/promotions",
        route_handlers=[promote, show_promotions, show_promotion, revert],
        tags=["promotions"],
    )


@post("/", sync_to_thread=True, opt={"statuses": (200, 201)})
def promote(
    key: FromPath[str],
    data: JSONBody[PromotionRequest],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    author: Author = None,
) -> Response[Promotion]:
    """Ask the gate whether a challenger may replace the surface's policy, and begin its ramp.

    A refusal is an answer (`state: refused`, with the checks that failed), and is kept, too.
    """
    plan = PromotionPlan(**{name: getattr(data, name) for name in PromotionPlan.__struct_fields__})
    promoting = _promoting(services, principal)
    if data.dry_run:
        return Response(promoting.ask(key, data.challenger, plan), status_code=200)
    made = promoting.start(key, data.challenger, plan, author=author_of(principal, author))
    return Response(made, status_code=201)


@get("/", sync_to_thread=True)
def show_promotions(
    key: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    limit: Limit = 100,
) -> list[Promotion]:
    """Show promotions of a surface, the newest first; their steps are shown one by one."""
    return _promoting(services, principal).all(key, limit)


@get("/{id:str}", sync_to_thread=True)
def show_promotion(
    key: FromPath[str],
    id: FromPath[str],  # noqa: A002 (the interface's word)
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
) -> Promotion:
    """Show a promotion with its gate, its steps, and what its ramp waits for."""
    return _promoting(services, principal).get(key, _number(id))


@post("/{id:str}/revert", status_code=200, sync_to_thread=True)
def revert(
    key: FromPath[str],
    id: FromPath[str],  # noqa: A002 (the interface's word)
    data: JSONBody[RevertRequest],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    author: Author = None,
) -> Promotion:
    """Take a challenger back, from its ramp or from live; twice is as once."""
    return _promoting(services, principal).revert(
        key, _number(id), data.reason, author=author_of(principal, author)
    )


def _number(text: str) -> int:
    """The number of a promotion; 0, which is not there, for anything that is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _promoting(services: Services, principal: Principal) -> PromotionService:
    return PromotionService(
        services.link.store(),
        now_ms=services.now_ms,
        new_id=services.defining.new_id,
        project=principal.project,
    )
