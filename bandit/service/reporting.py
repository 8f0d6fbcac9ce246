"""Reports: what happened, what it proves, and whether to believe it.

A report reads numbers that `bandit refresh` has kept; where there are none of the time asked for,
it computes them from the log. Only decisions whose join window has ended by then count, so that a
number does not change by waiting for late rewards.
"""

from collections.abc import Callable
from functools import partial
from typing import get_args

from bandit.errors import BanditError, RecordError
from bandit.service.evaluation_artefact import EvaluationHeadline, EvaluationService
from bandit.service.judging import Judged
from bandit.service.limits import check_count, check_level
from bandit.service.planning import Planning, PlanQuestion
from bandit.service.projects import seen_by
from bandit.service.reporting_agreement import agreement_of
from bandit.service.reporting_declared import DeclaredAt
from bandit.service.reporting_exploration import Exploration, ExplorationQuestion, exploration_of
from bandit.service.reporting_health import delivery_of, refresh_problems
from bandit.service.reporting_history import history_of
from bandit.service.reporting_numbers import Found, Judging, Read, judging_of, watching_of
from bandit.service.reporting_overview import (
    NOTHING_DECLARED,
    broken_headline,
    days_left_of,
    headline_of,
    health_of_experiment,
    judging_or_why,
    surface_headline,
)
from bandit.service.reporting_payloads import (
    ExperimentHeadline,
    ExperimentHistory,
    ExperimentReport,
    Overview,
    SequentialMode,
    SurfaceReport,
)
from bandit.service.reporting_planning import planning_of, typed_planning
from bandit.service.reporting_reading import Asked, ReportReading
from bandit.service.reporting_series import NO_SERIES, series_of
from bandit.service.reporting_sql import ReportSql, sql_of
from bandit.service.reporting_timeline import arrivals_of
from bandit.service.reporting_values import group_of, values_of, yardstick_of
from bandit.specs import Experiment
from bandit.store.client import Store
from bandit.store.definitions import Definition, Definitions
from bandit.store.drained import SILENT_AFTER_MS
from bandit.store.kept import POINTS, KeptNumbers
from bandit.store.numbers import ExperimentNumbers

__all__ = ["ExperimentReport", "Overview", "ReportService", "SurfaceReport"]

MODES = get_args(SequentialMode)


