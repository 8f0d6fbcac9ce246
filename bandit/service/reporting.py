"""Reports: what happened, what it proves, and whether to believe it.

Everything is computed from the log and the definitions as of one time; only decisions whose join
window has ended by then count, so that a number does not change by waiting for late rewards.
"""

from collections.abc import Callable
from functools import partial

from bandit.errors import RecordError
from bandit.service.projects import seen_by
from bandit.service.reporting_declared import Declared
from bandit.service.reporting_health import delivery_of, health_of
from bandit.service.reporting_judging import Judge, Judged, group_of
from bandit.service.reporting_payloads import (
    ExperimentHeadline,
    ExperimentReport,
    Overview,
    SurfaceHeadline,
    SurfaceReport,
    Yardstick,
)
from bandit.service.reporting_series import NO_SERIES, series_of
from bandit.service.reporting_values import values_of, yardstick_of
from bandit.service.reporting_verdicts import not_judged
from bandit.specs import Experiment, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definition, Definitions
from bandit.store.reports import Reports, Scope, Span
from bandit.store.tail import Tail

__all__ = ["ExperimentReport", "Overview", "ReportService", "SurfaceReport"]

RECENT_MS = 60_000
NOTHING_DECLARED = (
    "Nothing is declared yet: PUT /v1/policies/{key}, then PUT /v1/surfaces/{key} — or run "
    "`bandit demo`."
)


