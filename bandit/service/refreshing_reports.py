"""Keeps the numbers of reports fresh, so that reading a report costs no scan of the log.

A refresher advances unit states (`bandit.store.unit_numbers`) up to what every host has delivered,
and keeps what comes out. Several may run: states are safe for that, and of two rows of one time the
first counts.
"""

import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import msgspec

from bandit.errors import BanditError, StoreUnavailable
from bandit.logs import tell
from bandit.service.refreshing_allocation import keep_allocation
from bandit.service.refreshing_times import looks_in, over_at_ms, targets_of
from bandit.service.reporting_declared import DeclaredAt
from bandit.service.reporting_numbers import Judging, ReportNumbers, judging_of, watching_of
from bandit.specs import Experiment, Surface
from bandit.store.allocation import Allocations
from bandit.store.client import Store
from bandit.store.definitions import Definition, Definitions
from bandit.store.drained import SILENT_AFTER_MS
from bandit.store.kept import FOR_GOOD_S, REFRESHER, Kept, KeptNumbers, Kind, Numbers
from bandit.store.numbers import ExperimentNumbers
from bandit.store.numbers_surface import RefresherNumbers, SurfaceNumbers
from bandit.store.tail import Tail
from bandit.store.unit_numbers import UnitNumbers
from bandit.store.unit_plan import UnitPlan

log = logging.getLogger(__name__)

REST = 10.0
"""A thing rests so many times as long as its last refresh took."""
SAY_MS = 60_000
TRIES_N = 3
"""How often unit states are asked for that another refresher goes on with."""
LEAVES_SOON_S = 900
STOPPED_S = 3600.0
"""How often an experiment is looked at that was stopped, while its numbers may still change."""


class Units(Protocol):
    """What is needed of `bandit.store.unit_numbers.UnitNumbers`."""

    def advance(self, plan: UnitPlan, closed_ms: int) -> None:
        """Bring unit states up to a time."""
        ...

    def from_states(self, plan: UnitPlan) -> ExperimentNumbers | None:
        """Add them up."""
        ...


class Refreshed(NamedTuple):
    """What became of one thing.

    Attributes:
        name: `experiment/<key>` or `surface/<key>`.
        took_s: How long it took.
        kept_n: How many rows of numbers were kept; 0: nothing was new.
        as_of_ms: The time that its newest kept numbers are of; None if nothing is kept.
        why: Why it failed; empty if it did not.
        is_away: Whether that was because the store did not answer.
    """

    name: str
    took_s: float
    kept_n: int = 0
    as_of_ms: int | None = None
    why: str = ""
    is_away: bool = False


class _Thing(NamedTuple):
    """What is to be kept."""

    kind: Kind
    definition: Definition

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.definition.key}"


