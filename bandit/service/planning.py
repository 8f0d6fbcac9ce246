"""Before an experiment: how many units, how long, and what can be found; from kept numbers.

Baselines are the control's numbers of past experiments of the surface, as reports keep them; no
row of the log is read. What is not known can be typed in. The statistics are `bandit.stats`'.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from bandit.errors import RecordError
from bandit.service.judging_estimates import SHARES
from bandit.service.planning_payloads import (
    DesignPlan,
    Hypothesis,
    MdePoint,
    MetricBaseline,
    Plan,
    Planning,
    PlanQuestion,
)
from bandit.specs import Metric
from bandit.stats import Linear, Mde, mean_of, proportion_of, quantile_of, ratio_of
from bandit.stats.covariates import optimal_reduction
from bandit.stats.effect import Alternative
from bandit.stats.joint import JointMoments
from bandit.stats.linear import Part
from bandit.stats.planning import Baseline, Design, days_needed, mde, sample_size
from bandit.stats.sequential import compare_designs
from bandit.store.numbers import MetricNumbers

__all__ = [
    "DesignPlan",
    "Hypothesis",
    "MdePoint",
    "MetricBaseline",
    "Plan",
    "PlanQuestion",
    "Planning",
    "baseline_of",
    "plan_of",
    "units_per_day_of",
]
CURVE_DAYS = (1, 2, 3, 5, 7, 10, 14, 21, 28, 42, 56, 84)
"""Durations that the least effect is told for."""
MOST_UNITS = 1e12
"""An experiment with more is none."""
MOST_DAYS = 3650.0
"""An experiment of more than ten years is none."""


class _Sized(NamedTuple):
    """What every part of an answer needs."""

    baseline: Baseline
    design: Design
    effect: float
    question: PlanQuestion
    units_per_day: float | None

    @property
    def variants_n(self) -> int:
        return 1 + self.question.treatments

    def days(self, pair_units: float) -> float | None:
        """Until the control and one treatment have so many units."""
        if not self.units_per_day:
            return None
        days = pair_units / 2.0 * self.variants_n / (self.units_per_day * self.question.share)
        return days if math.isfinite(days) else None


def baseline_of(
    metric: Metric, numbers: MetricNumbers, variant: str, experiment: str, as_of_ms: int
) -> MetricBaseline:
    """What one variant's kept numbers say of a metric.

    Args:
        metric: As declared.
        numbers: Of the metric, of an experiment.
        variant: The control's key.
        experiment: Its key.
        as_of_ms: The time that the numbers are of.
    """
    linear, reduction = _linear(metric, numbers, variant)
    known = linear.value is not None and linear.covariance is not None
    return MetricBaseline(
        metric=metric.key,
        type=metric.type,
        better=metric.better,
        margin=metric.margin,
        margin_scale=metric.margin_scale,
        experiment=experiment,
        as_of_ms=as_of_ms,
        units_n=linear.n,
        mean=linear.value,
        sd=math.sqrt(linear.covariance[0][0]) if known and linear.covariance else None,
        variance_reduction=reduction,
        reason=None if known else (linear.reason or "no_estimate"),
    )


def _linear(metric: Metric, numbers: MetricNumbers, variant: str) -> tuple[Linear, float | None]:
    """A variant's metric with its spread, and what its covariates take of that."""
    empty = Linear(n=0, value=None, covariance=None, df=0.0, reason="empty_variant")
    if metric.type == "quantile":
        sample = numbers.orders.get(variant)
        return (empty if sample is None else quantile_of(sample)), None
    moments = numbers.by_variant.get(variant, JointMoments.none(len(numbers.columns)))
    columns = numbers.columns
    if metric.type == "ratio" and "denominator" in columns:
        estimator = ratio_of(0, columns.index("denominator"))
    else:
        estimator = proportion_of(0) if metric.type in SHARES else mean_of(0)
    over = columns.index("covariate_denominator") if "covariate_denominator" in columns else None
    parts = tuple(
        Part(column=at, over=over if name == "covariate" else None)
        for at, name in enumerate(columns)
        if name == "covariate" or name.startswith("covariate:")
    )
    linear = estimator.linear(moments)
    if not parts or linear.covariance is None:
        return linear, None
    adjusted = msgspec.structs.replace(estimator, covariates=parts)
    return linear, optimal_reduction(moments, adjusted)


def plan_of(found: MetricBaseline, question: PlanQuestion, units_per_day: float | None) -> Plan:
    """The answer to a question about one metric.

    Args:
        found: What is known of the metric.
        question: What is asked; its `mean` and `sd` count before the metric's.
        units_per_day: New units; the question's count before them.
    """
    alpha = question.alpha / question.treatments
    base = _base(found, question)
    if isinstance(base, str):
        return Plan(alpha=alpha, reason=base)
    effect, relative = _effect(found, question, base.mean)
    if effect is None:
        return Plan(alpha=alpha, relative_effect=relative, reason="no_effect")
    if base.spread == "binomial" and not 0.0 <= base.mean + effect <= 1.0:
        return Plan(alpha=alpha, effect=effect, relative_effect=relative, reason="no_such_share")
    design = Design(
        alpha=alpha, alternative=_alternative(found, question), null_value=_null(question, effect)
    )
    pace = question.units_per_day or units_per_day
    truth = 0.0 if question.shows == "not_worse" else effect
    sized = _Sized(base, design, truth, question, pace)
    need = sample_size(base, truth, power_wanted=question.power, design=design)
    if need.control is None or need.control > MOST_UNITS:
        return Plan(alpha=alpha, effect=effect, relative_effect=relative, reason="no_effect")
    each = math.ceil(need.control - 1e-9 * need.control)
    units = each * sized.variants_n
    days = None if not pace else days_needed(units, pace, share=question.share)
    return Plan(
        effect=effect,
        relative_effect=relative,
        alpha=alpha,
        units_each=each,
        units=units,
        days=days,
        designs=_designs(sized, 2.0 * each),
        curve=_curve(sized, 2.0 * each),
        reason=None if days is not None else "no_arrivals",
    )