class ReportService:
    """Reports of one store; it keeps nothing, so any thread or process may make its own."""

    def __init__(self, store: Store, now_ms: Callable[[], int], project: str | None = None) -> None:
        """Report on a store.

        Args:
            store: Whose log and definitions.
            now_ms: The clock.
            project: Only this one's experiments and surfaces; None: everybody's.
        """
        definitions = Definitions(store)
        self._definitions = seen_by(project, lambda: definitions)()
        self._reports = Reports(store)
        self._tail = Tail(store)
        self._now_ms = now_ms

    def experiment(
        self,
        key: str,
        alpha: float = 0.05,
        at_ms: int | None = None,
        surface_version: int | None = None,
    ) -> ExperimentReport:
        """Report an experiment; each effect as judged at any look, and as at one planned look.

        Args:
            key: Of the experiment.
            alpha: 1 − the level of every interval, in (0, 1).
            at_ms: As of when; now if None.
            surface_version: Of the surface whose reward rules hold (window, bounds, default,
                weights, aggregation); the newest if None.

        Raises:
            NotDeclared: No such experiment, or not what it names.
            RecordError: `alpha` or `surface_version` is out of its range, or an experiment without
                a surface names a metric of rewards.
            StoreUnavailable: The store did not answer.
        """
        _check(alpha)
        declared = Declared(self._definitions)
        definition = declared.definition("experiment", key)
        assert isinstance(definition.spec, Experiment)
        at_ms = self._now_ms() if at_ms is None else at_ms
        if definition.spec.surface is None:
            return self._of_assignments(declared, definition, alpha, at_ms, surface_version)
        surface, version = declared.surface(definition.spec.surface, surface_version)
        whole = Scope(surface, at_ms)
        scope = whole._replace(experiment=key)
        judged = self._judge(declared, definition.spec, scope, at_ms, alpha)
        by_policy = self._reports.counts(whole, "policy")
        policies = declared.policies_of(surface)
        report = _report(definition, judged, at_ms, alpha)
        return report(
            surface_version=version,
            values=values_of(self._reports, whole, policies, by_policy, alpha),
            series=series_of(self._reports, scope, "variant", policies),
            health=health_of(
                self._reports,
                whole,
                policies,
                by_policy.values(),
                self._tail.drained_through_ms(at_ms),
            ),
        )

    def surface(
        self,
        key: str,
        alpha: float = 0.05,
        at_ms: int | None = None,
        surface_version: int | None = None,
    ) -> SurfaceReport:
        """Report a surface, whatever experiments ran there.

        Args:
            key: Of the surface.
            alpha: 1 − the level of every interval, in (0, 1).
            at_ms: As of when; now if None.
            surface_version: Whose reward rules hold (window, bounds, default, weights,
                aggregation); the newest if None.

        Raises:
            NotDeclared: No such surface.
            RecordError: `alpha` or `surface_version` is out of its range.
            StoreUnavailable: The store did not answer.
        """
        _check(alpha)
        declared = Declared(self._definitions)
        surface, version = declared.surface(key, surface_version)
        scope = Scope(surface, self._now_ms() if at_ms is None else at_ms)
        policies = declared.policies_of(surface)
        counts = self._reports.counts(scope, "policy")
        drained = self._tail.drained_through_ms(scope.at_ms)
        labels = dict.fromkeys([*(spec.key for spec in policies), *counts])
        return SurfaceReport(
            as_of_ms=scope.at_ms,
            alpha=alpha,
            key=key,
            version=declared.definition("surface", key).version,
            surface_version=version,
            description=surface.description,
            policy=surface.policy,
            killed=surface.killed,
            experiments=declared.shown_experiments(key),
            policies=tuple(group_of(label, label, counts.get(label)) for label in labels),
            forced_n=sum(found.forced_n for found in counts.values()),
            uniform=self._yardstick(declared, scope, alpha),
            values=values_of(self._reports, scope, policies, counts, alpha),
            series=series_of(self._reports, scope, "policy", policies),
            health=health_of(self._reports, scope, policies, counts.values(), drained),
        )

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
        _check(alpha)
        declared = Declared(self._definitions)
        now_ms = self._now_ms() if at_ms is None else at_ms
        spans = self._reports.spans(now_ms, now_ms - RECENT_MS)
        surfaces = tuple(
            _surface_headline(declared, spec, spans.get(spec.key)) for spec in declared.surfaces()
        )
        every = declared.experiments()
        shown = [spec for spec in every if archived or spec.status != "archived"]
        return Overview(
            as_of_ms=now_ms,
            alpha=alpha,
            surfaces=surfaces,
            experiments=tuple(self._headline(declared, spec, now_ms, alpha) for spec in shown),
            archived_n=sum(spec.status == "archived" for spec in every),
            next_step="" if surfaces or every else NOTHING_DECLARED,
        )

    def _of_assignments(
        self,
        declared: Declared,
        definition: Definition,
        alpha: float,
        at_ms: int,
        surface_version: int | None,
    ) -> ExperimentReport:
        """Report an experiment without a surface."""
        experiment = definition.spec
        assert isinstance(experiment, Experiment)
        if surface_version is not None:
            raise RecordError(
                f"surface_version is {surface_version}, must be left out: experiment "
                f"{experiment.key!r} has no surface"
            )
        judged = self._judge(declared, experiment, None, at_ms, alpha)
        report = _report(definition, judged, at_ms, alpha)
        return report(
            surface_version=None,
            values=(),
            series=NO_SERIES,
            health=delivery_of(self._tail.drained_through_ms(at_ms), at_ms),
        )

    def _headline(
        self, declared: Declared, experiment: Experiment, at_ms: int, alpha: float
    ) -> ExperimentHeadline:
        scope = None
        if experiment.surface is not None:
            surface, _ = declared.surface(experiment.surface)
            scope = Scope(surface, at_ms, experiment.key)
        try:
            judged = self._judge(declared, experiment, scope, at_ms, alpha, metrics_n=1)
            units_n = sum(variant.units_n for variant in judged.variants)
            verdict, primary = judged.verdict, judged.effects
        except RecordError as exc:  # the others must be shown all the same
            units_n, verdict, primary = 0, not_judged(experiment, exc), ()
        return ExperimentHeadline(
            key=experiment.key,
            description=experiment.description,
            surface=experiment.surface,
            status=experiment.status,
            units_n=units_n,
            verdict=verdict,
            primary=primary,
        )

    def _judge(
        self,
        declared: Declared,
        experiment: Experiment,
        scope: Scope | None,
        at_ms: int,
        alpha: float,
        metrics_n: int | None = None,
    ) -> Judged:
        metrics = declared.metrics_of(experiment)[:metrics_n]
        judge = Judge(self._reports, experiment, scope, at_ms=at_ms, alpha=alpha)
        return judge.judge(metrics)

    def _yardstick(self, declared: Declared, scope: Scope, alpha: float) -> Yardstick | None:
        if not scope.surface.uniform_share:
            return None
        since_ms = declared.since_ms(scope.surface, scope.at_ms)
        return yardstick_of(self._reports, scope, since_ms, alpha)


def _report(
    definition: Definition, judged: Judged, at_ms: int, alpha: float
) -> Callable[..., ExperimentReport]:
    """An experiment's report but for what surfaces add."""
    experiment = definition.spec
    assert isinstance(experiment, Experiment)
    return partial(
        ExperimentReport,
        as_of_ms=at_ms,
        alpha=alpha,
        key=experiment.key,
        version=definition.version,
        surface=experiment.surface,
        layer=experiment.layer,
        status=experiment.status,
        description=experiment.description,
        control=experiment.control,
        **judged._asdict(),
    )


def _surface_headline(declared: Declared, surface: Surface, span: Span | None) -> SurfaceHeadline:
    return SurfaceHeadline(
        key=surface.key,
        description=surface.description,
        policy=surface.policy,
        killed=surface.killed,
        experiments=declared.shown_experiments(surface.key),
        decisions_n=span.decisions_n if span else 0,
        per_s=span.recent_n / (RECENT_MS / 1000) if span else 0.0,
        newest_decision_ms=span.newest_ms if span else None,
    )


def _check(alpha: float) -> None:
    if not 0.0 < alpha < 1.0:
        raise RecordError(f"alpha is {alpha!r}, must be in (0, 1)")
