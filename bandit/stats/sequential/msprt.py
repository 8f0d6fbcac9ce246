"""Mixture sequential probability ratio test of one effect."""

import math

from bandit.stats.sequential.checks import check_above_zero, check_finite, check_level


def log_likelihood_ratio(effect: float, std_error: float, tau: float) -> float:
    """Log Λ of effects N(0, τ²) against none.

    Λ = √(se²/(se² + τ²))·exp(effect²·τ² / (2·se²·(se² + τ²))). With n pairs, se² = (σ_c² + σ_t²)/n
    gives the published form.

    Args:
        effect: Estimated effect.
        std_error: Its standard error, above 0.
        tau: Deviation of the effects one expects to find, above 0; fixed before the first look.

    Source: Johari, Koomen, Pekelis, Walsh (2017), "Peeking at A/B tests", the
    normal mixture; Zhao et al. (1905.10493).

    >>> math.exp(log_likelihood_ratio(0.6, 0.2, 0.5))
    17.97...
    """
    check_finite("effect", effect)
    check_above_zero("std_error", std_error)
    check_above_zero("tau", tau)
    inflation = (tau / std_error) ** 2
    gain = (effect / std_error) ** 2 * inflation / (2.0 * (1.0 + inflation))
    return gain - 0.5 * math.log1p(inflation)


def msprt_p_value(
    effect: float, std_error: float, tau: float, *, earlier_p_value: float = 1.0
) -> float:
    """Always-valid p-value: the least 1/Λ so far.

    Source: Johari et al. (2017), always-valid p-values.

    >>> f"{msprt_p_value(0.6, 0.2, 0.5):.4f}"
    '0.0556'
    """
    return min(earlier_p_value, math.exp(-max(log_likelihood_ratio(effect, std_error, tau), 0.0)))


def msprt_interval(
    effect: float, std_error: float, tau: float, alpha: float = 0.05
) -> tuple[float, float]:
    """Every effect that the test at `alpha` does not reject now.

    effect ± se·√((1 + se²/τ²)·(2·log(1/α) + log(1 + τ²/se²)))

    Source: inverts the test of Johari et al. (2017).

    >>> low, high = msprt_interval(0.6, 0.2, 0.5)
    >>> f"[{low:.4f}, {high:.4f}]"
    '[-0.0082, 1.2082]'
    """
    check_level(alpha)
    check_finite("effect", effect)
    check_above_zero("std_error", std_error)
    check_above_zero("tau", tau)
    inflation = (tau / std_error) ** 2
    log = math.log1p(inflation) - 2.0 * math.log(alpha)
    reach = std_error * math.sqrt((1.0 + 1.0 / inflation) * log)
    return effect - reach, effect + reach