class ReportService:
    """Reports of one store; it keeps nothing, so any thread or process may make its own."""

    def __init__(
        self,
        store: Store,
        now_ms: Callable[[], int],
        project: str | None = None,
        *,
        silent_after_ms: int = SILENT_AFTER_MS,
    ) -> None:
        """Report on a store.

        Args:
            store: Whose log and definitions.
            now_ms: The clock.
            project: Only this one's experiments and surfaces; None: everybody's.
            silent_after_ms: A host that has said nothing for longer is not waited for.
        """
        every = Definitions(store)
        self._definitions = seen_by(project, lambda: every)()
        self._reading = ReportReading(
            store, self._definitions, now_ms, silent_after_ms=silent_after_ms
        )
        self._evaluations = EvaluationService(store, code_version="", project=project)
        self._store = store
        self._kept = KeptNumbers(store)
        self._now_ms = now_ms

    def experiment(
        self,
        key: str,
        alpha: float = 0.05,
        at_ms: int | None = None,
        surface_version: int | None = None,
        *,
        sequential: SequentialMode | None = None,
        fresh: bool = False,
    ) -> ExperimentReport:
        """Report an experiment; each effect as judged at any look, and as at one planned look.

        Args:
            key: Of the experiment.
            alpha: 1 − the level of every interval, in (0, 1).
            at_ms: As of when; now if None. Definitions are those of then, too.
            surface_version: Of the surface whose reward rules hold (window, bounds, default,
                weights, aggregation); the newest if None.
            sequential: Which interval decides; None: as declared.
            fresh: Compute from the log, whatever is kept.

        Raises:
            NotDeclared: No such experiment, or not what it names.
            RecordError: An argument is out of its range, or an experiment without a surface names
                a metric of rewards.
            StoreUnavailable: The store did not answer.
        """
        check_level(alpha)
        if sequential is not None and sequential not in MODES:
            raise RecordError(f"sequential is {sequential!r}, must be one of {', '.join(MODES)}")
        reading = self._reading
        asked = reading.asked(at_ms, fresh=fresh)
        definition = asked.declared.definition("experiment", key)
        judging = judging_of(asked.declared, asked.declared.experiment(key), surface_version)
        watching = None
        if judging.surface is not None:
            watching = watching_of(asked.declared, judging.surface, asked.when.latest_ms)
        read = reading.numbers.read(asked.when, judging, watching)
        judged, found = reading.judged(asked, judging, read, alpha, sequential)
        report = _report(definition, judged, found, alpha)
        if watching is None:
            problems = refresh_problems(read.said, [f"experiment/{key}"], asked.said_ms)
            health = delivery_of(asked.drained, asked.said_ms, problems)
            return report(surface_version=None, values=(), series=NO_SERIES, health=health)
        of_surface = reading.numbers.surface(watching, asked.when, read)
        newest = asked.declared.definition("surface", watching.surface.key).version
        return report(
            surface_version=surface_version or newest,
            surface_as_of_ms=of_surface.as_of_ms,
            values=values_of(of_surface.numbers, watching.policies, alpha),
            agreement=agreement_of(judging.experiment, of_surface.numbers.paired, alpha),
            series=series_of(of_surface.numbers, key),
            health=reading.health(asked, watching, of_surface, read, f"experiment/{key}"),
        )

    def surface(
        self,
        key: str,
        alpha: float = 0.05,
        at_ms: int | None = None,
        surface_version: int | None = None,
        *,
        fresh: bool = False,
    ) -> SurfaceReport:
        """Report a surface, whatever experiments ran there.

        Args:
            key: Of the surface.
            alpha: 1 − the level of every interval, in (0, 1).
            at_ms: As of when; now if None. Definitions are those of then, too.
            surface_version: Whose reward rules hold (window, bounds, default, weights,
                aggregation); the newest if None.
            fresh: Compute from the log, whatever is kept.

        Raises:
            NotDeclared: No such surface.
            RecordError: `alpha` or `surface_version` is out of its range.
            StoreUnavailable: The store did not answer.
        """
        check_level(alpha)
        asked = self._reading.asked(at_ms, fresh=fresh)
        version, watching, read, found = self._reading.surface(asked, key, surface_version)
        surface, counts = watching.surface, found.numbers.counts
        labels = dict.fromkeys([*(spec.key for spec in watching.policies), *counts])
        return SurfaceReport(
            as_of_ms=found.as_of_ms,
            generation=found.generation,
            source=found.source,
            alpha=alpha,
            key=key,
            version=asked.declared.definition("surface", key).version,
            surface_version=version,
            description=surface.description,
            policy=surface.policy,
            killed=surface.killed,
            experiments=asked.declared.shown_experiments(key),
            policies=tuple(group_of(label, counts.get(label)) for label in labels),
            forced_n=sum(count.forced_n for count in counts.values()),
            uniform=yardstick_of(found.numbers, surface, alpha),
            values=values_of(found.numbers, watching.policies, alpha),
            exploration=exploration_of(found.numbers.exploring, surface, watching.policies, alpha),
            series=series_of(found.numbers),
            health=self._reading.health(asked, watching, found, read),
        )

    def exploration(
        self,
        key: str,
        question: ExplorationQuestion | None = None,
        alpha: float = 0.05,
        at_ms: int | None = None,
    ) -> Exploration:
        """What a surface's policy gives up by drawing, and the floor that a wanted time needs.

        Args:
            key: Of the surface.
            question: What a plan is asked for; None: no plan.
            alpha: 1 − the level of every interval, in (0, 1).
            at_ms: As of when; now if None.

        Raises:
            NotDeclared: No such surface.
            RecordError: `alpha` is out of its range.
            StoreUnavailable: The store did not answer.
        """
        check_level(alpha)
        _, watching, _, found = self._reading.surface(self._reading.asked(at_ms), key)
        exploring, policies = found.numbers.exploring, watching.policies
        return exploration_of(exploring, watching.surface, policies, alpha, question)

    def evaluations(self, surface: str) -> tuple[EvaluationHeadline, ...]:
        """Saved evaluations of a surface in one line each, the newest first.

        Raises:
            NotDeclared: No such surface.
            StoreUnavailable: The store did not answer.
        """
        return tuple(self._evaluations.all(surface))

    def history(
        self,
        key: str,
        alpha: float = 0.05,
        n: int = POINTS,
        at_ms: int | None = None,
        *,
        metric: str | None = None,
    ) -> ExperimentHistory:
        """Effects over time, from kept numbers alone, with the band that holds at every look.

        Args:
            key: Of the experiment.
            alpha: 1 − the level of the bands, in (0, 1).
            n: The most points in time, 1 to 120.
            at_ms: Nothing later; now if None.
            metric: Only this one; None: all of them.

        Raises:
            NotDeclared: No such experiment, or not what it names.
            RecordError: An argument is out of its range.
            StoreUnavailable: The store did not answer.
        """
        check_level(alpha)
        check_count("n", n, POINTS)
        _, judging = self._reading.judging(key, at_ms)
        kept = self._kept.history(
            "experiment",
            key,
            judging.plan.generation,
            at_ms=self._now_ms() if at_ms is None else at_ms,
            n=n,
        )
        marks = self._reading.marks(judging, at_ms)
        return history_of(judging, kept, alpha, metric, marks)

    def planning(
        self,
        surface: str | None,
        question: PlanQuestion,
        metric: str | None = None,
        at_ms: int | None = None,
    ) -> Planning:
        """Sample size, duration and what can be found, by a surface's traffic; reads no log.

        Args:
            surface: Its key; None: by typed-in numbers alone.
            question: What is asked.
            metric: To plan for; None: the first that is known, or typed-in numbers.
            at_ms: As of when; now if None.

        Raises:
            NotDeclared: No such surface.
            RecordError: The metric is not known there, or a number is out of its range.
            StoreUnavailable: The store did not answer.
        """
        if surface is None:
            return typed_planning(question)
        declared = DeclaredAt(self._definitions, at_ms)
        until_ms = self._now_ms() if at_ms is None else at_ms
        return planning_of(declared, self._kept, surface, until_ms, metric, question)

    def sql(self, key: str, at_ms: int | None = None, *, metric: str | None = None) -> ReportSql:
        """The SQL behind an experiment's report; it is not run.

        Args:
            key: Of the experiment.
            at_ms: As of when; None: of the newest numbers that are kept, or of now.
            metric: Only of this one; None: of all of them.

        Raises:
            NotDeclared: No such experiment, or not what it names.
            RecordError: It is not judged by that metric.
            StoreUnavailable: The store did not answer.
        """
        declared, judging = self._reading.judging(key, at_ms)
        until_ms = self._now_ms() if at_ms is None else at_ms
        kept = self._kept.newest("experiment", key, until_ms, judging.plan.generation)
        as_of_ms = kept.as_of_ms if kept is not None and at_ms is None else until_ms
        numbers = None if kept is None else kept.numbers
        return sql_of(self._store, declared, judging, as_of_ms, numbers, metric)

    def overview(
        self, alpha: float = 0.05, at_ms: int | None = None, *, archived: bool = False
    ) -> Overview:
        """One line about everything declared.

        Args:
            alpha: 1 − the level of every interval, in (0, 1).
            at_ms: As of when; now if None.
            archived: Whether to show archived experiments too.

        Raises:
            RecordError: `alpha` is out of its range.
            StoreUnavailable: The store did not answer.
        """
        check_level(alpha)
        asked = self._reading.asked(at_ms)
        declared = asked.declared
        every = declared.experiments()
        shown = [spec for spec in every if archived or spec.status != "archived"]
        judgings = {spec.key: judging_or_why(declared, spec) for spec in shown}
        read = self._reading.numbers.kept(
            asked.when, (each for each in judgings.values() if isinstance(each, Judging))
        )
        spans = self._reading.spans(declared, asked.when)
        surfaces = tuple(
            surface_headline(declared, spec, spans.get(spec.key)) for spec in declared.surfaces()
        )
        return Overview(
            as_of_ms=asked.when.latest_ms,
            alpha=alpha,
            surfaces=surfaces,
            experiments=tuple(
                self._headline(asked, spec, judgings[spec.key], read, alpha) for spec in shown
            ),
            archived_n=sum(spec.status == "archived" for spec in every),
            next_step="" if surfaces or every else NOTHING_DECLARED,
        )

    def _headline(
        self,
        asked: Asked,
        experiment: Experiment,
        judging: Judging | BanditError,
        read: Read,
        alpha: float,
    ) -> ExperimentHeadline:
        definition = asked.declared.definition("experiment", experiment.key)
        if isinstance(judging, BanditError):
            return broken_headline(definition, judging)
        try:
            judged, found = self._reading.judged(asked, judging, read, alpha)
        except RecordError as exc:  # the others must be shown all the same
            return broken_headline(definition, exc)
        return headline_of(definition, judged, found.as_of_ms)


def _report(
    definition: Definition, judged: Judged, found: Found[ExperimentNumbers], alpha: float
) -> Callable[..., ExperimentReport]:
    """An experiment's report but for what surfaces add."""
    experiment = definition.spec
    assert isinstance(experiment, Experiment)
    state, reason = health_of_experiment(judged)
    days_left, days_left_reason = days_left_of(experiment, judged)
    return partial(
        ExperimentReport,
        as_of_ms=found.as_of_ms,
        generation=found.generation,
        source=found.source,
        alpha=alpha,
        key=experiment.key,
        version=definition.version,
        surface=experiment.surface,
        layer=experiment.layer,
        status=experiment.status,
        description=experiment.description,
        owner=experiment.owner or definition.author,
        control=experiment.control,
        health_state=state,
        health_reason=reason,
        days_left=days_left,
        days_left_reason=days_left_reason,
        arrivals=arrivals_of(found.numbers, [variant.key for variant in experiment.variants]),
        **judged._asdict(),
    )
