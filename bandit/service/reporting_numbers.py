"""Where a report's numbers are from: kept, if they are of the time asked for, or else the log."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from bandit.errors import RecordError
from bandit.service.judging import Judged, judge
from bandit.service.reporting_declared import DeclaredAt
from bandit.service.reporting_payloads import NumbersSource, SequentialMode
from bandit.specs import Experiment, Metric, PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.kept import REFRESHER, Kept, KeptNumbers, Kind
from bandit.store.numbers import ExperimentNumbers, VariantNumbers
from bandit.store.numbers_surface import SurfaceNumbers, generation_of, surface_numbers
from bandit.store.reports import Reports, Scope
from bandit.store.unit_numbers import UnitNumbers
from bandit.store.unit_plan import UnitPlan

Numbers = TypeVar("Numbers", ExperimentNumbers, SurfaceNumbers)


class When(NamedTuple):
    """As of when something is asked.

    A past time that every host has delivered up to is final: its numbers are those of exactly that
    time, for ever. Of a later one, or of now, they are the newest that are kept.

    Attributes:
        now_ms: The time now.
        at_ms: The time asked for; None: now.
        settled_ms: Whatever had been accepted by then is in the log; None if nobody can tell.
        fresh: Whether to look at nothing but the log.
    """

    now_ms: int
    at_ms: int | None
    settled_ms: int | None
    fresh: bool = False

    @property
    def latest_ms(self) -> int:
        """Nothing later is looked at."""
        return self.now_ms if self.at_ms is None else self.at_ms

    def takes(self, as_of_ms: int) -> bool:
        """Whether numbers of a time, the newest that are not later, are the answer."""
        if self.at_ms is None or as_of_ms == self.at_ms:
            return True
        return self.settled_ms is None or self.at_ms > self.settled_ms


class Found(NamedTuple, Generic[Numbers]):
    """Numbers, the time they are of, and where they are from."""

    numbers: Numbers
    as_of_ms: int
    generation: str
    source: NumbersSource


class Read(NamedTuple):
    """What was read of kept numbers.

    Attributes:
        kept: By kind and key.
        said: What a refresher said last; None if none ever did, or nobody asked.
    """

    kept: Mapping[tuple[str, str], Kept]
    said: Kept | None


class Judging(NamedTuple):
    """What an experiment's numbers are made by.

    Attributes:
        metrics: All that it is judged by, the primary first.
        plan: How they are counted.
    """

    experiment: Experiment
    surface: Surface | None
    metrics: Sequence[Metric]
    plan: UnitPlan

    def judge(
        self,
        numbers: ExperimentNumbers,
        alpha: float,
        sequential: SequentialMode | None = None,
        looks: Sequence[ExperimentNumbers] = (),
    ) -> Judged:
        """What numbers say.

        Args:
            numbers: Of the experiment.
            alpha: 1 − the level of every interval.
            sequential: Which interval decides; None: as declared.
            looks: Numbers at planned looks that were made before.

        Raises:
            RecordError: It has no plan, and is to be judged by one.
        """
        return judge(
            numbers,
            self.experiment,
            self.metrics,
            alpha=alpha,
            sequential=sequential or self.experiment.sequential,
            history=looks,
            window_s=None if self.surface is None else self.surface.join_window_s,
        )

    @property
    def place(self) -> tuple[Kind, str, str]:
        """Where its numbers are kept: kind, key and generation."""
        return "experiment", self.experiment.key, self.plan.generation

    @property
    def window_ms(self) -> int:
        """How long decisions wait for rewards; 0 without a surface."""
        return 0 if self.surface is None else Scope(self.surface, 0).window_ms


class Watching(NamedTuple):
    """What a surface's numbers are made by."""

    surface: Surface
    policies: Sequence[PolicySpec]
    since_ms: int | None

    @property
    def generation(self) -> str:
        """Digest of it."""
        return generation_of(self.surface, self.policies, self.since_ms)


def judging_of(
    declared: DeclaredAt, experiment: Experiment, surface_version: int | None = None
) -> Judging:
    """What an experiment's numbers are made by.

    Args:
        declared: As of when.
        experiment: As declared.
        surface_version: Of the surface whose reward rules hold; None: the newest.

    Raises:
        NotDeclared: A surface or metric that it names.
        RecordError: There is no such version, or a metric that it can not be judged by.
    """
    surface = None
    if experiment.surface is not None:
        surface, _ = declared.surface(experiment.surface, surface_version)
    elif surface_version is not None:
        raise RecordError(
            f"surface_version is {surface_version}, must be left out: experiment "
            f"{experiment.key!r} has no surface"
        )
    metrics = declared.metrics_of(experiment)
    plan = UnitPlan.of(experiment, surface, metrics, declared.covariates_of(metrics))
    return Judging(experiment, surface, metrics, plan)


