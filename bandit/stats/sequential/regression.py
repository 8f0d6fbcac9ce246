"""Anytime-valid t: a coefficient of a regression, looked at any time, exact for normal errors."""

import math
from typing import Literal

from bandit.records import Record
from bandit.stats.sequential.checks import (
    check_above_zero,
    check_finite,
    check_level,
    check_spread,
)


class AnytimeCoefficient(Record, frozen=True, kw_only=True):
    """A coefficient with an interval that holds at every look.

    Attributes:
        estimate: The coefficient.
        std_error: Its ordinary or robust standard error.
        statistic: estimate / std_error.
        df: n − coefficients.
        p_value: Always valid.
        ci_low, ci_high: None with a reason.
        reason: `too_few_units` (at this size no interval has ends), `no_variance`.
    """

    estimate: float
    std_error: float
    statistic: float | None = None
    df: float
    p_value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    reason: Literal["too_few_units", "no_variance"] | None = None


def log_bayes_factor_t(statistic: float, n: float, df: float, g: float = 1.0) -> float:
    """Log martingale of a t statistic under a g-prior on the coefficient.

    ½·log r + ½(ν + 1)·[log(1 + t²/ν) − log(1 + r·t²/ν)], r = g/(g + n)

    Args:
        statistic: t.
        n: Units.
        df: ν = n − coefficients.
        g: Tuning, above 0: large is tight late, small early. Width is least near
            n ≈ g·(log(1/α²) + log(1 + log(1/α²))).

    Source: Lindon, Ham, Tingley, Bojinov (2022), "Anytime-valid linear models and regression
    adjusted causal inference in randomized experiments" (2210.08589), the t martingale.

    >>> round(log_bayes_factor_t(6.101225801, 380, 375, g=50), 3)
    14.559
    """
    check_above_zero("n", n)
    check_above_zero("df", df)
    check_above_zero("g", g)
    r, square = g / (g + n), statistic * statistic / df
    return 0.5 * math.log(r) + 0.5 * (df + 1.0) * (math.log1p(square) - math.log1p(r * square))


def t_radius(n: float, df: float, alpha: float = 0.05, g: float = 1.0) -> float | None:
    """How many standard errors the interval reaches: √(ν(1 − q)/(q − r)), q = (r·α²)^(1/(ν+1)).

    Returns:
        None when q ≤ r: so few units bound nothing.

    Source: inverts the martingale of Lindon et al. (2210.08589).

    >>> f"{t_radius(50, 48):.9f}"
    '3.322664310'
    """
    check_level(alpha)
    check_above_zero("n", n)
    check_above_zero("df", df)
    check_above_zero("g", g)
    log_r = math.log(g) - math.log(g + n)
    log_q = (log_r + 2.0 * math.log(alpha)) / (df + 1.0)
    if log_q <= log_r:
        return None
    # (1 − q)/(q − r), without the cancellation that large ν brings
    return math.sqrt(df * -math.expm1(log_q) / (-math.expm1(log_r) + math.expm1(log_q)))


def z_radius(n: float, alpha: float = 0.05, g: float = 1.0) -> float:
    """The same for a known variance: √((log(1/r) − 2·log α)/(1 − r)).

    >>> f"{z_radius(50):.9f}"
    '3.181470726'
    """
    check_level(alpha)
    check_above_zero("n", n)
    check_above_zero("g", g)
    r = g / (g + n)
    return math.sqrt((-math.log(r) - 2.0 * math.log(alpha)) / (1.0 - r))


def anytime_coefficient(
    estimate: float,
    std_error: float,
    n: float,
    coefficients: int,
    *,
    alpha: float = 0.05,
    g: float = 1.0,
    earlier_p_value: float = 1.0,
) -> AnytimeCoefficient:
    """A regression's coefficient (the treatment's, adjusted for covariates) at any look.

    With robust standard errors it holds asymptotically.

    Args:
        estimate: The coefficient.
        std_error: Its standard error.
        n: Units in the regression.
        coefficients: All that were fitted, the intercept too.
        alpha: 1 − the level.
        g: Tuning; the same at every look.
        earlier_p_value: The p-value of the look before; p-values never rise.

    Source: Lindon et al. (2210.08589).

    >>> found = anytime_coefficient(0.984761479556842, 0.16140387384908178, 380, 5, g=50)
    >>> f"{found.estimate:.3f} [{found.ci_low:.3f}, {found.ci_high:.3f}], p = {found.p_value:.1e}"
    '0.985 [0.492, 1.477], p = 4.8e-07'
    """
    check_level(alpha)
    check_finite("estimate", estimate)
    check_spread("std_error", std_error)
    df = n - coefficients
    if df <= 0.0 or std_error == 0.0:
        reason: Literal["too_few_units", "no_variance"] = (
            "too_few_units" if df <= 0.0 else "no_variance"
        )
        return AnytimeCoefficient(estimate=estimate, std_error=std_error, df=df, reason=reason)
    statistic = estimate / std_error
    factor = log_bayes_factor_t(statistic, n, df, g)
    radius = t_radius(n, df, alpha, g)
    return AnytimeCoefficient(
        estimate=estimate,
        std_error=std_error,
        statistic=statistic,
        df=df,
        p_value=min(earlier_p_value, math.exp(-max(factor, 0.0))),
        ci_low=None if radius is None else estimate - radius * std_error,
        ci_high=None if radius is None else estimate + radius * std_error,
        reason="too_few_units" if radius is None else None,
    )
