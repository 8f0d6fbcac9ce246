"""Reports: what happened, what it proves, and whether to believe it.

Everything is computed from the log and the definitions as of one time; only decisions whose join
window has ended by then count, so that a number does not change by waiting for late rewards.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from bandit.errors import NotDeclared, RecordError
from bandit.ope import ips, snips
from bandit.ope.moments import NOTHING
from bandit.service.reporting_effects import metric_effect
from bandit.service.reporting_health import health_of
from bandit.service.reporting_payloads import (
    ExperimentHeadline,
    ExperimentReport,
    GroupCounts,
    MetricEffect,
    Overview,
    PolicyValue,
    SurfaceHeadline,
    SurfaceReport,
    Verdict,
)
from bandit.service.reporting_series import series_of
from bandit.service.reporting_verdicts import verdict_of
from bandit.specs import BUCKETS, Experiment, Metric, PolicySpec, Surface, Variant
from bandit.stats import Srm, srm
from bandit.stats.moments import NONE
from bandit.store.client import Store
from bandit.store.definitions import Definition, Definitions
from bandit.store.reports import LabelCounts, Log, Reports, Scope
from bandit.store.tail import Tail

__all__ = ["ExperimentReport", "Overview", "ReportService", "SurfaceReport"]

REWARD = Metric(key="reward", source="reward", per="decision")
"""What an experiment that names no metric is judged by."""
RECENT_MS = 60_000
NOTHING_DECLARED = (
    "Nothing is declared yet: PUT /v1/policies/{key}, then PUT /v1/surfaces/{key} — or run "
    "`bandit demo`."
)


class _Declared:
    """The newest version of every definition."""

    def __init__(self, definitions: Sequence[Definition]) -> None:
        self._found = {(d.kind, d.key): d for d in definitions}

    def definition(self, kind: str, key: str) -> Definition:
        found = self._found.get((kind, key))
        if found is None:
            raise NotDeclared(kind, key)
        return found

    def surface(self, key: str) -> Surface:
        spec = self.definition("surface", key).spec
        assert isinstance(spec, Surface)
        return spec

    def surface_of(self, experiment: Experiment) -> Surface:
        if experiment.surface is None:
            raise RecordError(
                f"experiment {experiment.key!r} has no surface, must have one to be reported"
            )
        return self.surface(experiment.surface)

    def metric(self, key: str) -> Metric:
        spec = self.definition("metric", key).spec
        assert isinstance(spec, Metric)
        return spec

    def surfaces(self) -> list[Surface]:
        return [d.spec for d in self._found.values() if isinstance(d.spec, Surface)]

    def experiments(self, surface: str | None = None) -> list[Experiment]:
        every = [d.spec for d in self._found.values() if isinstance(d.spec, Experiment)]
        return [spec for spec in every if surface in (None, spec.surface)]

    def policies_of(self, surface: Surface) -> list[PolicySpec]:
        """Those that serve, shadow or learn there; the surface's own first."""
        variants = [v.policy for e in self.experiments(surface.key) for v in e.variants]
        every = [d.spec for d in self._found.values() if isinstance(d.spec, PolicySpec)]
        learners = [spec.key for spec in every if spec.surface == surface.key]
        known = {spec.key: spec for spec in every}
        keys = dict.fromkeys([surface.policy, *variants, *surface.shadows, *learners])
        return [known[key] for key in keys if key in known]


class _Judged(NamedTuple):
    """An experiment's numbers, before they are put into a report."""

    variants: tuple[GroupCounts, ...]
    crossed_units_n: int
    srm: Srm
    effects: tuple[MetricEffect, ...]
    verdict: Verdict


