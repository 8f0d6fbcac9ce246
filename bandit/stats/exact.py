"""Two shares in counts so small that a normal approximation misleads."""

from typing import Literal

import numpy as np
import scipy

from bandit.records import Record
from bandit.stats.proportions import Share, check_share, difference_interval
from bandit.stats.sequential.checks import Alternative, check_level
from bandit.stats.share_ratios import ratio_interval

LARGEST = 600
"""Units of both variants together up to which the unconditional tests are computed."""


class SmallCounts(Record, frozen=True, kw_only=True):
    """Treatment − control of two shares, by methods that small counts do not break.

    Attributes:
        control, treatment: The shares.
        effect: treatment − control.
        effect_ci_low, effect_ci_high: Newcombe's hybrid-score interval.
        relative_effect: (treatment − control) / control.
        relative_ci_low, relative_ci_high: Koopman's score interval of the ratio, less 1; the upper
            end is None where the control has no success.
        p_value: Of equal shares, by `method`.
        method: The exact test.
        alpha: 1 − the level of the intervals.
        alternative: What the test looks for.
        relative_reason: Why something relative is missing.
    """

    control: float
    treatment: float
    effect: float
    effect_ci_low: float
    effect_ci_high: float
    relative_effect: float | None
    relative_ci_low: float | None
    relative_ci_high: float | None
    p_value: float
    method: Literal["fisher", "barnard", "boschloo"]
    alpha: float
    alternative: Alternative
    relative_reason: Literal["control_is_zero"] | None = None


def small_counts(
    control: Share,
    treatment: Share,
    *,
    method: Literal["fisher", "barnard", "boschloo"] = "barnard",
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
) -> SmallCounts:
    """Compare two shares exactly.

    Fisher's test conditions on all successes together, which costs power in small samples;
    Barnard's and Boschloo's take the worst common share instead, never exceed alpha either, and
    find more. The intervals are two-sided.

    Args:
        control: Successes and units.
        treatment: The same.
        method: The exact test; above `LARGEST` units only Fisher's.
        alpha: 1 − the level of the intervals.
        alternative: `greater` looks for treatment > control.

    Raises:
        ValueError: A share is impossible, or too large for `method`.

    Source: Fisher (1935); Barnard (1945); Boschloo (1970); Newcombe (1998), method 10;
    Koopman (1984).

    >>> found = small_counts(Share(2, 15), Share(9, 15))
    >>> f"{found.effect:+.2f} [{found.effect_ci_low:+.2f}, {found.effect_ci_high:+.2f}]"
    '+0.47 [+0.12, +0.69]'
    >>> fisher = small_counts(Share(2, 15), Share(9, 15), method="fisher")
    >>> f"Barnard p = {found.p_value:.4f}, Fisher p = {fisher.p_value:.4f}"
    'Barnard p = 0.0091, Fisher p = 0.0209'
    """
    check_share(control)
    check_share(treatment)
    check_level(alpha)
    if method != "fisher" and control.n + treatment.n > LARGEST:
        raise ValueError(f"{method} has {control.n + treatment.n} units, must be at most {LARGEST}")
    low, high = difference_interval(control, treatment, alpha=alpha)
    ratio_low, ratio_high = ratio_interval(control, treatment, alpha=alpha)
    none_in_control = control.successes == 0
    return SmallCounts(
        control=control.rate,
        treatment=treatment.rate,
        effect=treatment.rate - control.rate,
        effect_ci_low=low,
        effect_ci_high=high,
        relative_effect=None if none_in_control else treatment.rate / control.rate - 1.0,
        relative_ci_low=ratio_low - 1.0,
        relative_ci_high=None if ratio_high is None else ratio_high - 1.0,
        p_value=exact_p_value(control, treatment, method, alternative),
        method=method,
        alpha=alpha,
        alternative=alternative,
        relative_reason="control_is_zero" if none_in_control else None,
    )


def exact_p_value(
    control: Share,
    treatment: Share,
    method: Literal["fisher", "barnard", "boschloo"],
    alternative: Alternative = "two-sided",
) -> float:
    """p-value of equal shares, from scipy's tables of one column per variant."""
    together = control.successes + treatment.successes
    if together in (0, control.n + treatment.n):
        return 1.0  # one outcome only: every table of these shares is as extreme
    table = np.array([[s.successes, s.n - s.successes] for s in (treatment, control)]).T
    if method == "fisher":
        return float(scipy.stats.fisher_exact(table, alternative=alternative).pvalue)
    if method == "barnard":
        return min(float(scipy.stats.barnard_exact(table, alternative=alternative).pvalue), 1.0)
    return min(float(scipy.stats.boschloo_exact(table, alternative=alternative).pvalue), 1.0)
