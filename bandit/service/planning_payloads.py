"""What a plan of an experiment is asked for and answers: one set of records for API, CLI, pages."""

from typing import Literal

from bandit.errors import RecordError
from bandit.records import Record
from bandit.specs import MetricType
from bandit.stats.sequential import DesignCost

Hypothesis = Literal["different", "better", "not_worse"]
"""What the experiment is to show: an effect in any direction, in the good one, or no harm."""
RANGES = {"power": (0.4, 0.999), "alpha": (1e-4, 0.3)}
"""Outside of these a plan is no plan."""


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