def watching_of(declared: DeclaredAt, surface: Surface, latest_ms: int) -> Watching:
    """What a surface's numbers are made by.

    Args:
        declared: As of when.
        surface: With the reward rules that hold.
        latest_ms: A time after which nothing is looked at.
    """
    since_ms = declared.since_ms(surface, latest_ms)
    return Watching(surface, declared.policies_of(surface), since_ms)


class ReportNumbers:
    """Reads the numbers of one store; keeps none."""

    def __init__(self, store: Store) -> None:
        self._kept = KeptNumbers(store)
        self._units = UnitNumbers(store)
        self._reports = Reports(store)

    def read(
        self, when: When, judging: Judging | None = None, watching: Watching | None = None
    ) -> Read:
        """What is kept of an experiment and of a surface, in one query.

        Args:
            when: As of when.
            judging: What the experiment's numbers are made by.
            watching: What the surface's numbers are made by.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        asked: list[tuple[Kind, str, str]] = []
        if judging is not None:
            asked.append(judging.place)
        if watching is not None:
            asked.append(("surface", watching.surface.key, watching.generation))
        if when.at_ms is None:
            asked.append(("refresher", REFRESHER, ""))
        kept = {} if when.fresh else self._kept.newest_of(asked, when.latest_ms)
        return Read(kept, kept.get(("refresher", REFRESHER)))

    def kept(self, when: When, judgings: Iterable[Judging]) -> Read:
        """What is kept of several experiments, in one query.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        asked = [judging.place for judging in judgings]
        return Read(self._kept.newest_of(asked, when.latest_ms) if asked else {}, None)

    def experiment(self, judging: Judging, when: When, read: Read) -> Found[ExperimentNumbers]:
        """An experiment's numbers: kept ones if they are of the time asked for, or from the log.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        _, key, generation = judging.place
        kept = read.kept.get(("experiment", key))
        if kept is not None and when.takes(kept.as_of_ms):
            return Found(kept.numbers, kept.as_of_ms, generation, "kept")
        if judging.experiment.status == "draft" and not when.fresh:
            # Nobody is assigned to a draft, and it never ran: its log need not be searched.
            nothing = ExperimentNumbers(
                experiment=key,
                generation=generation,
                closed_ms=when.latest_ms - judging.window_ms,
                variants=(),
            )
            return Found(nothing, when.latest_ms, generation, "log")
        numbers = self.experiment_from_log(judging, when.latest_ms)
        return Found(numbers, when.latest_ms, generation, "log")

    def surface(self, watching: Watching, when: When, read: Read) -> Found[SurfaceNumbers]:
        """A surface's numbers, likewise.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        kept = read.kept.get(("surface", watching.surface.key))
        if kept is not None and when.takes(kept.as_of_ms):
            return Found(kept.numbers, kept.as_of_ms, watching.generation, "kept")
        numbers = self.surface_from_log(watching, when.latest_ms)
        return Found(numbers, when.latest_ms, watching.generation, "log")

    def experiment_from_log(self, judging: Judging, at_ms: int) -> ExperimentNumbers:
        """An experiment's numbers as of a time, by reading its rows of the log."""
        numbers = self._units.from_log(judging.plan, at_ms - judging.window_ms)
        return self.with_open(numbers, judging, at_ms)

    def surface_from_log(self, watching: Watching, at_ms: int) -> SurfaceNumbers:
        """A surface's numbers as of a time, by reading its rows of the log."""
        scope = Scope(watching.surface, at_ms)
        return surface_numbers(self._reports, scope, watching.policies, watching.since_ms)

    def with_open(
        self, numbers: ExperimentNumbers, judging: Judging, at_ms: int
    ) -> ExperimentNumbers:
        """The same numbers, with decisions that still wait for their join window as of a time."""
        if judging.surface is None:
            return numbers
        scope = Scope(judging.surface, at_ms, judging.experiment.key)
        waiting = self._reports.open_decisions(scope)
        known = {variant.variant: variant for variant in numbers.variants}
        return msgspec.structs.replace(
            numbers,
            variants=tuple(
                msgspec.structs.replace(
                    known.get(key) or VariantNumbers(variant=key), open_n=waiting.get(key, 0)
                )
                for key in dict.fromkeys([*known, *waiting])
            ),
        )
