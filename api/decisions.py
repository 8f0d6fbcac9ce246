"""Routes about logged decisions."""

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.services import Services
from bandit.records import LoggedDecision
from bandit.service.explaining import Explanation, explain, known_of
from bandit.service.key_ring import Principal
from bandit.service.projects import require_seen, seen_by
from bandit.service.replaying import Replay


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
