"""Before an experiment: how many units, how long, and what can be found; from kept numbers.

Baselines are the control's numbers of past experiments of the surface, as reports keep them; no
row of the log is read. What is not known can be typed in. The statistics are `bandit.stats`'.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from bandit.errors import RecordError
from bandit.records import Record
from bandit.service.judging_estimates import SHARES
from bandit.specs import Metric, MetricType
from bandit.stats import Linear, Mde, mean_of, proportion_of, quantile_of, ratio_of
from bandit.stats.covariates import optimal_reduction
from bandit.stats.effect import Alternative
from bandit.stats.joint import JointMoments
from bandit.stats.linear import Part
from bandit.stats.planning import Baseline, Design, days_needed, mde, sample_size
from bandit.stats.sequential import DesignCost, compare_designs
from bandit.store.numbers import MetricNumbers

Hypothesis = Literal["different", "better", "not_worse"]
"""What the experiment is to show: an effect in any direction, in the good one, or no harm."""
CURVE_DAYS = (1, 2, 3, 5, 7, 10, 14, 21, 28, 42, 56, 84)
"""Durations that the least effect is told for."""
RANGES = {"power": (0.4, 0.999), "alpha": (1e-4, 0.3)}
"""Outside of these a plan is no plan."""
MOST_UNITS = 1e12
"""An experiment with more is none."""
MOST_DAYS = 3650.0
"""An experiment of more than ten years is none."""


class MetricBaseline(Record, frozen=True, kw_only=True):
    """What is known of a metric before an experiment.

    Attributes:
        metric: Its key; None for typed-in numbers.
        type: Of the metric.
        better: Which direction is good.
        margin, margin_scale: As declared: the effect that one cares about.
        experiment: Whose control it is of; None for typed-in numbers.
        as_of_ms: The time that these numbers are of.
        units_n: Of that control.
        mean: Per unit; of a ratio or quantile, that.
        sd: Standard deviation per unit (of a ratio or quantile: of what a unit adds to it).
        variance_reduction: Share of the variance that covariates of the metric take; None without.
        reason: Why there are no numbers: `no_units`, `one_unit`, or an estimator's reason.
    """

    metric: str | None = None
    type: MetricType = "mean"
    better: Literal["higher", "lower"] = "higher"
    margin: float | None = None
    margin_scale: Literal["relative", "absolute"] = "relative"
    experiment: str | None = None
    as_of_ms: int | None = None
    units_n: int = 0
    mean: float | None = None
    sd: float | None = None
    variance_reduction: float | None = None
    reason: str | None = None


class PlanQuestion(Record, frozen=True, kw_only=True):
    """What is asked.

    Attributes:
        effect: One cares about; None: the metric's margin, or 5 %.
        effect_scale: Of `effect`.
        shows: What the experiment is to show; `not_worse` than by `effect`.
        power, alpha: Wanted chance to find the effect; chance to find what is not there.
        treatments: Beside the control, each as large as it; alpha is shared by them.
        share: Of the traffic that is in the experiment.
        units_per_day: New ones; None: as they came lately.
        mean, sd: In place of the metric's.
        type: Of typed-in numbers.
        covariates: Whether to count on the metric's covariates.
    """

    effect: float | None = None
    effect_scale: Literal["relative", "absolute"] = "relative"
    shows: Hypothesis = "different"
    power: float = 0.8
    alpha: float = 0.05
    treatments: int = 1
    share: float = 1.0
    units_per_day: float | None = None
    mean: float | None = None
    sd: float | None = None
    type: MetricType = "mean"
    covariates: bool = True

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise RecordError(f"{name} is {getattr(self, name)!r}, must be in [{low}, {high}]")
        if not 0.0 < self.share <= 1.0:
            raise RecordError(f"share is {self.share!r}, must be in (0, 1]")
        if not 1 <= self.treatments <= 49:
            raise RecordError(f"treatments is {self.treatments}, must be in 1 to 49")
        for name in ("effect", "units_per_day", "mean", "sd"):
            given = getattr(self, name)
            if given is not None and not abs(given) <= 1e15:
                raise RecordError(f"{name} is {given!r}, must be finite, at most 1e15")
        for name in ("effect", "units_per_day"):
            given = getattr(self, name)
            if given is not None and given <= 0.0:
                raise RecordError(f"{name} is {given!r}, must be above 0")
        if self.sd is not None and self.sd < 0.0:
            raise RecordError(f"sd is {self.sd!r}, must not be below 0")


class MdePoint(Record, frozen=True, kw_only=True):
    """The least effect that is found after some days.

    Attributes:
        days: Of the experiment.
        units: That it has by then, of all variants.
        effect, relative_effect: Found with the power wanted; None if not even the largest is.
    """

    days: float
    units: float
    effect: float | None
    relative_effect: float | None


class DesignPlan(Record, frozen=True, kw_only=True):
    """A way of looking, and how long it takes.

    Attributes:
        cost: In units of the control and one treatment.
        days_most, days_expected, days_expected_null: The same in days of all variants.
    """

    cost: DesignCost
    days_most: float | None = None
    days_expected: float | None = None
    days_expected_null: float | None = None


class Plan(Record, frozen=True, kw_only=True):
    """The answer.

    Attributes:
        effect, relative_effect: That is planned for, in the direction asked for.
        alpha: Of each comparison, shared by the treatments.
        units_each: In every variant, with one look at the end.
        units: Of all variants.
        days: Whole days until they have come.
        designs: Fixed, planned and any-time looks beside each other.
        curve: The least effect found, by days.
        reason: Why there is none: `no_baseline`, `no_effect`, `no_spread`, `no_such_share` (above
            1 or below 0), `no_arrivals` (then only the days are missing).
    """

    effect: float | None = None
    relative_effect: float | None = None
    alpha: float
    units_each: int | None = None
    units: int | None = None
    days: int | None = None
    designs: tuple[DesignPlan, ...] = ()
    curve: tuple[MdePoint, ...] = ()
    reason: str | None = None


class Planning(Record, frozen=True, kw_only=True):
    """What a surface's traffic allows.

    Attributes:
        key: Of the surface; None for typed-in numbers alone.
        as_of_ms: The newest numbers used; None without any.
        units_per_day: New units of the surface lately; None if nothing tells.
        units_from: Whose arrivals that is of: an experiment's key, or `surface` (units over all its
            time: those that come again were counted once only); empty without any.
        metrics: Every metric that may be planned for, with what is known of it.
        baseline: That the plan is made with; None if nothing was asked for.
        question: As it was understood.
        plan: The answer; None if no metric and no numbers were given.
    """

    key: str | None = None
    as_of_ms: int | None = None
    units_per_day: float | None = None
    units_from: str = ""
    metrics: tuple[MetricBaseline, ...] = ()
    baseline: MetricBaseline | None = None
    question: PlanQuestion
    plan: Plan | None = None


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
