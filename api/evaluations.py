"""Routes of saved evaluations: a list, one as JSON, and the same as a page of its own."""

from typing import Annotated, Any

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.enums import MediaType
from litestar.params import FromPath, QueryParameter

import bandit
from api.security import HEADERS
from api.services import Services
from bandit.service.evaluation_artefact import Artefact, EvaluationHeadline, EvaluationService
from bandit.service.evaluation_card import STYLE_HASH, card_of
from bandit.service.key_ring import Principal
from bandit.wire import Key

Surface = Annotated[Key, QueryParameter(max_length=100)]
Limit = Annotated[int, QueryParameter(ge=1, le=1000)]
PAGE = ".html"
CARD_HEADERS = HEADERS | {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; frame-ancestors 'none'; "
        "base-uri 'none'; form-action 'none'"
    ),
}
"""The page's own style is allowed by its hash, and nothing else is."""


def evaluation_routes() -> Router:
    """GET of a surface's evaluations and of one."""
    return Router(
        "/v1/evaluations",
        route_handlers=[show_evaluations, show_evaluation],
        tags=["evaluations"],
    )


@get("/", sync_to_thread=True)
def show_evaluations(
    surface: Surface,
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    limit: Limit = 100,
) -> list[EvaluationHeadline]:
    """Show a surface's saved evaluations in one line each, the newest first."""
    return _evaluations(services, principal).all(surface, limit)


@get("/{id:str}", sync_to_thread=True)
def show_evaluation(
    id: FromPath[str],  # noqa: A002 (the interface's word)
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
) -> Response[Artefact]:
    """Show a saved evaluation; with `.html` behind its id, as a page to read and to pass on."""
    artefact = _evaluations(services, principal).get(id.removesuffix(PAGE))
    answer: Response[Any] = Response(artefact)
    if id.endswith(PAGE):
        answer = Response(card_of(artefact), media_type=MediaType.HTML, headers=CARD_HEADERS)
    return answer


def _evaluations(services: Services, principal: Principal) -> EvaluationService:
    return EvaluationService(
        services.link.store(), code_version=bandit.__version__, project=principal.project
    )
