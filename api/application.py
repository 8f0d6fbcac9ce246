"""The composition root of an API worker: environment, clock, entropy, and what they are for."""

import gc
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from api.authorising import Authoriser
from api.door import Door, Gate
from api.edge import litestar_app
from api.metrics import Meter
from api.metrics_host import HostMeter
from api.metrics_shared import bury_the_dead
from api.rates import Rates
from api.services import Services
from api.tracing import otlp_provider
from bandit.event_id import make_event_id
from bandit.journal import Journal
from bandit.journal.clock import HostClock
from bandit.journal.pressure import Watermarks
from bandit.secrets import project_salt
from bandit.service.accepting import AcceptingService
from bandit.service.assigning import AssigningService
from bandit.service.cataloguing import CatalogueService
from bandit.service.deciding import DecisionService
from bandit.service.defining import DefinitionService
from bandit.service.key_feed import KeyFeed
from bandit.service.key_ring import KeyRing
from bandit.service.last_good import LastGood
from bandit.service.metering import FOLDER
from bandit.service.personalizer_loops import LoopService
from bandit.service.personalizing import personalizing
from bandit.service.refreshing import Refresher
from bandit.service.repeats import PastDecisions
from bandit.service.replaying import ReplayService
from bandit.service.retraining import retraining
from bandit.service.serving_state import Serving
from bandit.service.store_link import StoreLink
from bandit.service.token_keys import tokens_of
from bandit.service.tokens import Tokens
from bandit.settings import Settings
from bandit.store.client import Store
from bandit.store.migrations import migrate
from bandit.store.opening import open_store

STORE_TIMEOUT_S = 10.0
SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"


def create_application() -> Door:
    """The application of one worker, not open yet."""
    settings = Settings.from_environ(os.environ)
    services = _services(settings, os.environ)
    application = litestar_app(
        services,
        max_body_bytes=settings.max_body_bytes,
        perf_counter_s=time.perf_counter,
        tracer_provider=None if settings.tracing == "off" else otlp_provider(),
    )
    gc.collect()
    gc.freeze()  # what is here now stays: no collection between two requests looks at it again
    gc.enable()
    door = Door(
        application,
        gate=Gate(time.thread_time),
        count=services.meter.shed,
    )
    services.meter.inside = lambda: door.inside_n
    return door


class _Worker(NamedTuple):
    """What the services of one worker share."""

    settings: Settings
    salt: bytes
    name: str
    """As a writer; no start of any worker had it before."""
    now_ms: Callable[[], int]
    serving: Serving
    journal: Journal
    link: StoreLink
    meter: Meter
    ring: KeyRing | None
    tokens: Tokens | None

    def new_id(self) -> str:
        """An event id of no surface."""
        return make_event_id(self.now_ms(), 0, os.urandom(6), self.salt)


def _services(settings: Settings, environ: Mapping[str, str]) -> Services:
    salt = project_salt(settings, os.urandom)
    tokens, refresh_tokens = tokens_of(settings, os.urandom, salt=salt)
    worker = _worker(settings, environ, salt, tokens)
    link, now_ms = worker.link, worker.now_ms
    past = PastDecisions(lambda id_: link.decisions().find(id_), monotonic_s=time.monotonic)
    deciding, accepting = _deciding(worker, past), _accepting(worker)
    defining = DefinitionService(link.definitions, now_ms=now_ms, new_id=worker.new_id)
    return Services(
        serving=worker.serving,
        journal=worker.journal,
        deciding=deciding,
        accepting=accepting,
        assigning=AssigningService(worker.serving, worker.journal, salt=salt, now_ms=now_ms),
        defining=defining,
        cataloguing=CatalogueService(
            link.catalogues, link.definitions, now_ms=now_ms, new_id=worker.new_id
        ),
        replaying=ReplayService(
            link.definitions, link.snapshots, salt=salt, retrain=retraining(link.store)
        ),
        link=link,
        refresher=_refresher(worker),
        meter=worker.meter,
        now_ms=now_ms,
        silent_host_ms=settings.silent_host_ms,
        past=past,
        personalizing=personalizing(
            worker.serving,
            deciding,
            accepting,
            lambda ids: link.decisions().find_newest(ids),
            salt=salt,
            now_ms=now_ms,
            entropy=os.urandom,
            monotonic_s=time.monotonic,
        ),
        loops=LoopService(defining, worker.serving),
        authoriser=Authoriser(
            worker.ring, rates=Rates(settings.rate_limit, monotonic_s=time.monotonic), now_ms=now_ms
        ),
        ring=worker.ring,
        refresh_tokens=refresh_tokens,
    )


def _worker(
    settings: Settings, environ: Mapping[str, str], salt: bytes, tokens: Tokens | None
) -> _Worker:
    clock = HostClock(settings.journal_dir, wall_ns=time.time_ns, monotonic_ns=time.monotonic_ns)
    now_ms = clock.now_ms
    name = f"{now_ms():x}-{os.urandom(4).hex()}"
    return _Worker(
        settings=settings,
        salt=salt,
        name=name,
        now_ms=now_ms,
        serving=Serving(),
        journal=Journal(
            settings.journal_dir,
            writer=name,
            durability=settings.durability,
            now_ms=now_ms,
            max_bytes=settings.segment_max_bytes,
            max_age_s=settings.segment_max_age_s,
            watermarks=Watermarks.of(settings),
            backlog_max_bytes=settings.backlog_max_bytes,
        ),
        link=StoreLink(lambda: _connect(settings), monotonic_s=time.monotonic),
        meter=_meter(settings, environ),
        ring=KeyRing() if settings.auth == "keys" else None,
        tokens=tokens,
    )


def _deciding(worker: _Worker, past: PastDecisions) -> DecisionService:
    return DecisionService(
        worker.serving,
        worker.journal,
        salt=worker.salt,
        now_ms=worker.now_ms,
        entropy=os.urandom,
        past=past,
        tokens=worker.tokens,
        most_interactions=worker.settings.max_interactions,
    )


def _accepting(worker: _Worker) -> AcceptingService:
    return AcceptingService(
        worker.serving,
        worker.journal,
        salt=worker.salt,
        now_ms=worker.now_ms,
        entropy=os.urandom,
        tokens=worker.tokens,
        count_unlogged=worker.meter.count_unlogged,
    )


def _refresher(worker: _Worker) -> Refresher:
    link, ring = worker.link, worker.ring
    last_good = LastGood(worker.settings.cache_dir, writer=worker.name)
    return Refresher(
        worker.serving,
        definitions=link.definitions,
        snapshots=link.snapshots,
        catalogues=link.catalogues,
        last_good=last_good,
        interval_s=worker.settings.refresh_interval_s,
        monotonic_s=time.monotonic,
        keys=KeyFeed(ring, link.keys, last_good, host=platform.node()) if ring else None,
    )


def _meter(settings: Settings, environ: Mapping[str, str]) -> Meter:
    shared = Path(environ[SHARED_METRICS]) if environ.get(SHARED_METRICS) else None
    if shared is not None:
        bury_the_dead(shared, lambda pid: Path(f"/proc/{pid}").exists())
    host = HostMeter(
        journal_dir=settings.journal_dir, sheets_dir=settings.data_dir / FOLDER, now_s=time.time
    )
    return Meter(journal_dir=settings.journal_dir, shared_dir=shared, host=host)


def _connect(settings: Settings) -> Store:
    """Connect, and make sure of the tables: whoever comes first makes them."""
    store = open_store(settings, os.urandom, timeout_s=STORE_TIMEOUT_S)
    try:
        migrate(store)
    except BaseException:
        store.close()
        raise
    return store
