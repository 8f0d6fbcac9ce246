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
from bandit.service.evaluation_artefact import EvaluationHeadline, EvaluationService
from bandit.service.findings import Finding
from bandit.service.promoting import PromotionService
from bandit.service.reporting import ExperimentReport, Overview, SurfaceReport
from bandit.service.reporting_actions import ActionReports
from bandit.service.reporting_surface import SurfaceReports
from bandit.service.simulations import SavedRun, SavedRuns

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

    def experiment(self, key: str, alpha: float = 0.05) -> ExperimentReport:
        """All about an experiment."""
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

    def experiment(self, key: str, alpha: float) -> Fetched[ExperimentReport]:
        """All about an experiment."""
        return self._fetch(("experiment", key, alpha), lambda r: r.experiment(key, alpha))

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
