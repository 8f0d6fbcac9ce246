"""Shares compared by their ratio and by their odds."""

import math
from collections.abc import Callable
from typing import Literal

from bandit.stats.proportions import (
    Interval,
    Share,
    check_share,
    critical,
    invert,
    score_of_ratio,
    standardised,
)
from bandit.stats.sequential.checks import check_level


def ratio_interval(
    control: Share,
    treatment: Share,
    *,
    alpha: float = 0.05,
    kind: Literal["score", "log", "log_adjusted"] = "score",
) -> tuple[float, float | None]:
    """Interval of treatment / control; less 1 it is the relative effect's.

    * score: inverts the score test; the reference for small counts.
    * log: log ratio ∓ z·√Σ(1/k − 1/n) (Katz).
    * log_adjusted: the same after adding ½ to every count of successes and of units.

    Args:
        control: Successes and units.
        treatment: The same.
        alpha: 1 − the level.
        kind: Which.

    Returns:
        The ends; None for no upper end, where the control has no success. `log` says nothing,
        (0, None), unless both have one.

    Source: Koopman (1984), "Confidence intervals for the ratio of two binomial proportions"; Katz,
    Baptista, Azen, Pike (1978), method C; Walter (1975), "The distribution of Levin's measure of
    attributable risk".

    >>> low, high = ratio_interval(Share(105, 400), Share(100, 380))
    >>> f"[{low:.4f}, {high:.4f}]"
    '[0.7925, 1.2675]'
    """
    if kind == "score":
        return _multiplicative(control, treatment, alpha, score_of_ratio, _rate_ratio)
    check_share(control)
    check_share(treatment)
    more = 0.5 if kind == "log_adjusted" else 0.0
    counts = [(s.successes + more, s.n + more) for s in (control, treatment)]
    if min(k for k, _ in counts) <= 0.0:
        return 0.0, None
    (k_c, n_c), (k_t, n_t) = counts
    error = math.sqrt(sum(1.0 / k - 1.0 / n for k, n in counts))
    return _around(math.log(k_t / n_t) - math.log(k_c / n_c), error, alpha)


def odds_ratio_interval(
    control: Share,
    treatment: Share,
    *,
    alpha: float = 0.05,
    kind: Literal["score", "logit", "logit_adjusted"] = "score",
) -> tuple[float, float | None]:
    """Interval of the odds ratio.

    * score: inverts the score test.
    * logit: log odds ratio ∓ z·√Σ1/count over the table's four counts (Woolf).
    * logit_adjusted: the same after adding ½ to each of the four (Gart).

    Args:
        control: Successes and units.
        treatment: The same.
        alpha: 1 − the level.
        kind: Which.

    Returns:
        The ends; None for no upper end. `logit` says nothing, (0, None), if a count is 0.

    Source: Cornfield (1956); Miettinen, Nurminen (1985), without their N/(N − 1); Woolf (1955), "On
    estimating the relation between blood group and disease"; Gart (1966).

    >>> low, high = odds_ratio_interval(Share(105, 400), Share(100, 380))
    >>> f"[{low:.4f}, {high:.4f}]"
    '[0.7298, 1.3796]'
    """
    if kind == "score":
        return _multiplicative(control, treatment, alpha, _score_odds, _odds_ratio)
    check_share(control)
    check_share(treatment)
    more = 0.5 if kind == "logit_adjusted" else 0.0
    table = [(s.successes + more, s.n - s.successes + more) for s in (control, treatment)]
    if min(min(row) for row in table) <= 0.0:
        return 0.0, None
    (won_c, lost_c), (won_t, lost_t) = table
    error = math.sqrt(sum(1.0 / count for row in table for count in row))
    return _around(math.log(won_t / lost_t) - math.log(won_c / lost_c), error, alpha)


def _multiplicative(
    control: Share,
    treatment: Share,
    alpha: float,
    score: Callable[[Share, Share, float], float],
    estimate: Callable[[Share, Share], float],
) -> tuple[float, float | None]:
    """A ratio's interval: searched on the log scale, open where the data do not bound it."""
    check_share(control)
    check_share(treatment)
    check_level(alpha)
    if control.successes == treatment.successes == 0:
        return 0.0, None
    if (
        control.successes == control.n
        and treatment.successes == treatment.n
        and (estimate is _odds_ratio)
    ):
        return 0.0, None
    seen, far = estimate(control, treatment), 40.0
    middle = min(max(math.log(seen) if seen > 0.0 else -far, -far), far)
    low, high = invert(
        lambda at: score(control, treatment, math.exp(at)), middle, -far, far, critical(alpha)
    )
    return (
        0.0 if low <= -far else math.exp(low),
        None if high >= far else math.exp(high),
    )


def _around(log: float, error: float, alpha: float) -> Interval:
    """Ends of a ratio whose logarithm is as good as normal."""
    check_level(alpha)
    reach = critical(alpha) * error
    return math.exp(log - reach), math.exp(log + reach)


def _score_odds(control: Share, treatment: Share, at: float) -> float:
    """Score statistic of the odds ratio being `at`."""
    (x0, n0), (x1, n1) = control, treatment
    n, x = n0 + n1, x0 + x1
    # Successes and failures each by themselves: 1 - r would lose what is nearly nothing.
    won, lost = _likeliest(x, n0, n1, at), _likeliest(n - x, n0, n1, 1.0 / at)
    both = lost + won * at
    r1, rest = won * at / both, lost / both
    gap = n1 * (treatment.rate - r1)
    return standardised(gap, 1.0 / (1.0 / (n0 * won * lost) + 1.0 / (n1 * r1 * rest)))


def _likeliest(x: int, n0: int, n1: int, at: float) -> float:
    """The control's share that is likeliest with odds ratio `at` and x in all: n0·r0 + n1·r1 = x.

    The root of a quadratic, written so that it keeps its digits on either side.
    """
    a, b = n0 * (at - 1.0), n1 * at + n0 - x * (at - 1.0)
    root = math.sqrt(max(b * b + 4.0 * a * x, 0.0))
    return 2.0 * x / (b + root) if b > 0.0 else (root - b) / (2.0 * a)


def _rate_ratio(control: Share, treatment: Share) -> float:
    return treatment.rate / control.rate if control.successes else math.inf


def _odds_ratio(control: Share, treatment: Share) -> float:
    losses = control.successes * (treatment.n - treatment.successes)
    wins = treatment.successes * (control.n - control.successes)
    return wins / losses if losses else math.inf
