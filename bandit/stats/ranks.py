"""Whether units of one variant tend to have larger values: ranks, which no outlier moves."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy
from scipy.special import ndtr, ndtri

from bandit.records import Record
from bandit.stats.sequential.checks import Alternative, check_level


class RankEffect(Record, frozen=True, kw_only=True):
    """How often a unit of the treatment beats one of the control.

    Attributes:
        control_n, treatment_n: Units in each.
        superiority: P(treatment > control) + ½·P(equal); ½ when neither is larger.
        ci_low, ci_high: Its interval.
        u: Mann–Whitney's U of the treatment: superiority × control_n × treatment_n.
        statistic: Standardised U.
        p_value: Of equal distributions.
        alpha: 1 − the level of the interval.
        alternative: What the test looks for.
        reason: Why something is missing: `empty_variant`, `no_variance` (all values are equal).
    """

    control_n: int
    treatment_n: int
    superiority: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    u: float | None = None
    statistic: float | None = None
    p_value: float | None = None
    alpha: float
    alternative: Alternative
    reason: Literal["empty_variant", "no_variance"] | None = None


def mann_whitney(
    control: npt.ArrayLike,
    treatment: npt.ArrayLike,
    *,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    continuity: bool = True,
) -> RankEffect:
    """Mann–Whitney's test with an effect size and its interval.

    The p-value uses the normal approximation with the variance under ties. The interval uses the
    placements of each unit among the other variant's (DeLong), on the logit scale; when the two
    samples do not overlap, where that variance is 0, it inverts Hanley and McNeil's.

    Args:
        control: Values of the control's units, `(n_c,)`.
        treatment: Values of the treatment's, `(n_t,)`.
        alpha: 1 − the level of the interval.
        alternative: `greater` looks for a larger treatment.
        continuity: Move U by ½ towards its mean.

    Raises:
        ValueError: A value is not finite.

    Source: Mann, Whitney (1947); DeLong, DeLong, Clarke-Pearson (1988), "Comparing the areas under
    two or more correlated ROC curves"; Newcombe (2006), "Confidence intervals for an effect size
    measure based on the Mann-Whitney statistic", method 5.

    >>> found = mann_whitney([1, 2, 2, 3, 5, 8], [4, 6, 6, 7, 9, 9, 30])
    >>> f"{found.superiority:.3f} [{found.ci_low:.3f}, {found.ci_high:.3f}], U = {found.u}"
    '0.881 [0.510, 0.981], U = 37.0'
    """
    check_level(alpha)
    c, t = (np.sort(np.asarray(values, dtype=float).ravel()) for values in (control, treatment))
    if not (np.isfinite(c).all() and np.isfinite(t).all()):
        raise ValueError("values must be finite")
    known = RankEffect(control_n=c.size, treatment_n=t.size, alpha=alpha, alternative=alternative)
    if not c.size or not t.size:
        return _without(known, "empty_variant")
    placed = _placements(t, c)
    superiority = float(placed.mean())
    pairs = c.size * t.size
    u = round(2.0 * superiority * pairs) / 2.0
    variance = _variance_of_u(np.concatenate([c, t]), pairs)
    if variance == 0.0:
        return _without(known, "no_variance")
    sd = math.sqrt(variance)
    gap, shift = u - pairs / 2.0, 0.5 if continuity else 0.0
    spread = _delong_variance(placed, 1.0 - _placements(c, t))
    z = -float(ndtri(alpha / 2.0))
    low, high = (
        _logit_interval(superiority, spread, z)
        if 0.0 < superiority < 1.0 and spread > 0.0
        else _hanley_mcneil_interval(superiority, c.size, t.size, z)
    )
    return RankEffect(
        control_n=c.size,
        treatment_n=t.size,
        superiority=superiority,
        ci_low=low,
        ci_high=high,
        u=u,
        statistic=gap / sd,
        p_value=_p_value(gap, shift, sd, alternative),
        alpha=alpha,
        alternative=alternative,
    )


def _placements(
    values: npt.NDArray[np.float64], among: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """For each value the share of `among` (sorted) that it beats, ties counting half."""
    below = np.searchsorted(among, values, side="left")
    upto = np.searchsorted(among, values, side="right")
    placed: npt.NDArray[np.float64] = (below + upto) / (2.0 * among.size)
    return placed


def _variance_of_u(rows: npt.NDArray[np.float64], pairs: int) -> float:
    """pairs/12·(N + 1 − Σ(t³ − t)/(N(N − 1))) over groups of t equal values."""
    n = rows.size
    ties = np.unique(rows, return_counts=True)[1].astype(float)
    lost = float((ties**3 - ties).sum()) / (n * (n - 1.0))
    variance = pairs / 12.0 * (n + 1.0 - lost)
    return 0.0 if ties.size == 1 else variance


def _p_value(gap: float, shift: float, sd: float, alternative: Alternative) -> float:
    if alternative == "two-sided":
        return min(2.0 * float(ndtr(-max(abs(gap) - shift, 0.0) / sd)), 1.0)
    facing = gap if alternative == "greater" else -gap
    return float(ndtr(-(facing - shift) / sd))


def _delong_variance(treatment: npt.NDArray[np.float64], control: npt.NDArray[np.float64]) -> float:
    return math.fsum(
        float(side.var(ddof=1)) / side.size for side in (treatment, control) if side.size > 1
    )


def _logit_interval(share: float, variance: float, z: float) -> tuple[float, float]:
    logit = math.log(share / (1.0 - share))
    reach = z * math.sqrt(variance) / (share * (1.0 - share))
    return _expit(logit - reach), _expit(logit + reach)


def _hanley_mcneil_interval(share: float, m: int, n: int, z: float) -> tuple[float, float]:
    half = (m + n) / 2.0 - 1.0

    def excess(at: float) -> float:
        variance = (
            at * (1.0 - at) * (1.0 + half * ((1.0 - at) / (2.0 - at) + at / (1.0 + at))) / (m * n)
        )
        return abs(share - at) - z * math.sqrt(variance)

    # At 0 and 1 the variance is 0, which is no root that counts.
    edge = 1e-9
    middle = min(max(share, edge), 1.0 - edge)
    low = (
        scipy.optimize.brentq(excess, edge, middle) if share > edge and excess(edge) > 0.0 else 0.0
    )
    top = 1.0 - edge
    high = scipy.optimize.brentq(excess, middle, top) if share < top and excess(top) > 0.0 else 1.0
    return float(low), float(high)


def _expit(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0.0 else math.exp(x) / (1.0 + math.exp(x))


def _without(known: RankEffect, reason: Literal["empty_variant", "no_variance"]) -> RankEffect:
    return RankEffect(
        control_n=known.control_n,
        treatment_n=known.treatment_n,
        superiority=0.5 if reason == "no_variance" else None,
        alpha=known.alpha,
        alternative=known.alternative,
        reason=reason,
    )
