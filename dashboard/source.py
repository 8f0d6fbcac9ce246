"""Where pages get reports: shared between viewers for a moment, kept while the store is away."""

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar, cast

from bandit.errors import BanditError, StoreError
from bandit.service import simulations
from bandit.service.browsing import DecisionBrowser
from bandit.service.defining import DefinitionService
from bandit.service.evaluation_artefact import EvaluationHeadline, EvaluationService
from bandit.service.findings import Finding
from bandit.service.history import DefinitionVersion
from bandit.service.planning import Planning, PlanQuestion
from bandit.service.promoting import PromotionService
from bandit.service.reporting import ExperimentReport, Overview, SurfaceReport
from bandit.service.reporting_actions import ActionReports
from bandit.service.reporting_payloads import ExperimentHistory
from bandit.service.reporting_sql import ReportSql
from bandit.service.reporting_surface import SurfaceReports
from bandit.service.simulations import SavedRun, SavedRuns
from bandit.store.definitions import Definition

Payload = TypeVar("Payload")

Name = tuple[object, ...]

KEPT = 64
"""The most reports that are remembered."""
USABLE_S = 15.0
"""How much longer than it is fresh a report is shown while it is made anew."""


class Reporter(Protocol):
    """What pages need of `bandit.service.reporting.ReportService`."""

    def overview(self, alpha: float = 0.05, *, archived: bool = False) -> Overview:
        """One line about everything."""
        ...

    def experiment(
        self, key: str, alpha: float = 0.05, at_ms: int | None = None
    ) -> ExperimentReport:
        """All about an experiment, now or as of a time."""
        ...

    def history(
        self, key: str, alpha: float = 0.05, *, at_ms: int | None = None
    ) -> ExperimentHistory:
        """Its effects over time, and what was changed meanwhile."""
        ...

    def sql(self, key: str, at_ms: int | None = None, *, metric: str | None = None) -> ReportSql:
        """The SQL behind its numbers."""
        ...

    def planning(
        self, surface: str | None, question: PlanQuestion, metric: str | None = None
    ) -> Planning:
        """What a surface's traffic allows."""
        ...

    def surface(self, key: str, alpha: float = 0.05) -> SurfaceReport:
        """All about a surface."""
        ...

    def evaluations(self, surface: str) -> tuple[EvaluationHeadline, ...]:
        """Saved evaluations of a surface."""
        ...


class Desk(NamedTuple):
    """What pages about one surface, one decision or this host ask; each may block.

    Attributes:
        examine: What `bandit doctor` finds; None for who sees one project only.
    """

    surfaces: SurfaceReports
    actions: ActionReports
    decisions: DecisionBrowser
    promotions: PromotionService
    evaluations: EvaluationService
    definitions: DefinitionService
    examine: Callable[[], tuple[Finding, ...]] | None


def _no_desk() -> Desk:
    raise BanditError("this page has nobody to ask")


class Fetched(NamedTuple, Generic[Payload]):
    """A report, fresh or kept, and what went wrong if it is not fresh."""

    payload: Payload | None
    problem: str = ""


class _Kept(NamedTuple):
    payload: object
    problem: str
    fresh_until_s: float
    usable_until_s: float


def in_background(work: Callable[[], None]) -> None:
    """Do something in a thread of its own."""
    threading.Thread(target=work, daemon=True).start()


