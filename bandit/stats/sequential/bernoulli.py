"""Exact confidence sequences of a share and of a quantile: nothing asymptotic, any look."""

import math
from collections.abc import Callable, Sequence

import scipy
from scipy.special import betaln, expit, logit, xlog1py, xlogy, zeta

from bandit.stats.sequential.boundary import optimal_rho
from bandit.stats.sequential.checks import check_above_zero, check_level

_EDGE = 1e-12


def log_beta_binomial(k: float, n: float, share: float, precision: float) -> float:
    """Log martingale of k successes in n against `share`, mixed over a Beta with that mean.

    log B(a + k, b + n − k) − log B(a, b) − k·log p − (n − k)·log(1 − p), a = r/(1−p), b = r/p

    Args:
        k: Successes.
        n: Trials.
        share: p, the share under test, in (0, 1).
        precision: r, above 0.

    Source: Howard, Ramdas, McAuliffe, Sekhon (2021), "Time-uniform, nonparametric, nonasymptotic
    confidence sequences", beta-binomial mixture.

    >>> round(log_beta_binomial(30, 100, 0.5, 10.0), 4)
    5.2066
    """
    a, b = precision / (1.0 - share), precision / share
    mixed = float(betaln(a + k, b + n - k)) - float(betaln(a, b))
    return mixed - float(xlogy(k, share)) - float(xlog1py(n - k, -share))


def bernoulli_sequence(
    successes: float, n: float, *, alpha: float = 0.05, tuned_for: float = 1000.0
) -> tuple[float, float]:
    """Every share that n trials with so many successes do not reject, at any n.

    Args:
        successes: 0 to n.
        n: Trials.
        alpha: Chance that the sequence ever leaves out the truth.
        tuned_for: Trials at which it is tightest.

    Source: Howard et al. (2021), beta-binomial mixture, inverted in the share.

    >>> low, high = bernoulli_sequence(30, 100, tuned_for=200)
    >>> f"[{low:.5f}, {high:.5f}]"
    '[0.17298, 0.45010]'
    """
    check_level(alpha)
    check_above_zero("tuned_for", tuned_for)
    if not 0 <= successes <= n:
        raise ValueError(f"successes are {successes!r} of {n!r}, must be 0 to n")
    if n == 0:
        return 0.0, 1.0
    target, seen = -math.log(alpha), successes / n

    def excess(share: float) -> float:
        precision = _precision(share, alpha, tuned_for)
        return log_beta_binomial(successes, n, share, precision) - target

    top, middle = 1.0 - _EDGE, min(max(seen, _EDGE), 1.0 - _EDGE)
    low = _root(excess, _EDGE, middle) if seen > _EDGE and excess(_EDGE) > 0.0 else 0.0
    high = _root(excess, middle, top) if seen < top and excess(top) > 0.0 else 1.0
    return low, high


def quantile_sequence(
    ordered: Sequence[float], level: float, *, alpha: float = 0.05, tuned_for: float = 1000.0
) -> tuple[float | None, float | None]:
    """Interval of one quantile that holds at every look, for any distribution.

    q is the level-quantile only if the count of values at most q is a Binomial(n, level): the
    interval holds the values whose counts the beta-binomial martingale does not reject.

    Args:
        ordered: The values so far, rising.
        level: Which quantile, in (0, 1).
        alpha: Chance that the sequence ever leaves out the truth.
        tuned_for: Values at which it is tightest.

    Returns:
        Two of the values; None for an end that so few values do not have.

    Source: Howard, Ramdas (2022), "Sequential estimation of quantiles with applications to A/B
    testing and best-arm identification" (1906.09712), section on one fixed quantile.

    >>> quantile_sequence([float(x) for x in range(1, 1001)], 0.5)
    (453.0, 548.0)
    >>> quantile_sequence([1.0, 2.0, 3.0], 0.5)
    (None, None)
    """
    check_level(alpha)
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level!r}, must be in (0, 1)")
    n, target = len(ordered), -math.log(alpha)
    precision = _precision(level, alpha, tuned_for)

    def rejected(count: int) -> bool:
        return log_beta_binomial(count, n, level, precision) >= target

    middle = math.floor(n * level)
    few = _nearest(lambda k: rejected(middle - k), middle)
    many = _nearest(lambda k: rejected(middle + 1 + k), n - middle - 1)
    low = None if few is None else ordered[middle - few]
    high = None if many is None else ordered[middle + many]
    return low, high


def quantile_count_bound(
    level: float,
    n: float,
    alpha: float,
    tuned_for: float,
    *,
    delta: float = 0.5,
    s: float = 1.4,
    eta: float = 2.0,
) -> float:
    """How far the count below a quantile strays, for all quantiles and all times at once.

    Divide by n for the margin on `level`.

    Args:
        level: Which quantile, in (0, 1).
        n: Values.
        alpha: Chance that any quantile ever strays further.
        tuned_for: Values from which the bound holds with its own shape.
        delta: Spacing of the grid of quantiles, in logits.
        s: How fast the error is spent over epochs, above 1.
        eta: Ratio of the epochs' ends, above 1.

    Source: Howard, Ramdas (2022), 1906.09712, double stitching (theorem on all quantiles).

    >>> f"{quantile_count_bound(0.5, 1000, 0.05, 100):.6f}"
    '68.628029'
    """
    check_level(alpha)
    at = max(n, tuned_for)
    reach = 2.0 * delta * math.sqrt(tuned_for * eta / at)
    nearest = level if level >= 0.5 else min(0.5, float(expit(float(logit(level)) + reach)))
    variance = nearest * (1.0 - nearest)
    grid = math.sqrt(at / tuned_for) * abs(float(logit(level))) / (2.0 * delta) + 1.0
    z = float(zeta(s))
    ell = s * (math.log(math.log(eta * at / tuned_for)) + math.log(grid) - math.log(math.log(eta)))
    ell += math.log(2.0 * z * (2.0 * z + 1.0) / alpha)
    k1, k2 = (eta**0.25 + eta**-0.25) / math.sqrt(2.0), (math.sqrt(eta) + 1.0) / 2.0
    skew = k2 * (1.0 - 2.0 * level) / 3.0 * ell
    between = delta * math.sqrt(eta * at * variance / tuned_for)
    return between + math.sqrt(k1 * k1 * variance * at * ell + skew * skew) + skew


def _precision(share: float, alpha: float, tuned_for: float) -> float:
    variance = share * (1.0 - share)
    return max(optimal_rho(variance * tuned_for, alpha) - variance, 1e-3 * variance)


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    return float(scipy.optimize.brentq(f, low, high, xtol=1e-14, rtol=1e-12))


def _nearest(rejected: Callable[[int], bool], reach: int) -> int | None:
    """The nearest of 0 … reach that is rejected, where all further ones are too."""
    if reach < 0 or not rejected(reach):
        return None
    low, high = -1, reach
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if rejected(middle) else (middle, high)
    return high