class ReportService:
    """Reports of one store; it keeps nothing, so any thread or process may make its own."""

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._definitions = Definitions(store)
        self._reports = Reports(store)
        self._tail = Tail(store)
        self._now_ms = now_ms

    def experiment(
        self, key: str, alpha: float = 0.05, at_ms: int | None = None
    ) -> ExperimentReport:
        """Report an experiment; each effect as judged at any look, and as at one planned look.

        Args:
            alpha: 1 − the level of every interval, in (0, 1).
            at_ms: As of when; now if None.

        Raises:
            NotDeclared: No such experiment, or not what it names.
            RecordError: `alpha` is out of its range.
            StoreUnavailable: The store did not answer.
        """
        _check(alpha)
        declared = _Declared(self._definitions.all())
        definition = declared.definition("experiment", key)
        experiment = definition.spec
        assert isinstance(experiment, Experiment)
        surface = declared.surface_of(experiment)
        whole = Scope(surface, self._now_ms() if at_ms is None else at_ms)
        scope = whole._replace(experiment=key)
        metrics = [declared.metric(name) for name in experiment.metrics] or [REWARD]
        judged = self._judge(experiment, scope, metrics, alpha)
        by_policy = self._reports.counts(whole, "policy")
        policies = declared.policies_of(surface)
        return ExperimentReport(
            as_of_ms=scope.at_ms,
            alpha=alpha,
            key=key,
            version=definition.version,
            surface=surface.key,
            status=experiment.status,
            description=experiment.description,
            control=experiment.control,
            **judged._asdict(),
            values=self._values(whole, policies, by_policy, alpha),
            series=series_of(self._reports, scope, "variant", policies),
            health=health_of(
                self._reports,
                whole,
                policies,
                by_policy.values(),
                self._tail.drained_through_ms(scope.at_ms),
            ),
        )

    def surface(self, key: str, alpha: float = 0.05, at_ms: int | None = None) -> SurfaceReport:
        """Report a surface, whatever experiments ran there.

        Args:
            alpha: 1 − the level of every interval, in (0, 1).
            at_ms: As of when; now if None.

        Raises:
            NotDeclared: No such surface.
            RecordError: `alpha` is out of its range.
            StoreUnavailable: The store did not answer.
        """
        _check(alpha)
        declared = _Declared(self._definitions.all())
        surface = declared.surface(key)
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
            description=surface.description,
            policy=surface.policy,
            experiments=tuple(spec.key for spec in declared.experiments(key)),
            policies=tuple(_group(label, label, counts.get(label)) for label in labels),
            values=self._values(scope, policies, counts, alpha),
            series=series_of(self._reports, scope, "policy", policies),
            health=health_of(self._reports, scope, policies, counts.values(), drained),
        )

    def overview(self, alpha: float = 0.05, at_ms: int | None = None) -> Overview:
        """One line about everything declared.

        Raises:
            RecordError: `alpha` is out of its range.
            StoreUnavailable: The store did not answer.
        """
        _check(alpha)
        declared = _Declared(self._definitions.all())
        now_ms = self._now_ms() if at_ms is None else at_ms
        spans = self._reports.spans(now_ms, now_ms - RECENT_MS)
        surfaces = []
        for spec in declared.surfaces():
            span = spans.get(spec.key)
            surfaces.append(
                SurfaceHeadline(
                    key=spec.key,
                    description=spec.description,
                    policy=spec.policy,
                    experiments=tuple(e.key for e in declared.experiments(spec.key)),
                    decisions_n=span.decisions_n if span else 0,
                    per_s=span.recent_n / (RECENT_MS / 1000) if span else 0.0,
                    newest_decision_ms=span.newest_ms if span else None,
                )
            )
        return Overview(
            as_of_ms=now_ms,
            alpha=alpha,
            surfaces=tuple(surfaces),
            experiments=tuple(
                self._headline(declared, spec, now_ms, alpha) for spec in declared.experiments()
            ),
            next_step="" if surfaces else NOTHING_DECLARED,
        )

    def _headline(
        self, declared: _Declared, experiment: Experiment, at_ms: int, alpha: float
    ) -> ExperimentHeadline:
        scope = Scope(declared.surface_of(experiment), at_ms, experiment.key)
        metrics = [declared.metric(name) for name in experiment.metrics[:1]] or [REWARD]
        judged = self._judge(experiment, scope, metrics, alpha)
        return ExperimentHeadline(
            key=experiment.key,
            description=experiment.description,
            surface=experiment.surface,
            status=experiment.status,
            units_n=sum(variant.units_n for variant in judged.variants),
            verdict=judged.verdict,
            primary=judged.effects,
        )

    def _judge(
        self, experiment: Experiment, scope: Scope, metrics: Sequence[Metric], alpha: float
    ) -> _Judged:
        units = self._reports.variant_units(scope)
        crossed_units_n = units.pop("", 0)
        counts = self._reports.counts(scope, "variant")
        variants = tuple(
            _group(
                variant.key,
                variant.policy,
                counts.get(variant.key),
                units_n=units.get(variant.key, 0),
                share=_share(variant),
            )
            for variant in experiment.variants
        )
        split = srm(units, {variant.key: _share(variant) for variant in experiment.variants})
        effects = tuple(
            effect
            for place, metric in enumerate(metrics)
            for effect in self._effects(experiment, scope, metric, alpha, is_primary=place == 0)
        )
        verdict = verdict_of(
            experiment, variants, crossed_units_n, split, effects, scope.surface.join_window_s
        )
        return _Judged(variants, crossed_units_n, split, effects, verdict)

    def _effects(
        self,
        experiment: Experiment,
        scope: Scope,
        metric: Metric,
        alpha: float,
        *,
        is_primary: bool,
    ) -> list[MetricEffect]:
        """One metric of every treatment against the control."""
        moments = (
            self._reports.reward_moments(scope, metric)
            if metric.source == "reward"
            else self._reports.outcome_moments(scope, metric)
        )
        control = (experiment.control, moments.get(experiment.control, NONE))
        return [
            metric_effect(
                metric,
                control,
                (variant.key, moments.get(variant.key, NONE)),
                alpha,
                is_primary=is_primary,
            )
            for variant in experiment.variants
            if variant.key != experiment.control
        ]

    def _values(
        self,
        scope: Scope,
        policies: Sequence[PolicySpec],
        counts: Mapping[str, LabelCounts],
        alpha: float,
    ) -> tuple[PolicyValue, ...]:
        """Value of every policy, from all decisions and from those of the others."""
        found = self._reports.weight_moments(scope)
        counted_n = sum(count.counted_n for count in counts.values())
        values = []
        for policy in dict.fromkeys([*(spec.key for spec in policies), *(key for key, _ in found)]):
            own_n = counts[policy].counted_n if policy in counts else 0
            logs: tuple[Log, ...] = ("all", "others")
            for log in logs:
                moments, barred_n = found.get((policy, log), (NOTHING, 0))
                in_log_n = counted_n if log == "all" else counted_n - own_n
                values.append(
                    PolicyValue(
                        policy=policy,
                        log=log,
                        own_n=own_n if log == "all" else 0,
                        barred_n=barred_n,
                        absent_n=in_log_n - moments.n - barred_n,
                        snips=snips(moments, policy=policy, alpha=alpha),
                        ips=ips(moments, policy=policy, alpha=alpha),
                    )
                )
        return tuple(values)


def _check(alpha: float) -> None:
    if not 0.0 < alpha < 1.0:
        raise RecordError(f"alpha is {alpha!r}, must be in (0, 1)")


def _share(variant: Variant) -> float:
    return sum(high - low for low, high in variant.allocation) / BUCKETS


def _group(
    label: str,
    policy: str | None,
    counts: LabelCounts | None,
    *,
    units_n: int | None = None,
    share: float | None = None,
) -> GroupCounts:
    if counts is None:
        return GroupCounts(label=label, policy=policy, share=share, units_n=units_n or 0)
    return GroupCounts(
        label=label,
        policy=policy,
        share=share,
        units_n=counts.units_n if units_n is None else units_n,
        decisions_n=counts.decisions_n,
        open_n=counts.open_n,
        unseen_n=counts.unseen_n,
        counted_n=counts.counted_n,
        rewarded_n=counts.rewarded_n,
        exposed_n=counts.exposed_n,
        reward_sum=counts.reward_sum,
        reward_mean=counts.reward_sum / counts.counted_n if counts.counted_n else None,
    )
