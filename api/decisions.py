"""Routes about logged decisions."""

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.services import Services
from bandit.service.explaining import Explanation, explain, known_of
from bandit.service.replaying import Replay


@get("/v1/decisions/{event_id:str}", sync_to_thread=True)
def get_decision(event_id: FromPath[str], services: NamedDependency[Services]) -> Explanation:
    """Explain a logged decision; it is in the log about a second after it was made."""
    decisions = services.link.decisions()
    decision = decisions.find(event_id)
    overridden = decisions.overrides(decision.event_id)
    return explain(decision, known_of(decision, services.link.definitions(), overridden))


@get("/v1/decisions/{event_id:str}/replay", sync_to_thread=True)
def replay_decision(event_id: FromPath[str], services: NamedDependency[Services]) -> Replay:
    """Make a logged decision again, and say whether it comes out identical."""
    return services.replaying.replay(services.link.decisions().find(event_id))
