"""Routes about logged decisions."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from api.reports import AsOf, At, time_asked
from api.services import Services
from bandit.records import LoggedDecision
from bandit.service.browsing import LONGEST_ID, MOST, DecisionBrowser, DecisionList, Joined
from bandit.service.explaining import Explanation, explain, known_of
from bandit.service.key_ring import Principal
from bandit.service.projects import require_seen, seen_by
from bandit.service.replaying import Replay

Key = Annotated[str, QueryParameter(min_length=1, max_length=100)]
Unit = Annotated[str, QueryParameter(max_length=LONGEST_ID)]
"""Only of this unit; '' for all."""
Limit = Annotated[int, QueryParameter(ge=1, le=MOST)]


@get("/v1/decisions", sync_to_thread=True)
def newest_decisions(
    surface: Key,
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    unit_id: Unit = "",
    limit: Limit = 20,
    at: At = None,
    at_ms: AsOf = None,
) -> DecisionList:
    """Show the newest decisions of a surface, or of one unit there; 28 days back at most."""
    return _browser(services, principal).newest(
        surface, unit_id, limit=limit, at_ms=time_asked(at, at_ms)
    )


@get("/v1/decisions/{event_id:str}/feedback", sync_to_thread=True)
def joined_decision(
    event_id: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
) -> Joined:
    """Show what came back for a decision, and what of it counts."""
    return _browser(services, principal).joined(event_id)


@get("/v1/decisions/{event_id:str}", sync_to_thread=True)
def get_decision(
    event_id: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
) -> Explanation:
    """Explain a logged decision; it is in the log about a second after it was made."""
    decision = _seen(event_id, services, principal)
    overridden = services.link.decisions().overrides(decision.event_id)
    return explain(decision, known_of(decision, services.link.definitions(), overridden))


@get("/v1/decisions/{event_id:str}/replay", sync_to_thread=True)
def replay_decision(
    event_id: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
) -> Replay:
    """Make a logged decision again, and say whether it comes out identical."""
    return services.replaying.replay(_seen(event_id, services, principal))


def _seen(event_id: str, services: Services, principal: Principal) -> LoggedDecision:
    """A decision, if it was made on a surface that the caller sees."""
    decision = services.link.decisions().find(event_id)
    if principal.project is not None:
        require_seen(decision, seen_by(principal.project, services.link.definitions)())
    return decision


def _browser(services: Services, principal: Principal) -> DecisionBrowser:
    return DecisionBrowser(services.link.store(), services.now_ms, principal.project)
