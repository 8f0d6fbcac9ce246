"""What the routes call: made once per worker by the composition root."""

from collections.abc import Callable
from dataclasses import dataclass

from api.authorising import Authoriser
from api.metrics import Meter
from bandit.journal import Journal
from bandit.service.accepting import AcceptingService
from bandit.service.assigning import AssigningService
from bandit.service.cataloguing import CatalogueService
from bandit.service.deciding import DecisionService
from bandit.service.defining import DefinitionService
from bandit.service.key_ring import KeyRing
from bandit.service.personalizer_loops import LoopService
from bandit.service.personalizing import PersonalizingService
from bandit.service.refreshing import Refresher
from bandit.service.repeats import PastDecisions
from bandit.service.replaying import ReplayService
from bandit.service.serving_state import Serving
from bandit.service.store_link import StoreLink


@dataclass(frozen=True)
class Services:
    """The use cases of one worker."""

    serving: Serving
    journal: Journal
    deciding: DecisionService
    accepting: AcceptingService
    assigning: AssigningService
    defining: DefinitionService
    cataloguing: CatalogueService
    replaying: ReplayService
    link: StoreLink
    refresher: Refresher
    meter: Meter
    now_ms: Callable[[], int]
    silent_host_ms: int
    """A host that has said nothing for longer holds no report up."""
    past: PastDecisions
    personalizing: PersonalizingService
    loops: LoopService
    authoriser: Authoriser
    ring: KeyRing | None
    refresh_tokens: Callable[[], None] = lambda: None
    """Looks whether the keys of event tokens changed."""

    def close(self) -> None:
        """Let go of the journal, the store and threads."""
        self.past.close()
        self.personalizing.close()
        self.meter.close()
        self.journal.close()
        self.link.close()
