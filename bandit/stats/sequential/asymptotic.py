"""Asymptotic confidence sequences: intervals that hold at every look together.

Any estimate with a standard error gets one: means, ratios, CUPED, AIPW. Everything here is a
multiple of that standard error, so the absolute and the relative interval share one multiple.
"""

import math

from bandit.stats.sequential.boundary import optimal_rho
from bandit.stats.sequential.checks import Alternative, check_above_zero, check_level

TUNED_FOR = 5000.0
"""Units of both variants together at which a sequence is tightest unless the experiment says."""

_MOST_SPENT = 0.5
"""What a one-sided sequence is tuned for at most: towards 1 the tuning has no size any more."""


def mixture_precision(
    tuned_for: float, alpha: float, *, alternative: Alternative = "two-sided", exact: bool = True
) -> float:
    """ρ² of the sequence whose interval is tightest at `tuned_for` units.

    ρ² = (−W₋₁(−α²/e) − 1)/N*, or (−2·log α + log(1 − 2·log α))/N* when not `exact`; a one-sided
    sequence puts 2α for α, at most ½. Any tuning holds its level; this one is narrow.

    Args:
        tuned_for: N*, units of both variants together, above 0.
        alpha: 1 − the level.
        alternative: A one-sided sequence spends all of alpha on one side.
        exact: The optimum itself; False is what GrowthBook and Eppo compute.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024), "Time-uniform central limit theory
    and asymptotic confidence sequences" (arXiv 2103.06476), appendix on
    optimising the mixture at one time.

    >>> f"{mixture_precision(5000, 0.05):.9f} {mixture_precision(5000, 0.05, exact=False):.9f}"
    '0.001642394 0.001587231'
    """
    spent = _spent_tuning(alpha, alternative)
    check_above_zero("tuned_for", tuned_for)
    return 1.0 / optimal_rho(tuned_for, spent, exact=exact)


def critical_value(
    n: float, alpha: float, precision: float, *, alternative: Alternative = "two-sided"
) -> float:
    """How many standard errors the interval reaches on each side at size `n`.

    two-sided: √(2(1 + 1/(nρ²))·log(√(nρ² + 1)/α))
    one-sided: √(2(1 + 1/(nρ²))·log(1 + √(nρ² + 1)/(2α)))

    At N* it is 1.54 times the fixed-horizon 1.96, at N*/5 1.72 times, at 10 N* 1.65 times.

    Args:
        n: Units of both variants together, above 0.
        alpha: 1 − the level.
        precision: ρ² of `mixture_precision`; must not change between looks.
        alternative: Two-sided or one-sided.

    Source: Waudby-Smith et al. (2103.06476), eq. 9 and 134.

    >>> rho2 = mixture_precision(5000, 0.05, exact=False)
    >>> f"{critical_value(1000, 0.05, rho2) / 1000**0.5:.9f}"
    '0.106375470'
    """
    check_level(alpha)
    check_above_zero("n", n)
    check_above_zero("precision", precision)
    x = n * precision
    half_log = 0.5 * math.log1p(x)
    if alternative == "two-sided":
        log = half_log - math.log(alpha)
    else:
        log = _log1pexp(half_log - math.log(2.0 * alpha))
    return math.sqrt(2.0 * (1.0 + 1.0 / x) * log)


def always_valid_p_value(
    statistic: float, n: float, precision: float, *, alternative: Alternative = "two-sided"
) -> float:
    """The p-value that may be read at any time: the smallest alpha whose interval leaves out 0.

    two-sided: min(1, √(nρ² + 1)·exp(−z²·nρ²/(2(nρ² + 1)))). The running p-value of an experiment
    is the least of those so far.

    Args:
        statistic: z = effect / standard error.
        n: Units of both variants together.
        precision: ρ², the same at every look.
        alternative: `greater` looks for z > 0, `less` for z < 0.

    Source: inverts eq. 9 and 134 of Waudby-Smith et al. (2103.06476); Johari, Pekelis, Walsh
    (1512.04922).

    >>> f"{always_valid_p_value(3.5, 5000, mixture_precision(5000, 0.05)):.4f}"
    '0.0129'
    """
    check_above_zero("n", n)
    check_above_zero("precision", precision)
    x = n * precision
    half_log, power = 0.5 * math.log1p(x), statistic**2 * x / (2.0 * (x + 1.0))
    if alternative == "two-sided":
        return math.exp(min(0.0, half_log - power))
    if (statistic > 0.0) != (alternative == "greater") or power == 0.0:
        return 1.0
    # log(eᵖ − 1), without eᵖ
    log_expm1 = power + math.log(-math.expm1(-power))
    return math.exp(min(0.0, half_log - math.log(2.0) - log_expm1))


def _spent_tuning(alpha: float, alternative: Alternative) -> float:
    check_level(alpha)
    return alpha if alternative == "two-sided" else min(2.0 * alpha, _MOST_SPENT)


def _log1pexp(x: float) -> float:
    return x + math.log1p(math.exp(-x)) if x > 0.0 else math.log1p(math.exp(x))
