"""An application over a journal on disk and a store in memory."""

import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api.authorising import Authoriser
from api.edge import litestar_app
from api.metrics import Meter
from api.rates import Rates
from api.services import Services
from bandit.errors import NotFound, StoreUnavailable
from bandit.event_id import make_event_id
from bandit.journal import Journal
from bandit.records import LoggedDecision
from bandit.service.accepting import AcceptingService
from bandit.service.assigning import AssigningService
from bandit.service.cataloguing import CatalogueService
from bandit.service.deciding import DecisionService
from bandit.service.defining import DefinitionService
from bandit.service.key_feed import KeyFeed
from bandit.service.key_ring import KeyRing
from bandit.service.last_good import LastGood
from bandit.service.personalizer_loops import LoopService
from bandit.service.personalizing import personalizing
from bandit.service.refreshing import Refresher
from bandit.service.repeats import PastDecisions
from bandit.service.replaying import ReplayService
from bandit.service.serving_state import Serving
from bandit.service.tokens import TokenKey, Tokens
from bandit.specs import AnySpec, Metric
from bandit.store.drained import SILENT_AFTER_MS
from tests.bandit.journal.fakes import FullDisk
from tests.bandit.service.making import (
    EXPERIMENT,
    FIXED,
    NOW_MS,
    SALT,
    SURFACE,
    UNIFORM,
    MemoryCatalogues,
    MemoryDefinitions,
    MemorySnapshots,
    counting_entropy,
    wait_until,
)
from tests.bandit.service.making_keys import MemoryKeys

MAX_BODY_BYTES = 100_000
DECLARED = (UNIFORM, FIXED, SURFACE, EXPERIMENT, Metric(key="clicks", source="reward"))


class MemoryLink:
    """`StoreLink` over memory."""

    def __init__(self) -> None:
        self.logged: dict[str, LoggedDecision] = {}
        self.overridden: dict[str, dict[int, str]] = {}
        self.declared = MemoryDefinitions()
        self.away = False

    def decisions(self) -> "MemoryLink":
        if self.away:
            raise StoreUnavailable("connection refused")
        return self

    def store(self) -> "MemoryLink":
        return self.decisions()

    def find(self, event_id: str) -> LoggedDecision:
        if event_id not in self.logged:
            raise NotFound(f"decision {event_id!r} is not in the log")
        return self.logged[event_id]

    def definitions(self) -> MemoryDefinitions:
        return self.declared

    def overrides(self, event_id: str) -> dict[int, str]:
        return self.overridden.get(event_id, {})

    def find_newest(self, event_ids: Sequence[str]) -> LoggedDecision:
        self.decisions()
        for event_id in event_ids:
            if event_id in self.logged:
                return self.logged[event_id]
        raise NotFound("none of them is in the log")

    def span(self, surface: str) -> tuple[int, int] | None:
        times = [d.ts_ms for d in self.logged.values() if d.surface == surface]
        return (min(times), max(times)) if times else None

    def close(self) -> None: ...


