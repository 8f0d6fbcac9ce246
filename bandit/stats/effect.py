"""The result of every comparison of two variants: one flat record."""

from typing import Literal

from bandit.records import Record

Reason = Literal[
    "empty_variant",
    "one_unit",
    "no_variance",
    "control_is_zero",
    "control_near_zero",
]
"""Why a number is missing.

* `empty_variant`: a variant has no units, so there is nothing to compare.
* `one_unit`: a variant has one unit, so its spread is unknown.
* `no_variance`: every unit of both variants has one and the same number.
* `control_is_zero`: nothing can be said relative to a control of 0.
* `control_near_zero`: the control's interval holds 0, so the relative interval has no bounds.
"""


class Effect(Record, frozen=True, kw_only=True):
    """Treatment − control of one metric, absolute and relative, from one pair of estimates.

    A number that can not be given is None, and a reason says why; never 0, 1 or NaN.

    Attributes:
        control, treatment: The variants' means.
        control_n, treatment_n: Units in each.
        effect: treatment − control.
        effect_ci_low, effect_ci_high: Its 1 − alpha interval.
        relative_effect: (treatment − control) / control.
        relative_ci_low, relative_ci_high: Its interval by Fieller, from the same pair: it leaves
            out 0 exactly when the absolute one does.
        std_error: Of `effect`.
        statistic: effect / std_error.
        df: Degrees of freedom of the statistic.
        p_value: Of effect = 0 against `alternative`; holds on both scales.
        method: The test's name.
        alpha: 1 − the level of the intervals.
        alternative: What the test looks for.
        reason: Why there is no effect or no interval; None if there are both.
        relative_reason: The same for the relative scale.
        warnings: Codes of what the reader should know.
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
    alternative: Literal["two-sided"] = "two-sided"
    reason: Reason | None = None
    relative_reason: Reason | None = None
    warnings: tuple[str, ...] = ()
