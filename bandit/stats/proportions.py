"""Shares of successes: intervals that hold for small counts, for counts of 0 too."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import scipy
from scipy.special import betaincinv, chdtrc, ndtri, xlogy

from bandit.stats.sequential.checks import check_level


class Share(NamedTuple):
    """Successes among n units."""

    successes: int
    n: int

    @property
    def rate(self) -> float:
        """Successes / n."""
        return self.successes / self.n


Interval = tuple[float, float]


def share_interval(
    share: Share,
    *,
    alpha: float = 0.05,
    kind: Literal["wilson", "clopper_pearson", "jeffreys", "agresti_coull", "wald"] = "wilson",
) -> Interval:
    """Interval of one share.

    * wilson: inverts the score test; near its level on average.
    * clopper_pearson: inverts the binomial test; never below its level.
    * jeffreys: quantiles of Beta(k + ½, n − k + ½).
    * agresti_coull: Wald's after adding z²/2 successes and failures.
    * wald: k/n ∓ z·√(p(1 − p)/n), cut at 0 and 1: for comparison with others, since it has no
      width at 0 and n successes and covers too little near them.

    Args:
        share: Successes and units, n at least 1.
        alpha: 1 − the level.
        kind: Which.

    Source: Wilson (1927); Clopper, Pearson (1934); Brown, Cai, DasGupta (2001), "Interval
    estimation for a binomial proportion".

    >>> [f"{end:.4f}" for end in share_interval(Share(0, 25))]
    ['0.0000', '0.1332']
    """
    check_share(share)
    check_level(alpha)
    k, n = share
    if kind == "clopper_pearson":
        return (
            float(betaincinv(k, n - k + 1, alpha / 2)) if k > 0 else 0.0,
            float(betaincinv(k + 1, n - k, 1 - alpha / 2)) if k < n else 1.0,
        )
    if kind == "jeffreys":
        ends = (float(betaincinv(k + 0.5, n - k + 0.5, q)) for q in (alpha / 2, 1 - alpha / 2))
        return next(ends), next(ends)
    z = critical(alpha)
    if kind == "wald":
        reach = z * math.sqrt(share.rate * (1.0 - share.rate) / n)
        return max(share.rate - reach, 0.0), min(share.rate + reach, 1.0)
    centre = (k + z * z / 2.0) / (n + z * z)
    if kind == "wilson":
        reach = z * math.sqrt(k * (n - k) / n + z * z / 4.0) / (n + z * z)
    else:
        reach = z * math.sqrt(centre * (1.0 - centre) / (n + z * z))
    return (
        0.0 if k == 0 and kind == "wilson" else max(centre - reach, 0.0),
        1.0 if k == n and kind == "wilson" else min(centre + reach, 1.0),
    )


def difference_interval(
    control: Share,
    treatment: Share,
    *,
    alpha: float = 0.05,
    kind: Literal["newcombe", "score", "agresti_caffo", "wald"] = "newcombe",
) -> Interval:
    """Interval of treatment − control.

    * newcombe: the two Wilson intervals squared and added; simple, near its level everywhere.
    * score: inverts the score test, variance under the tested difference; the reference for
      small counts.
    * agresti_caffo: Wald's after adding a success and a failure to each; cut at −1 and 1.
    * wald: difference ∓ z·√Σp(1 − p)/n, cut, too: for many successes and failures only.

    Args:
        control: Successes and units.
        treatment: The same.
        alpha: 1 − the level.
        kind: Which.

    Source: Newcombe (1998), "Interval estimation for the difference between independent
    proportions", method 10; Mee (1984), with the cubic of Miettinen, Nurminen (1985), "Comparative
    analysis of two rates", without their N/(N − 1); Agresti, Caffo (2000).

    >>> low, high = difference_interval(Share(4, 30), Share(0, 25))
    >>> f"[{low:.4f}, {high:.4f}]"
    '[-0.2968, 0.0222]'
    """
    check_share(control)
    check_share(treatment)
    check_level(alpha)
    difference = treatment.rate - control.rate
    if kind == "newcombe":
        (l_c, u_c), (l_t, u_t) = (share_interval(s, alpha=alpha) for s in (control, treatment))
        return (
            difference - math.hypot(treatment.rate - l_t, u_c - control.rate),
            difference + math.hypot(u_t - treatment.rate, control.rate - l_c),
        )
    if kind in ("agresti_caffo", "wald"):
        extra = 1 if kind == "agresti_caffo" else 0
        more = [Share(s.successes + extra, s.n + 2 * extra) for s in (control, treatment)]
        centre = more[1].rate - more[0].rate
        reach = critical(alpha) * math.sqrt(sum(s.rate * (1.0 - s.rate) / s.n for s in more))
        return max(centre - reach, -1.0), min(centre + reach, 1.0)
    return invert(
        lambda at: _score_difference(control, treatment, at), difference, -1.0, 1.0, critical(alpha)
    )


def contingency_p_value(
    control: Share,
    treatment: Share,
    *,
    statistic: Literal["pearson", "log_likelihood"] = "pearson",
    continuity: bool = False,
) -> float:
    """p-value of equal shares from the 2 × 2 table, by chi-square with 1 df.

    pearson: Σ(o − e)²/e; log_likelihood: 2Σ o·log(o/e). With `continuity` every count moves by ½
    towards what is expected, or all the way if it is nearer (Yates).

    Args:
        control: Successes and units.
        treatment: The same.
        statistic: Which.
        continuity: Yates' correction; conservative, `small_counts` is better.

    Source: Pearson (1900); Wilks (1938), "The large-sample distribution of the likelihood ratio";
    Yates (1934).

    >>> f"{contingency_p_value(Share(105, 400), Share(100, 380), statistic='log_likelihood'):.9f}"
    '0.983353603'
    """
    check_share(control)
    check_share(treatment)
    n = control.n + treatment.n
    together = (control.successes + treatment.successes) / n
    total = 0.0
    for share in (control, treatment):
        parts = ((share.successes, together), (share.n - share.successes, 1.0 - together))
        for count, chance in parts:
            expected = share.n * chance
            gap = count - expected
            if continuity:
                gap = math.copysign(max(abs(gap) - 0.5, 0.0), gap)
            if expected > 0.0 and statistic == "pearson":
                total += gap * gap / expected
            elif expected > 0.0:
                total += 2.0 * float(xlogy(expected + gap, 1.0 + gap / expected))
    return float(chdtrc(1, max(total, 0.0)))


def score_statistic(
    control: Share,
    treatment: Share,
    at: float,
    scale: Literal["absolute", "relative"] = "absolute",
) -> float:
    """Score statistic of the effect being `at`: infinite where no chance leads from it to the data.

    Args:
        control: Successes and units.
        treatment: The same.
        at: treatment − control, or that ÷ control.
        scale: Which of the two.

    Source: Farrington, Manning (1990), "Test statistics and sample size formulae for comparative
    binomial trials with null hypothesis of non-zero risk difference or non-unity relative risk".

    >>> f"{score_statistic(Share(80, 1000), Share(78, 1000), -0.03):.4f}"
    '2.2936'
    """
    check_share(control)
    check_share(treatment)
    if scale == "absolute":
        return _score_difference(control, treatment, at)
    if not at > -1.0:
        raise ValueError(f"relative effect is {at!r}, must be above -1")
    return score_of_ratio(control, treatment, 1.0 + at)


def check_share(share: Share) -> None:
    """Refuse counts that no sample has."""
    if not 0 <= share.successes <= share.n or share.n < 1:
        raise ValueError(f"share is {tuple(share)}, must have 0 to n successes, n at least 1")


def invert(
    score: Callable[[float], float], middle: float, low: float, high: float, z: float
) -> Interval:
    """Where a falling score is z below and −z above the middle."""
    edge = 1e-12 * (high - low)

    def root(target: float, left: float, right: float) -> float:
        return float(
            scipy.optimize.brentq(
                lambda at: score(at) - target, left, right, xtol=1e-13, rtol=1e-13
            )
        )

    bottom, top = low + edge, high - edge
    middle = min(max(middle, bottom), top)
    return (
        root(z, bottom, middle) if score(bottom) > z and score(middle) < z else low,
        root(-z, middle, top) if score(top) < -z and score(middle) > -z else high,
    )


def _score_difference(control: Share, treatment: Share, at: float) -> float:
    """Score statistic of the difference being `at`."""
    (x0, n0), (x1, n1) = control, treatment
    n, x = n0 + n1, x0 + x1
    l2 = ((n1 + 2 * n0) * at - n - x) / (3.0 * n)
    l1 = ((n0 * at - n - 2 * x0) * at + x) / n
    l0 = x0 * at * (1.0 - at) / n
    q = l2**3 - l1 * l2 / 2.0 + l0 / 2.0
    p = math.copysign(math.sqrt(max(l2 * l2 - l1 / 3.0, 0.0)), q)
    angle = 0.0 if p == 0.0 else min(max(q / p**3, -1.0), 1.0)
    r0 = 2.0 * p * math.cos((math.pi + math.acos(angle)) / 3.0) - l2
    r0 = min(max(r0, max(0.0, -at)), min(1.0, 1.0 - at))
    r1 = min(max(r0 + at, 0.0), 1.0)
    variance = r1 * (1.0 - r1) / n1 + r0 * (1.0 - r0) / n0
    return standardised(treatment.rate - control.rate - at, variance)


def score_of_ratio(control: Share, treatment: Share, at: float) -> float:
    """Score statistic of treatment / control being `at`."""
    (x0, n0), (x1, n1) = control, treatment
    a, b, c = (n0 + n1) * at, -(n1 * at + x1 + n0 + x0 * at), float(x0 + x1)
    # The smaller root, written so that it keeps its digits.
    r0 = 2.0 * c / (-b + math.sqrt(max(b * b - 4.0 * a * c, 0.0)))
    r1 = min(at * r0, 1.0)
    variance = r1 * (1.0 - r1) / n1 + at * at * r0 * (1.0 - r0) / n0
    return standardised(treatment.rate - at * control.rate, variance)


def standardised(gap: float, variance: float) -> float:
    """Gap in deviations; infinite where there is none."""
    if variance <= 0.0:
        return 0.0 if gap == 0.0 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def critical(alpha: float) -> float:
    """Quantile of the normal distribution beyond which lies alpha on both sides together."""
    return -float(ndtri(alpha / 2.0))
