"""Curves that a random walk crosses at any time with probability at most alpha."""

import math

import scipy
from scipy.special import lambertw, log_ndtr, zeta

from bandit.stats.sequential.checks import check_above_zero, check_level


def optimal_rho(v_opt: float, alpha: float, *, exact: bool = False) -> float:
    """The mixture's precision ρ whose boundary is tightest at variance `v_opt`.

    approximate: ρ = v / (2·log(1/α) + log(1 + 2·log(1/α)))
    exact:       ρ = v / (−W₋₁(−α²/e) − 1)

    Args:
        v_opt: Variance (of the sum) at which the boundary should be tightest, above 0.
        alpha: Its error rate; a one-sided boundary is tuned with 2·alpha.
        exact: Solve the optimum instead of using its closed approximation, which costs less
            than 0.01 % of width and is what GrowthBook, Eppo and confseq use.

    Source: Howard, Ramdas, McAuliffe, Sekhon (2021), "Time-uniform, nonparametric,
    nonasymptotic confidence sequences", section 3.2, where the mixture is tuned.

    >>> f"{optimal_rho(1000, 0.05):.4f} {optimal_rho(1000, 0.05, exact=True):.4f}"
    '126.0056 121.7735'
    """
    check_above_zero("v_opt", v_opt)
    check_level(alpha)
    squared = -2.0 * math.log(alpha)
    if not exact:
        return v_opt / (squared + math.log1p(squared))
    if squared > 700.0:  # α² underflows; −W₋₁(−e^(−1−x)) − 1 = x + log(1 + x + log(1 + …))
        gap = squared
        for _ in range(50):
            gap = squared + math.log1p(gap)
        return v_opt / gap
    return v_opt / float(-lambertw(-math.exp(-1.0 - squared), -1).real - 1.0)


def log_normal_mixture(s: float, v: float, rho: float, *, one_sided: bool = False) -> float:
    """Log of the martingale that mixes exp(λs − λ²v/2) over λ ~ N(0, 1/ρ), or its upper half.

    two-sided: ½·log(ρ/(v + ρ)) + s²/(2(v + ρ)); one-sided adds log 2 + log Φ(s/√(v + ρ)).

    Source: Howard et al. (2021), section 3.2 (normal mixtures); Robbins (1970), "Statistical
    methods related to the law of the iterated logarithm".

    >>> round(log_normal_mixture(80.0, 1000.0, optimal_rho(500, 0.05)), 9)
    1.597503244
    """
    log = 0.5 * math.log(rho / (v + rho)) + s * s / (2.0 * (v + rho))
    if one_sided:
        log += math.log(2.0) + float(log_ndtr(s / math.sqrt(v + rho)))
    return log


def normal_mixture_bound(v: float, alpha: float, rho: float, *, one_sided: bool = False) -> float:
    """Where the normal mixture reaches 1/α: the boundary of the sum at variance `v`.

    two-sided: √((v + ρ)·log((v + ρ)/(ρα²))); one-sided has no closed form and is solved.

    Source: Howard et al. (2021), section 3.2 (normal mixtures).

    >>> f"{normal_mixture_bound(50.0, 0.05, optimal_rho(1000, 0.05)):.6f}"
    '33.366909'
    """
    check_level(alpha)
    two_sided = math.sqrt((v + rho) * (math.log1p(v / rho) - 2.0 * math.log(alpha)))
    if not one_sided:
        return two_sided
    # The one-sided martingale is between once and twice the two-sided one for s ≥ 0.
    target = -math.log(alpha)
    return float(
        scipy.optimize.brentq(
            lambda s: log_normal_mixture(s, v, rho, one_sided=True) - target,
            0.0,
            two_sided + 1e-9,
            xtol=1e-12,
            rtol=1e-14,
        )
        if log_normal_mixture(0.0, v, rho, one_sided=True) < target
        else 0.0
    )


def stitched_bound(
    v: float, alpha: float, v_min: float, *, c: float = 0.0, s: float = 1.4, eta: float = 2.0
) -> float:
    """Polynomial stitching: the boundary that grows like √(v·log log v).

    ℓ = s·log log(ηv/m) + log(ζ(s)/(α·logˢη));  √(k₁²vℓ + (k₂cℓ)²) + k₂cℓ

    Args:
        v: Variance of the sum.
        alpha: Probability of ever crossing.
        v_min: m, the variance from which it holds with its own shape, above 0.
        c: Scale of the sub-gamma tail; 0 for sub-Gaussian.
        s: How fast the error is spent over epochs, above 1.
        eta: Ratio of the epochs' ends, above 1.

    Source: Howard et al. (2021), theorem 1 (polynomial stitching).

    >>> f"{stitched_bound(400.0, 0.05, v_min=10.0):.6f}"
    '74.372511'
    """
    check_level(alpha)
    check_above_zero("v_min", v_min)
    at = max(v, v_min)
    root = eta**0.25
    k1, k2 = (root + 1.0 / root) / math.sqrt(2.0), (math.sqrt(eta) + 1.0) / 2.0
    spent = math.log(float(zeta(s))) - s * math.log(math.log(eta)) - math.log(alpha)
    ell = s * math.log(math.log(eta * at / v_min)) + spent
    tail = k2 * c * ell
    return math.sqrt(k1 * k1 * at * ell + tail * tail) + tail


def iterated_logarithm_margin(n: float, alpha: float) -> float:
    """Margin of a mean of `n` values with unit variance: 1.7·√((log log 2n + 0.72·log(10.4/α))/n).

    Source: Howard et al. (2021), section 1 (the sub-Gaussian example).

    >>> f"{iterated_logarithm_margin(100, 0.05):.9f}"
    '0.399062705'
    """
    check_level(alpha)
    return 1.7 * math.sqrt((math.log(math.log(2.0 * n)) + 0.72 * math.log(10.4 / alpha)) / n)