class Source:
    """Reports of one store; threads share it.

    A report is shared for `ttl_s`, and for 10 times as long as it took: what is dear is not made
    anew for every viewer and every second. After that the next viewer still gets it at once, and
    it is made anew in the background for the one after: a page that waits fades, and one that
    refreshes itself would flicker. Only one that nobody looked at for long is waited for.
    """

    def __init__(
        self,
        connect: Callable[[], Reporter],
        *,
        monotonic_s: Callable[[], float],
        spawn: Callable[[Callable[[], None]], None] = in_background,
        ttl_s: float = 1.0,
        desk: Callable[[], Desk] = _no_desk,
        data_dir: Path | None = None,
    ) -> None:
        self._connect = connect
        self._desk = desk
        self._data_dir = data_dir
        self._monotonic_s = monotonic_s
        self._spawn = spawn
        self._ttl_s = ttl_s
        self._kept: OrderedDict[Name, _Kept] = OrderedDict()
        self._guard = threading.Lock()
        self._making: dict[Name, threading.Lock] = {}
        self._ended: Callable[[], str] = str

    def of_viewer(self, ended: Callable[[], str]) -> "Source":
        """The same reports, for as long as somebody may see them.

        Args:
            ended: Why they may not any more; empty while they may. Asked before each report, since
                a page that is open makes itself anew without asking anything else.
        """
        theirs = copy.copy(self)
        theirs._ended = ended
        return theirs

    def overview(self, alpha: float, *, archived: bool = False) -> Fetched[Overview]:
        """One line about everything, archived experiments only if asked for."""
        name = ("overview", alpha, archived)
        return self._fetch(name, lambda r: r.overview(alpha, archived=archived))

    def experiment(
        self, key: str, alpha: float, at_ms: int | None = None
    ) -> Fetched[ExperimentReport]:
        """All about an experiment, now or as of a time."""
        name = ("experiment", key, alpha, at_ms)
        return self._fetch(name, lambda r: r.experiment(key, alpha, at_ms))

    def effects_over_time(
        self, key: str, alpha: float, at_ms: int | None = None
    ) -> Fetched[ExperimentHistory]:
        """Its effects over time, from kept numbers alone, and what was changed meanwhile."""
        name = ("effects", key, alpha, at_ms)
        return self._fetch(name, lambda r: r.history(key, alpha, at_ms=at_ms))

    def sql(self, key: str, at_ms: int | None = None) -> Fetched[ReportSql]:
        """The SQL behind its numbers; it is not run."""
        return self._fetch(("sql", key, at_ms), lambda r: r.sql(key, at_ms))

    def planning(
        self, surface: str | None, question: PlanQuestion, metric: str | None
    ) -> Fetched[Planning]:
        """What a surface's traffic allows; by typed-in numbers alone without a surface."""
        name = ("planning", surface, question, metric)
        return self._fetch(name, lambda r: r.planning(surface, question, metric))

    def surface(self, key: str, alpha: float) -> Fetched[SurfaceReport]:
        """All about a surface."""
        return self._fetch(("surface", key, alpha), lambda r: r.surface(key, alpha))

    def evaluations(self, surface: str) -> Fetched[tuple[EvaluationHeadline, ...]]:
        """Saved evaluations of a surface, the newest first."""
        return self._fetch(("evaluations", surface), lambda r: r.evaluations(surface))

    def look(self, name: Name, ask: Callable[[Desk], Payload]) -> Fetched[Payload]:
        """Anything else.

        Args:
            name: Of what is asked for, with every argument: viewers share what has one name.
            ask: Asks for it.
        """
        return self._fetch(("desk", *name), lambda _: ask(self._desk()))

    def definitions(self, kind: str) -> Fetched[list[Definition]]:
        """The newest version of every definition of a kind, by key."""
        return self._fetch(("definitions", kind), lambda _: self._desk().definitions.all(kind))

    def versions(self, kind: str, key: str) -> Fetched[list[DefinitionVersion]]:
        """Who changed what of a definition and when, the oldest version first."""
        name = ("versions", kind, key)
        return self._fetch(name, lambda _: self._desk().definitions.history(kind, key))

    def forget_definitions(self) -> None:
        """Whatever is asked for next is as it is then, since somebody has just changed it."""
        with self._guard:
            for name, kept in self._kept.items():
                self._kept[name] = kept._replace(usable_until_s=float("-inf"))

    def simulations(self) -> Fetched[SavedRuns]:
        """Saved runs of `bandit simulate` on this host."""
        folder = self._data_dir
        if folder is None:
            return Fetched(SavedRuns(runs=[], problems=[]))
        return self._fetch(("simulations",), lambda _: simulations.runs(folder))

    def simulation(self, run_id: str) -> Fetched[SavedRun]:
        """One of them."""
        folder = self._data_dir or Path()
        return self._fetch(("simulation", run_id), lambda _: simulations.load(folder, run_id))

    def _fetch(self, name: Name, make: Callable[[Reporter], Payload]) -> Fetched[Payload]:
        ended = self._ended()
        if ended:
            return Fetched(None, ended)
        with self._guard:
            kept = self._kept.get(name)
            lock = self._making.setdefault(name, threading.Lock())
        if kept is None or self._monotonic_s() >= kept.usable_until_s:
            with lock:  # one viewer makes it, the others wait for it
                kept = self._kept.get(name)
                if kept is None or self._monotonic_s() >= kept.usable_until_s:
                    kept = self._make(name, make)
        elif self._monotonic_s() >= kept.fresh_until_s and lock.acquire(blocking=False):
            self._spawn(lambda: self._remake(name, make, lock))
        return Fetched(cast("Payload | None", kept.payload), kept.problem)

    def _remake(self, name: Name, make: Callable[[Reporter], object], lock: threading.Lock) -> None:
        try:
            self._make(name, make)
        finally:
            lock.release()

    def _make(self, name: Name, make: Callable[[Reporter], object]) -> _Kept:
        started_s = self._monotonic_s()
        payload: object = None
        problem = ""
        try:
            payload = make(self._connect())
        except StoreError as exc:
            before = self._kept.get(name)
            payload, problem = before.payload if before else None, str(exc)
        except BanditError as exc:  # what is not declared any more is not shown from memory
            problem = str(exc)
        now_s = self._monotonic_s()
        fresh_until_s = now_s + max(self._ttl_s, 10 * (now_s - started_s))
        kept = _Kept(payload, problem, fresh_until_s, fresh_until_s + USABLE_S)
        with self._guard:
            self._kept[name] = kept
            self._kept.move_to_end(name)
            while len(self._kept) > KEPT:
                oldest, _ = self._kept.popitem(last=False)
                self._making.pop(oldest, None)
        return kept
