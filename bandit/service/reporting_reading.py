"""What reports rest on: as of when, what is declared, how far the log is delivered, and numbers."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from bandit.service.judging import Judged
from bandit.service.reporting_declared import REWARD, DeclaredAt
from bandit.service.reporting_health import health_of, refresh_problems
from bandit.service.reporting_numbers import (
    Found,
    Judging,
    Read,
    ReportNumbers,
    Watching,
    When,
    judging_of,
    watching_of,
)
from bandit.service.reporting_payloads import Health, SequentialMode, TimeMark
from bandit.service.reporting_timeline import marks_of
from bandit.specs import PolicySpec
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.drained import Drained
from bandit.store.kept import MOST_LOOKS, KeptNumbers
from bandit.store.numbers import ExperimentNumbers
from bandit.store.numbers_surface import RECENT_MS, SurfaceNumbers
from bandit.store.reports import Reports, SnapshotCounts, Span
from bandit.store.tail import Tail


class Asked(NamedTuple):
    """What a report begins with.

    Attributes:
        declared: Definitions as of its time.
        when: Its time.
        drained: How far the log is delivered.
    """

    declared: DeclaredAt
    when: When
    drained: Drained

    @property
    def said_ms(self) -> int:
        """When health is told of."""
        return self.when.latest_ms


class Watched(NamedTuple):
    """A surface as a report sees it.

    Attributes:
        version: Of the surface whose reward rules hold.
        watching: What its numbers are made by.
        read: What is kept.
        found: Its numbers.
    """

    version: int
    watching: Watching
    read: Read
    found: Found[SurfaceNumbers]


class ReportReading:
    """Reads for the reports of one store; it keeps nothing."""

    def __init__(
        self,
        store: Store,
        definitions: Definitions,
        now_ms: Callable[[], int],
        *,
        silent_after_ms: int,
    ) -> None:
        """Read one store.

        Args:
            store: Whose log.
            definitions: Those that may be seen.
            now_ms: The clock.
            silent_after_ms: A host that has said nothing for longer is not waited for.
        """
        self._definitions = definitions
        self._reports = Reports(store)
        self._kept = KeptNumbers(store)
        self._tail = Tail(store, silent_after_ms=silent_after_ms)
        self._now_ms = now_ms
        self.numbers = ReportNumbers(store)

    def asked(self, at_ms: int | None, *, fresh: bool = False) -> Asked:
        """What a report of a time begins with; now if None."""
        now_ms = self._now_ms()
        if at_ms is not None and at_ms >= now_ms:
            at_ms = None  # nobody knows more than is known now
        with ThreadPoolExecutor(1) as aside:  # neither has to wait for the other
            asked = aside.submit(self._tail.drained_through_ms, now_ms if at_ms is None else at_ms)
            declared = DeclaredAt(self._definitions, at_ms)
            drained = asked.result()
        settled_ms = drained.through_ms
        if at_ms is not None and settled_ms is not None:
            drained = drained._replace(through_ms=min(settled_ms, at_ms))
        return Asked(declared, When(now_ms, at_ms, settled_ms, fresh), drained)

    def judging(self, key: str, at_ms: int | None) -> tuple[DeclaredAt, Judging]:
        """Definitions as of a time, and what an experiment's numbers are made by.

        Raises:
            NotDeclared: No such experiment, or not what it names.
        """
        declared = DeclaredAt(self._definitions, at_ms)
        return declared, judging_of(declared, declared.experiment(key))

    def surface(self, asked: Asked, key: str, version: int | None = None) -> Watched:
        """A surface's numbers, by the reward rules of a version; the newest if None.

        Raises:
            NotDeclared: No such surface.
            RecordError: No such version of it.
        """
        surface, version = asked.declared.surface(key, version)
        watching = watching_of(asked.declared, surface, asked.when.latest_ms)
        read = self.numbers.read(asked.when, watching=watching)
        return Watched(version, watching, read, self.numbers.surface(watching, asked.when, read))

    def judged(
        self,
        asked: Asked,
        judging: Judging,
        read: Read,
        alpha: float,
        sequential: SequentialMode | None = None,
    ) -> tuple[Judged, Found[ExperimentNumbers]]:
        """What an experiment's numbers say, and they.

        Raises:
            RecordError: It has no plan, and is to be judged by one.
        """
        found = self.numbers.experiment(judging, asked.when, read)
        looks = self._looks(judging, found.as_of_ms)
        return judging.judge(found.numbers, alpha, sequential, looks), found

    def health(
        self,
        asked: Asked,
        watching: Watching,
        found: Found[SurfaceNumbers],
        read: Read,
        *others: str,
    ) -> Health:
        """Health of a surface, and of keeping its numbers and those of others."""
        names = [*others, f"surface/{watching.surface.key}"]
        return health_of(
            found.numbers,
            watching.policies,
            self._newest_snapshots(watching.policies, asked.said_ms),
            asked.drained,
            asked.said_ms,
            refresh_problems(read.said, names, asked.said_ms),
        )

    def marks(self, judging: Judging, at_ms: int | None) -> tuple[TimeMark, ...]:
        """What was changed of an experiment, its surface and its metrics, up to a time."""
        others = [] if judging.surface is None else [("surface", judging.surface.key)]
        others += [("metric", metric.key) for metric in judging.metrics if metric is not REWARD]
        return marks_of(
            self._definitions.history("experiment", judging.experiment.key),
            [self._definitions.history(kind, key) for kind, key in others],
            at_ms,
        )

    def spans(self, declared: DeclaredAt, when: When) -> dict[str, Span]:
        """When each surface was used, from what is kept; from the log if one is missing."""
        if when.at_ms is None:
            kept = self._kept.newest_of_each("surface", when.now_ms)
            if all(surface.key in kept for surface in declared.surfaces()):
                spans = {key: found.numbers.span for key, found in kept.items()}
                return {key: span for key, span in spans.items() if span is not None}
        return self._reports.spans(when.latest_ms, when.latest_ms - RECENT_MS)

    def _looks(self, judging: Judging, as_of_ms: int) -> Sequence[ExperimentNumbers]:
        """Numbers at the planned looks that were made before."""
        experiment = judging.experiment
        if experiment.looks is None:
            return ()
        kept = self._kept.history(
            "look", experiment.key, judging.plan.generation, at_ms=as_of_ms - 1, n=MOST_LOOKS
        )
        return [each.numbers for each in kept]

    def _newest_snapshots(
        self, policies: Sequence[PolicySpec], at_ms: int
    ) -> dict[str, SnapshotCounts]:
        found = {
            spec.key: self._reports.snapshots(spec.key, at_ms, limit=1)
            for spec in policies
            if spec.learns
        }
        return {key: newest[0] for key, newest in found.items() if newest}