def _base(found: MetricBaseline, question: PlanQuestion) -> Baseline | str:
    """Mean and spread per unit, or why there are none."""
    mean = found.mean if question.mean is None else question.mean
    if mean is None:
        return "no_baseline"
    if found.type in SHARES:
        if not 0.0 <= mean <= 1.0:
            raise RecordError(f"mean of a {found.type} is {mean!r}, must be in [0, 1]")
        if question.sd is None or question.mean is not None:
            base = Baseline.proportion(mean)
        else:
            base = Baseline(mean=mean, variance=question.sd**2)
    else:
        sd = found.sd if question.sd is None else question.sd
        if sd is None:
            return "no_baseline"
        base = Baseline(mean=mean, variance=sd**2)
    if question.covariates and found.variance_reduction:
        left = base.variance * (1.0 - found.variance_reduction)
        base = Baseline(mean=base.mean, variance=left)
    return base if base.variance > 0.0 else "no_spread"


def _effect(
    found: MetricBaseline, question: PlanQuestion, mean: float
) -> tuple[float | None, float | None]:
    """What is planned for, absolute and relative; up unless lower is better, down for a margin."""
    size, scale = question.effect, question.effect_scale
    if size is None:
        size = found.margin if found.margin is not None else 0.05
        scale = found.margin_scale if found.margin is not None else "relative"
    good = 1.0 if found.better == "higher" else -1.0
    sign = -good if question.shows == "not_worse" else good
    if scale == "relative":
        effect = sign * size * abs(mean)
        return (effect if effect else None), sign * size
    return sign * size, sign * size / abs(mean) if mean else None


def _alternative(found: MetricBaseline, question: PlanQuestion) -> Alternative:
    if question.shows == "different":
        return "two-sided"
    return "greater" if found.better == "higher" else "less"


def _null(question: PlanQuestion, effect: float) -> float:
    return effect if question.shows == "not_worse" else 0.0


def _designs(sized: _Sized, pair_units: float) -> tuple[DesignPlan, ...]:
    """Ways of looking, beside each other."""
    costs = compare_designs(
        pair_units,
        power_wanted=sized.question.power,
        alpha=sized.design.alpha,
        sides=2 if sized.question.shows == "different" else 1,
    )
    return tuple(
        DesignPlan(
            cost=cost,
            days_most=_days(sized, cost.units_most),
            days_expected=_days(sized, cost.units_expected),
            days_expected_null=_days(sized, cost.units_expected_null),
        )
        for cost in costs
    )


def _days(sized: _Sized, units: float | None) -> float | None:
    return None if units is None else sized.days(units)


def _curve(sized: _Sized, pair_units: float) -> tuple[MdePoint, ...]:
    """The least effect found after some days, around the duration that is needed."""
    pace = sized.units_per_day
    if not pace:
        return ()
    needed = min(sized.days(pair_units) or 0.0, MOST_DAYS)
    days = sorted({float(day) for day in CURVE_DAYS} | ({needed} if needed >= 1.0 else set()))
    return tuple(_point(sized, day) for day in days if day <= max(4.0 * needed, 14.0))


def _point(sized: _Sized, days: float) -> MdePoint:
    units = days * (sized.units_per_day or 0.0) * sized.question.share
    each = units / sized.variants_n
    found = Mde(reason="too_few_units")
    if each >= 2.0:
        design = msgspec.structs.replace(sized.design, null_value=0.0)
        found = mde(
            sized.baseline, control_n=each, power_wanted=sized.question.power, design=design
        )
    # What is shown not to be worse is told as the harm that is ruled out.
    sign = -1.0 if sized.question.shows == "not_worse" else 1.0
    return MdePoint(
        days=days,
        units=units,
        effect=None if found.effect is None else sign * found.effect,
        relative_effect=None if found.relative_effect is None else sign * found.relative_effect,
    )


def units_per_day_of(
    arrivals: Sequence[tuple[int, int]], through_ms: int, share: float
) -> float | None:
    """New units a day, of all traffic, over the last week.

    Args:
        arrivals: Start of a period and units that came in it.
        through_ms: End of the last period.
        share: Of the traffic that could be in it.
    """
    week_ms = 7 * 86_400_000
    if not arrivals or share <= 0.0:
        return None
    start = max(through_ms - week_ms, min(at_ms for at_ms, _ in arrivals))
    if through_ms <= start:
        return None
    units = sum(n for at_ms, n in arrivals if at_ms >= start)
    return units * 86_400_000 / (through_ms - start) / share
