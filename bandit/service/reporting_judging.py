"""An experiment's numbers and what they say, from decisions on a surface or from assignments."""

from collections.abc import Sequence
from typing import NamedTuple

from bandit.service.reporting_effects import metric_effect
from bandit.service.reporting_payloads import GroupCounts, MetricEffect, Verdict
from bandit.service.reporting_verdicts import verdict_of
from bandit.specs import BUCKETS, Experiment, Metric, Variant
from bandit.stats import Srm, srm
from bandit.stats.moments import NONE
from bandit.store.reports import LabelCounts, Members, Reports, Scope


class Judged(NamedTuple):
    """An experiment's numbers, before they are put into a report; the names are the report's."""

    variants: tuple[GroupCounts, ...]
    crossed_units_n: int
    forced_units_n: int
    forced_n: int
    srm: Srm
    effects: tuple[MetricEffect, ...]
    verdict: Verdict


class Judge:
    """Judges one experiment as of one time.

    Args:
        reports: Of the store.
        experiment: What is judged.
        scope: Its decisions; None for an experiment without a surface.
        at_ms: As of when.
        alpha: 1 − the level of every interval.
    """

    def __init__(
        self,
        reports: Reports,
        experiment: Experiment,
        scope: Scope | None,
        *,
        at_ms: int,
        alpha: float,
    ) -> None:
        self._reports = reports
        self._experiment = experiment
        self._scope = scope
        self._alpha = alpha
        self._members = scope.members if scope else Members(experiment.key, "", at_ms)

    def judge(self, metrics: Sequence[Metric]) -> Judged:
        """All numbers of the experiment.

        Args:
            metrics: The primary first; of outcomes only if there is no surface.
        """
        experiment = self._experiment
        units = self._reports.variant_units(self._members)
        counts = self._reports.counts(self._scope, "variant") if self._scope else {}
        variants = tuple(
            group_of(
                variant.key,
                variant.policy,
                counts.get(variant.key),
                units_n=units.by_variant.get(variant.key, 0),
                share=_share(variant),
            )
            for variant in experiment.variants
        )
        split = srm(
            units.by_variant, {variant.key: _share(variant) for variant in experiment.variants}
        )
        effects = tuple(
            effect
            for place, metric in enumerate(metrics)
            for effect in self._effects(metric, is_primary=place == 0)
        )
        verdict = verdict_of(
            experiment,
            variants,
            units,
            split,
            effects,
            self._scope.surface.join_window_s if self._scope else 0.0,
        )
        return Judged(
            variants=variants,
            crossed_units_n=units.crossed_n,
            forced_units_n=units.forced_n,
            forced_n=sum(found.forced_n for found in counts.values()),
            srm=split,
            effects=effects,
            verdict=verdict,
        )

    def _effects(self, metric: Metric, *, is_primary: bool) -> list[MetricEffect]:
        """One metric of every treatment against the control."""
        if metric.source == "outcome":
            moments = self._reports.outcome_moments(self._members, metric)
        else:
            assert self._scope is not None
            moments = self._reports.reward_moments(self._scope, metric)
        experiment = self._experiment
        control = (experiment.control, moments.get(experiment.control, NONE))
        return [
            metric_effect(
                metric,
                control,
                (variant.key, moments.get(variant.key, NONE)),
                self._alpha,
                is_primary=is_primary,
            )
            for variant in experiment.variants
            if variant.key != experiment.control
        ]


def group_of(
    label: str,
    policy: str | None,
    counts: LabelCounts | None,
    *,
    units_n: int | None = None,
    share: float | None = None,
) -> GroupCounts:
    """Counts of a variant or policy, as reports say them.

    Args:
        label: Key of the variant or policy.
        policy: What it serves.
        counts: None if it made no decision.
        units_n: In place of those that are counted.
        share: Of the buckets.
    """
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
        pinned_n=counts.pinned_n,
        overridden_n=counts.overridden_n,
    )


def _share(variant: Variant) -> float:
    return sum(high - low for low, high in variant.allocation) / BUCKETS
