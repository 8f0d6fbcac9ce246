"""The result of every comparison of two variants: one flat record."""

from typing import Literal

from bandit.records import Record

Reason = Literal[
    "empty_variant",
    "one_unit",
    "no_variance",
    "control_is_zero",
    "control_near_zero",
    "denominator_is_zero",
    "not_identified",
    "not_positive",
    "few_units",
    "nothing_to_spend",
    "no_look_yet",
]
"""Why a number is missing.

* `empty_variant`: a variant has no units, so there is nothing to compare.
* `one_unit`: a variant has one unit, so its spread is unknown.
* `no_variance`: every unit of both variants has one and the same number.
* `control_is_zero`: nothing can be said relative to a control of 0.
* `control_near_zero`: the control's interval holds 0, so the relative interval has no bounds.
* `denominator_is_zero`: a ratio's denominators sum to 0 in a variant.
* `not_identified`: too few units for what was asked (more covariates than units, an empty cell).
* `not_positive`: a logarithm was asked of a mean that is not above 0.
* `few_units`: fewer units than a confidence sequence starts at.
* `nothing_to_spend`: the plan gives this look no part of alpha.
* `no_look_yet`: the plan's first look is still to come.
"""

Alternative = Literal["two-sided", "greater", "less"]
"""What a test looks for: treatment − control ≠, > or < the null value."""

Hypothesis = Literal["difference", "non_inferiority", "superiority", "equivalence"]
"""What a test wants to show: any difference; not worse, better, or alike by a margin."""


class Sequential(Record, frozen=True, kw_only=True):
    """How a result that may be looked at before its end was made valid.

    Attributes:
        kind: The method's name.
        tuning: The size at which the sequence is narrowest, in units.
        look: Which look this is, from 1.
        looks: How many are planned.
        information: Share of the planned information that is in.
        alpha_spent: Level spent up to and with this look.
    """

    kind: str
    tuning: float | None = None
    look: int | None = None
    looks: int | None = None
    information: float | None = None
    alpha_spent: float | None = None


class Effect(Record, frozen=True, kw_only=True):
    """Treatment − control of one metric, absolute and relative, from one pair of estimates.

    A number that can not be given is None, and a reason says why; never 0, 1 or NaN. The far end
    of a one-sided interval is None too: `alternative` says that it has none.

    Attributes:
        control, treatment: The variants' means.
        control_n, treatment_n: Units in each.
        effect: treatment − control.
        effect_ci_low, effect_ci_high: Its 1 − alpha interval.
        relative_effect: (treatment − control) / control.
        relative_ci_low, relative_ci_high: Its interval by Fieller, from the same pair: it leaves
            out 0 exactly when the absolute one does.
        std_error: Of `effect`.
        statistic: (effect − null value) / its standard error.
        df: Degrees of freedom of the statistic.
        p_value: Of the null value against `alternative`; holds on both scales.
        method: The test's name.
        alpha: 1 − the level of the intervals.
        alternative: What the test looks for.
        reason: Why there is no effect or no interval; None if there are both.
        relative_reason: The same for the relative scale.
        warnings: Codes of what the reader should know.
        kind: The estimator's name (`mean`, `ratio`, …).
        hypothesis: What the test wants to show.
        margin: Its margin, ≥ 0; None for a plain difference.
        margin_scale: Whether `margin` is in the metric's unit or a share of the control.
        null_value: Effect under the null hypothesis, in the metric's unit.
        p_value_adjusted: `p_value` corrected for the other comparisons of its family.
        alpha_adjusted: Level at which the adjusted intervals hold; None where the correction has
            no interval.
        adjusted_ci_low, adjusted_ci_high: Interval of `effect` at `alpha_adjusted`.
        relative_adjusted_ci_low, relative_adjusted_ci_high: The same, relative.
        correction: Name of the correction.
        sequential: How early looks were made valid; None for a fixed horizon.
        variance_reduction: 1 − variance of `effect` / the same of `unadjusted`.
        cap: Values above it were lowered to it.
        unadjusted: The same comparison without covariates, strata or cap.
    """

    control: float | None
    treatment: float | None
    control_n: int
    treatment_n: int
    effect: float | None = None
    effect_ci_low: float | None = None
    effect_ci_high: float | None = None
    relative_effect: float | None = None
    relative_ci_low: float | None = None
    relative_ci_high: float | None = None
    std_error: float | None = None
    statistic: float | None = None
    df: float | None = None
    p_value: float | None = None
    method: str
    alpha: float
    alternative: Alternative = "two-sided"
    reason: Reason | None = None
    relative_reason: Reason | None = None
    warnings: tuple[str, ...] = ()
    kind: str = "mean"
    hypothesis: Hypothesis = "difference"
    margin: float | None = None
    margin_scale: Literal["absolute", "relative"] | None = None
    null_value: float = 0.0
    p_value_adjusted: float | None = None
    alpha_adjusted: float | None = None
    adjusted_ci_low: float | None = None
    adjusted_ci_high: float | None = None
    relative_adjusted_ci_low: float | None = None
    relative_adjusted_ci_high: float | None = None
    correction: str | None = None
    sequential: Sequential | None = None
    variance_reduction: float | None = None
    cap: float | None = None
    unadjusted: "Effect | None" = None