class ReportRefresher:
    """Keeps the numbers of all experiments and surfaces of one store; for one thread."""

    def __init__(
        self,
        store: Store,
        *,
        now_ms: Callable[[], int],
        monotonic_s: Callable[[], float],
        interval_s: float = 10.0,
        silent_after_ms: int = SILENT_AFTER_MS,
        units: Units | None = None,
    ) -> None:
        """Know of nothing yet.

        Args:
            store: Whose reports.
            now_ms: The clock.
            monotonic_s: One that never goes back, for the pace.
            interval_s: The least time between two refreshes of a thing.
            silent_after_ms: A host that has said nothing for longer is not waited for.
            units: In place of the store's unit states.
        """
        self._definitions = Definitions(store)
        self._kept = KeptNumbers(store)
        self._numbers = ReportNumbers(store)
        self._allocations = Allocations(store)
        self._units: Units = units or UnitNumbers(store)
        self._tail = Tail(store, silent_after_ms=silent_after_ms)
        self._now_ms = now_ms
        self._monotonic_s = monotonic_s
        self._interval_s = interval_s
        self._declared: DeclaredAt | None = None
        self._things: dict[str, _Thing] = {}
        self._looked_s = float("-inf")
        self._due_s: dict[str, float] = {}
        self._over: dict[str, int] = {}  # finished experiments, and as of which version
        self._failing: dict[str, str] = {}
        self._through_ms: int | None = None
        self._seen_ms: dict[str, int] = {}
        self._began_ms = now_ms()
        self._said_ms = 0
        self._kept_n = self._failed_n = 0

    @property
    def failing(self) -> dict[str, str]:
        """What can not be refreshed, and why."""
        return dict(self._failing)

    @property
    def through_ms(self) -> int | None:
        """Whatever had been accepted by then was in the log when it was looked last."""
        return self._through_ms

    @property
    def names(self) -> list[str]:
        """What is kept fresh."""
        return [name for name in self._things if name not in self._over]

    def step(self) -> Refreshed | None:
        """Refresh what is due the longest; None if nothing is.

        Raises:
            StoreUnavailable: The store did not answer when it was asked what there is.
        """
        now_s = self._monotonic_s()
        if now_s - self._looked_s >= self._interval_s:
            self._look()
            self._looked_s = now_s
        waiting = [
            (self._due_s.get(name, 0.0), name) for name in self._things if name not in self._over
        ]
        due_s, name = min(waiting, default=(float("inf"), ""))
        self._say()
        if due_s > now_s:
            return None
        done = self._refresh(self._things[name])
        pace_s = self._pace_s(self._things[name])
        self._due_s[name] = self._monotonic_s() + max(pace_s, REST * done.took_s)
        return done

    def run_once(self) -> Iterator[Refreshed]:
        """Refresh every thing once, due or not.

        Raises:
            StoreUnavailable: The store did not answer when it was asked what there is.
        """
        self._look()
        for thing in list(self._things.values()):
            yield self._refresh(thing)
        self._said_ms = 0
        self._say()

    def _look(self) -> None:
        """Find out how far the log goes, and what was declared by then.

        What was declared later has to wait: numbers of a time go by the definitions of that time.
        """
        now_ms = self._now_ms()
        through_ms = self._tail.drained_through_ms(now_ms).through_ms
        self._through_ms = None if through_ms is None else min(through_ms, now_ms)
        self._declared = DeclaredAt(self._definitions, self._through_ms)
        things = {thing.name: thing for thing in self._found(self._declared)}
        for name, thing in things.items():
            if self._over.get(name, thing.definition.version) != thing.definition.version:
                del self._over[name]
        self._things = things
        self._over = {name: version for name, version in self._over.items() if name in things}
        self._failing = {name: why for name, why in self._failing.items() if name in things}

    def _found(self, declared: DeclaredAt) -> Iterator[_Thing]:
        for surface in declared.surfaces():
            yield _Thing("surface", declared.definition("surface", surface.key))
        for experiment in declared.experiments():
            if experiment.status != "draft":
                yield _Thing("experiment", declared.definition("experiment", experiment.key))

    def _pace_s(self, thing: _Thing) -> float:
        spec = thing.definition.spec
        is_stopped = isinstance(spec, Experiment) and spec.status != "running"
        return max(self._interval_s, STOPPED_S) if is_stopped else self._interval_s

    def _refresh(self, thing: _Thing) -> Refreshed:
        """Keep what is new of a thing; what goes wrong with it concerns no other."""
        began_s = self._monotonic_s()
        kept: list[int] = []
        why, is_away = "", False
        try:
            if self._through_ms is not None:
                kept = self._keep(thing, self._through_ms)
        except BanditError as exc:
            why, is_away = str(exc), isinstance(exc, StoreUnavailable)
        except Exception as exc:  # a bug; the others must be kept all the same
            log.debug("refreshing %s", thing.name, exc_info=exc)
            why = f"{type(exc).__name__}: {exc}".rstrip(": ")
        self._note(thing.name, why)
        if not why:
            self._seen_ms[thing.name] = self._now_ms()
        self._kept_n += len(kept)
        took_s = self._monotonic_s() - began_s
        return Refreshed(thing.name, took_s, len(kept), max(kept, default=None), why, is_away)

    def _keep(self, thing: _Thing, through_ms: int) -> list[int]:
        """Keep the numbers of a thing; of which times."""
        assert self._declared is not None
        spec = thing.definition.spec
        if isinstance(spec, Surface):
            watching = watching_of(self._declared, spec, through_ms)
            keep_allocation(self._kept, self._allocations, spec.key, through_ms)
            return self._keep_new(
                thing,
                watching.generation,
                through_ms,
                lambda as_of_ms: (self._numbers.surface_from_log(watching, as_of_ms), as_of_ms),
            )
        assert isinstance(spec, Experiment)
        judging = judging_of(self._declared, spec)
        kept = self._keep_new(
            thing,
            judging.plan.generation,
            through_ms,
            lambda as_of_ms: self._advanced(judging, as_of_ms),
        )
        if kept:
            self._keep_look(judging, max(kept))
        over_ms = over_at_ms(judging, thing.definition.created_ms)
        if over_ms is not None and through_ms >= over_ms:
            self._finish(thing, judging.plan.generation)
        return kept

    def _keep_look(self, judging: Judging, as_of_ms: int) -> None:
        """Keep the numbers for good if another planned look is due: it stays as it was."""
        key, generation = judging.experiment.key, judging.plan.generation
        if judging.experiment.looks is None:
            return
        newest = self._kept.newest("experiment", key, as_of_ms, generation)
        look = self._kept.newest("look", key, as_of_ms, generation)
        made = looks_in(judging.experiment, None if look is None else look.numbers)
        due = looks_in(judging.experiment, None if newest is None else newest.numbers)
        if newest is not None and any(due[metric] > made.get(metric, 0) for metric in due):
            self._kept.keep(
                "look",
                key,
                newest.as_of_ms,
                generation,
                newest.numbers,
                newest.took_ms,
                for_good=True,
            )

    def _advanced(self, judging: Judging, as_of_ms: int) -> tuple[ExperimentNumbers, int] | None:
        """An experiment's numbers from its unit states, and the time that they are of.

        None while another refresher goes on with them: it keeps them.
        """
        for _ in range(TRIES_N):
            self._units.advance(judging.plan, as_of_ms - judging.window_ms)
            numbers = self._units.from_states(judging.plan)
            if numbers is not None:
                reached_ms = numbers.closed_ms + judging.window_ms  # another may have gone further
                return self._numbers.with_open(numbers, judging, reached_ms), reached_ms
        return None

    def _keep_new(
        self,
        thing: _Thing,
        generation: str,
        through_ms: int,
        make: Callable[[int], tuple[Numbers, int] | None],
    ) -> list[int]:
        """Make numbers as of the times that are due, and keep those that are new."""
        kind, key = thing.kind, thing.definition.key
        newest = self._kept.newest(kind, key, self._now_ms(), generation)
        kept: list[int] = []
        for target_ms in targets_of(None if newest is None else newest.as_of_ms, through_ms):
            began_s = self._monotonic_s()
            made = make(target_ms)
            if made is None:
                break
            numbers, as_of_ms = made
            took_ms = round((self._monotonic_s() - began_s) * 1000)
            if newest is not None and _is_old(newest.numbers, numbers):
                continue
            if newest is not None and as_of_ms <= newest.as_of_ms:
                continue  # another refresher was first
            self._kept.keep(kind, key, as_of_ms, generation, numbers, took_ms)
            newest = Kept(as_of_ms, generation, numbers, took_ms)
            kept.append(as_of_ms)
        if newest is not None and not kept:
            self._hold(thing, newest)
        return kept

    def _hold(self, thing: _Thing, newest: Kept, *, for_good: bool = False) -> None:
        """Keep the newest numbers for longer if they are about to go: they are what holds."""
        kind, key = thing.kind, thing.definition.key
        until_s = self._kept.stays_until_s(kind, key, newest)
        if until_s == FOR_GOOD_S:
            return
        if for_good or until_s - self._now_ms() / 1000 < LEAVES_SOON_S:
            self._kept.keep(
                kind,
                key,
                newest.as_of_ms,
                newest.generation,
                newest.numbers,
                newest.took_ms,
                for_good=for_good,
            )

    def _finish(self, thing: _Thing, generation: str) -> None:
        """Keep an experiment's last numbers for good, and let it be."""
        newest = self._kept.newest(thing.kind, thing.definition.key, self._now_ms(), generation)
        if newest is not None:
            self._hold(thing, newest, for_good=True)
            self._over[thing.name] = thing.definition.version

    def _note(self, name: str, why: str) -> None:
        if not why:
            self._failing.pop(name, None)
            return
        self._failed_n += 1
        if self._failing.get(name) != why:
            tell(
                log, logging.WARNING, "report_unkept",
                "%(what)s can not be kept: %(why)s", what=name, why=why,
            )  # fmt: skip
        self._failing[name] = why

    def _say(self) -> None:
        """Say once a minute that it works, and what does not."""
        now_ms = self._now_ms()
        if 0 <= now_ms - self._said_ms < SAY_MS:
            return
        seen = [
            (self._seen_ms.get(name, self._began_ms), name)
            for name in self.names
            if self._pace_s(self._things[name]) == self._interval_s
        ]
        oldest_ms, oldest = min(seen, default=(0, ""))
        said = RefresherNumbers(
            failing=self._failing,
            through_ms=self._through_ms,
            oldest=oldest,
            oldest_ms=oldest_ms,
            kept_n=self._kept_n,
            failed_n=self._failed_n,
        )
        self._kept.keep("refresher", REFRESHER, now_ms, "", said, 0)
        self._said_ms = now_ms


def _is_old(before: Numbers, after: Numbers) -> bool:
    """Whether nothing but the time has changed."""
    return _timeless(before) == _timeless(after)


def _timeless(numbers: Numbers) -> Numbers:
    if isinstance(numbers, ExperimentNumbers):
        return msgspec.structs.replace(numbers, closed_ms=0, source="log")
    if not isinstance(numbers, SurfaceNumbers):
        return numbers
    return msgspec.structs.replace(numbers, as_of_ms=0, closed_ms=0)
