"""An experiment's numbers and what they say, from decisions on a surface or from assignments."""

from collections.abc import Sequence
from typing import NamedTuple

from bandit.service.reporting_effects import metric_effect
from bandit.service.reporting_payloads import GroupCounts, MetricEffect, Verdict
from bandit.service.reporting_verdicts import verdict_of
from bandit.specs import BUCKETS, Experiment, Metric, Variant
from bandit.stats import Srm, srm
from bandit.stats.moments import NONE, Moments
from bandit.store.numbers import ExperimentNumbers, MetricNumbers, VariantNumbers
from bandit.store.reports import LabelCounts, VariantUnits


class Judged(NamedTuple):
    """An experiment's numbers, before they are put into a report; the names are the report's."""

    variants: tuple[GroupCounts, ...]
    crossed_units_n: int
    forced_units_n: int
    forced_n: int
    srm: Srm
    effects: tuple[MetricEffect, ...]
    verdict: Verdict


def judge(
    numbers: ExperimentNumbers,
    experiment: Experiment,
    metrics: Sequence[Metric],
    *,
    alpha: float,
    sequential: str | None = None,
    history: Sequence[ExperimentNumbers] = (),
) -> Judged:
    """For as long as `bandit.service.judging` is not there."""
    found = {variant.variant: variant for variant in numbers.variants}
    variants = tuple(_group(variant, found.get(variant.key)) for variant in experiment.variants)
    units = VariantUnits(
        {v.variant: v.units_n for v in numbers.variants if v.units_n},
        numbers.crossed_n,
        numbers.forced_n,
    )
    split = srm(units.by_variant, {variant.key: _share(variant) for variant in experiment.variants})
    of = {metric.metric: metric for metric in numbers.metrics}
    effects = tuple(
        metric_effect(
            metric,
            (experiment.control, _moments(of[metric.key], experiment.control)),
            (variant.key, _moments(of[metric.key], variant.key)),
            alpha,
            is_primary=place == 0,
        )
        for place, metric in enumerate(metrics)
        for variant in experiment.variants
        if variant.key != experiment.control
    )
    return Judged(
        variants=variants,
        crossed_units_n=numbers.crossed_n,
        forced_units_n=numbers.forced_n,
        forced_n=sum(variant.forced_n for variant in numbers.variants),
        srm=split,
        effects=effects,
        verdict=verdict_of(experiment, variants, units, split, effects, 0.0),
    )


def _moments(metric: MetricNumbers, variant: str) -> Moments:
    found = metric.by_variant.get(variant)
    return NONE if found is None else found.column(0)


def _group(variant: Variant, found: VariantNumbers | None) -> GroupCounts:
    found = found or VariantNumbers(variant=variant.key)
    counted_n = found.decisions_n - found.unseen_n
    return GroupCounts(
        label=variant.key,
        policy=variant.policy,
        share=_share(variant),
        units_n=found.units_n,
        decisions_n=found.decisions_n + found.open_n,
        open_n=found.open_n,
        unseen_n=found.unseen_n,
        counted_n=counted_n,
        rewarded_n=found.rewarded_n,
        exposed_n=found.exposed_n,
        reward_sum=found.reward_sum,
        reward_mean=found.reward_sum / counted_n if counted_n else None,
        pinned_n=found.pinned_n,
        overridden_n=found.overridden_n,
    )


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
