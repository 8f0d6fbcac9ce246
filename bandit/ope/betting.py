"""A confidence sequence of bounded contributions by betting: hedged capital."""

import math
from collections.abc import Sequence

import numpy as np

from bandit.errors import NotEnoughData
from bandit.ope.arrays import Floats, check_alpha
from bandit.ope.interval import Interval

CANDIDATES = 1000
"""Means that are tried; the interval is as coarse as their distance."""
MOST_BET = 0.5
"""The largest share of its capital that a bet may lose."""


def anytime_betting(
    values: Floats,
    span: tuple[float, float],
    *,
    alpha: float = 0.05,
    looks: Sequence[int] | None = None,
) -> list[Interval]:
    """Means that a gambler who bets against them has not grown rich of; oldest value first.

    Capitals Π(1 ± λ_t(m)·(x_t − m)) of two gamblers, one who bets that the mean is above m and one
    that it is below; m is out once half of either is 1 ÷ alpha. Bets are predictable plug-ins,
    λ_t = √(2·log(2 ÷ alpha) ÷ (σ̂²_{t−1}·t·log(1 + t))), of which at most half of the capital can
    be lost. Needs a *known* bound on the values: for w·r the weights' (`contribution_span`).

    Args:
        values: `(n,)` contributions, oldest first.
        span: The least and greatest value possible.
        alpha: 1 − the level.
        looks: After how many values to look; None for once, at the end.

    Returns:
        One interval per look.

    Source: Waudby-Smith & Ramdas (2024), "Estimating means of bounded random variables by
    betting", theorem 3 and eq. 26 (hedged capital process, predictable plug-in bets).
    """
    check_alpha(alpha)
    if not len(values):
        raise NotEnoughData("the log", 0, 1)
    low, high = span
    if not low < high:
        raise ValueError(f"span is {span}, must be two numbers, the lower first")
    if not (low <= float(values.min()) and float(values.max()) <= high):
        raise ValueError(f"values are in [{values.min()}, {values.max()}], span is {span}")
    wrong = [n for n in looks or () if not 1 <= n <= len(values)]
    if wrong:
        raise ValueError(f"a look is after {wrong[0]} values, must be after 1 … {len(values)}")
    x = (values - low) / (high - low)
    bets = _bets(x, alpha)
    wanted = {n: place for place, n in enumerate([len(x)] if looks is None else looks)}
    found: dict[int, Interval] = {}
    means = np.linspace(0.0, 1.0, CANDIDATES + 1)
    most_up, most_down = (
        MOST_BET / np.maximum(means, 1e-12),
        MOST_BET / np.maximum(1 - means, 1e-12),
    )
    up, down = np.zeros_like(means), np.zeros_like(means)
    limit = -math.log(alpha / 2.0)
    for t, (value, bet) in enumerate(zip(x.tolist(), bets.tolist(), strict=True), 1):
        gap = value - means
        up += np.log1p(np.minimum(bet, most_up) * gap)
        down += np.log1p(-np.minimum(bet, most_down) * gap)
        if t in wanted:
            held = np.flatnonzero(np.maximum(up, down) < limit)
            first, last = (held[0], held[-1]) if len(held) else (0, CANDIDATES)
            found[t] = Interval(
                low=low + (high - low) * max(0.0, float(means[first]) - 1.0 / CANDIDATES),
                high=low + (high - low) * min(1.0, float(means[last]) + 1.0 / CANDIDATES),
                alpha=alpha,
                method="anytime_betting",
                anytime=True,
            )
    return [found[n] for n in wanted]


def _bets(x: Floats, alpha: float) -> Floats:
    """`(n,)` λ from the values before each."""
    t = np.arange(1, len(x) + 1)
    mean = (0.5 + np.cumsum(x)) / (t + 1)
    spread = (0.25 + np.cumsum((x - mean) ** 2)) / (t + 1)
    before = np.concatenate([[0.25], spread[:-1]])
    bets: Floats = np.sqrt(2.0 * math.log(2.0 / alpha) / (before * t * np.log1p(t)))
    return bets