class World:
    """Everything around one application."""

    def __init__(
        self,
        folder: Path,
        declared: Sequence[AnySpec] = DECLARED,
        keys: MemoryKeys | None = None,
        rate_limit: float = 1e6,
    ) -> None:
        self.folder = folder
        self.keys = keys
        self.ring = KeyRing() if keys is not None else None
        self.rate_limit = rate_limit
        self.definitions = MemoryDefinitions(*declared)
        self.snapshots = MemorySnapshots()
        self.catalogues = MemoryCatalogues()
        self.link = MemoryLink()
        self.link.declared = self.definitions
        self.serving = Serving()
        self.now_ms = NOW_MS
        self.disk = FullDisk()
        self.journal = Journal(
            folder / "journal",
            writer="w",
            durability="process",
            now_ms=lambda: self.now_ms,
            max_bytes=1 << 20,
            max_age_s=60.0,
            disk=self.disk,
        )
        self.services = self._services()

    def _services(self) -> Services:
        now_ms, changes = (lambda: self.now_ms), itertools.count()
        past = PastDecisions(self.link.find, monotonic_s=time.monotonic)
        common: Any = {"salt": SALT, "now_ms": now_ms, "entropy": counting_entropy()}
        signed: Any = common | {
            "tokens": Tokens([TokenKey(kid="k-01", secret="01" * 32, signs_from_ms=0)], salt=SALT)
        }
        meter = Meter(journal_dir=self.folder / "journal", shared_dir=None)
        accepting = AcceptingService(
            self.serving, self.journal, count_unlogged=meter.count_unlogged, **signed
        )
        deciding = DecisionService(self.serving, self.journal, past=past, **signed)
        defining = DefinitionService(
            lambda: self.definitions,  # type: ignore[arg-type, return-value]
            now_ms=now_ms,
            new_id=lambda: f"change-{next(changes)}",
        )
        return Services(
            serving=self.serving,
            journal=self.journal,
            deciding=deciding,
            accepting=accepting,
            assigning=AssigningService(self.serving, self.journal, salt=SALT, now_ms=now_ms),
            defining=defining,
            cataloguing=CatalogueService(
                lambda: self.catalogues,  # type: ignore[arg-type, return-value]
                lambda: self.definitions,  # type: ignore[arg-type, return-value]
                now_ms=now_ms,
                new_id=lambda: f"change-{next(changes)}",
            ),
            replaying=ReplayService(
                lambda: self.definitions,  # type: ignore[arg-type, return-value]
                lambda: self.snapshots,  # type: ignore[arg-type, return-value]
                salt=SALT,
            ),
            link=self.link,  # type: ignore[arg-type]
            refresher=self._refresher(),
            meter=meter,
            now_ms=now_ms,
            silent_host_ms=SILENT_AFTER_MS,
            past=past,
            personalizing=personalizing(
                self.serving,
                deciding,
                accepting,
                self.link.find_newest,
                monotonic_s=time.monotonic,
                **common,
            ),
            loops=LoopService(defining, self.serving),
            authoriser=Authoriser(
                self.ring, rates=Rates(self.rate_limit, monotonic_s=time.monotonic), now_ms=now_ms
            ),
            ring=self.ring,
        )

    def _refresher(self) -> Refresher:
        return Refresher(
            self.serving,
            definitions=lambda: self.definitions,  # type: ignore[arg-type, return-value]
            snapshots=lambda: self.snapshots,  # type: ignore[arg-type, return-value]
            catalogues=lambda: self.catalogues,  # type: ignore[arg-type, return-value]
            last_good=LastGood(self.folder / "cache", writer="w"),
            interval_s=0.01,
            monotonic_s=time.monotonic,
            keys=self._key_feed(),
        )

    def _key_feed(self) -> KeyFeed | None:
        if self.ring is None:
            return None
        last_good = LastGood(self.folder / "cache", writer="w")
        return KeyFeed(self.ring, lambda: self.keys, last_good, host="h")  # type: ignore[arg-type, return-value]

    def app(self, tracer_provider: object | None = None) -> Litestar:
        return litestar_app(
            self.services,
            max_body_bytes=MAX_BODY_BYTES,
            perf_counter_s=time.perf_counter,
            tracer_provider=tracer_provider,
        )

    @property
    def journal_bytes(self) -> int:
        return sum(path.stat().st_size for path in (self.folder / "journal").rglob("*.seg"))

    def wait_for_revision(self) -> None:
        """Wait until the worker serves the newest definitions and catalogues."""
        wait_until(lambda: self.serving.state.revision == self.definitions.revision())
        wait_until(lambda: self._catalogues_served() == self.catalogues.heads())

    def _catalogues_served(self) -> dict[str, int]:
        surfaces = self.serving.state.surfaces.items()
        return {key: one.catalogue.version for key, one in surfaces if one.catalogue is not None}

    def event_id(self, tag: int = 0, ts_ms: int = NOW_MS) -> str:
        return make_event_id(ts_ms, tag, b"123456", SALT)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture(scope="module")
def worn_world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """One for all of a module's tests that care for nothing that others leave behind."""
    declared = getattr(request.module, "DECLARED", DECLARED)
    return World(tmp_path_factory.mktemp("worn"), declared=declared)


@pytest.fixture(scope="module")
def worn(worn_world: World) -> Iterator[TestClient[Litestar]]:
    """A client of that world: an application takes a quarter of a second to make."""
    with TestClient(worn_world.app()) as client:
        yield client


@pytest.fixture
def client(world: World) -> Iterator[TestClient[Litestar]]:
    with TestClient(world.app()) as client:
        yield client
