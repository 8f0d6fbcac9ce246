"""Means of bounded values: intervals that hold at every look and for every distribution."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy

from bandit.stats.sequential.checks import check_level

Floats = npt.NDArray[np.float64]
Bounds = tuple[Floats, Floats]

_BET_CAP = 0.5


def bounded_sequence(
    values: npt.ArrayLike,
    *,
    alpha: float = 0.05,
    kind: Literal["empirical_bernstein", "hoeffding"] = "empirical_bernstein",
    low: float = 0.0,
    high: float = 1.0,
    running: bool = False,
) -> Bounds:
    """Interval of the mean after each value, from predictable mixtures.

    Σλx/Σλ ∓ (log(2/α) + Σ v·ψ(λ))/Σλ, where λ_t uses only the values before t:
    * empirical_bernstein: v = (x − mean before)², ψ = −log(1 − λ) − λ; narrow when values are;
    * hoeffding: v = 1, ψ = λ²/8.

    Args:
        values: In order of arrival, `(n,)`, each in [low, high].
        alpha: Chance that any interval of the sequence leaves out the mean.
        kind: Which.
        low: Least value possible.
        high: Largest value possible.
        running: Intersect each interval with those before it; valid too, and never wider.

    Returns:
        Lower and upper ends, each `(n,)`, within [low, high] only when `running`.

    Raises:
        ValueError: A value is outside [low, high], or there is none.

    Source: Waudby-Smith, Ramdas (2024), "Estimating means of bounded random variables by betting"
    (2010.09686), proposition 1 (Hoeffding) and theorem 2 (empirical Bernstein).

    >>> x = np.resize([0.2, 0.9, 0.4, 0.5], 400)
    >>> lows, highs = bounded_sequence(x)
    >>> f"[{lows[-1]:.3f}, {highs[-1]:.3f}]"
    '[0.455, 0.545]'
    """
    x = _scaled(values, alpha, low, high)
    side = _empirical_bernstein if kind == "empirical_bernstein" else _hoeffding
    lower, upper = side(x, alpha / 2.0), 1.0 - side(1.0 - x, alpha / 2.0)
    if running:
        lower = np.maximum.accumulate(np.maximum(lower, 0.0))
        upper = np.minimum.accumulate(np.minimum(upper, 1.0))
    width = high - low
    return low + width * lower, low + width * upper


def betting_interval(
    values: npt.ArrayLike, *, alpha: float = 0.05, low: float = 0.0, high: float = 1.0
) -> tuple[float, float]:
    """Interval of the mean after all of `values`, by hedged betting; the narrowest of the three.

    A mean m is left out once betting that the values lie above it, or below it, has multiplied
    the stake by 2/α: Π(1 ± λ(x − m)), λ predictable and at most ½/m (½/(1 − m)). May be asked
    after any value.

    Args:
        values: In order of arrival, `(n,)`, each in [low, high].
        alpha: Chance that the interval ever leaves out the mean.
        low: Least value possible.
        high: Largest value possible.

    Source: Waudby-Smith, Ramdas (2024), 2010.09686, theorem 3 (hedged capital, θ = ½, c = ½).

    >>> lower, upper = betting_interval(np.resize([0.2, 0.9, 0.4, 0.5], 400))
    >>> f"[{lower:.3f}, {upper:.3f}]"
    '[0.461, 0.542]'
    """
    x = _scaled(values, alpha, low, high)
    bets = _bets(x, alpha / 2.0)
    lower, upper = _least_unrejected(x, bets, alpha), 1.0 - _least_unrejected(1.0 - x, bets, alpha)
    return low + (high - low) * lower, low + (high - low) * upper


def _least_unrejected(x: Floats, bets: Floats, alpha: float) -> float:
    """The least m whose bet upwards has not multiplied its stake by 2/α; wealth falls with m."""
    target = math.log(2.0 / alpha)

    def excess(m: float) -> float:
        return float(np.log1p(np.minimum(bets, _BET_CAP / m) * (x - m)).sum()) - target

    edge = 1e-9
    if excess(edge) <= 0.0:
        return 0.0
    top = 1.0 - edge
    return float(scipy.optimize.brentq(excess, edge, top, xtol=1e-12)) if excess(top) < 0.0 else 1.0


def _scaled(values: npt.ArrayLike, alpha: float, low: float, high: float) -> Floats:
    check_level(alpha)
    x = np.asarray(values, dtype=float)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"bounds are {low!r} and {high!r}, must be finite and rise")
    if x.ndim != 1 or x.size == 0:
        raise ValueError(f"values have shape {x.shape}, must be (n,) with n at least 1")
    if not np.all((x >= low) & (x <= high)):
        raise ValueError(f"values must lie in [{low}, {high}]")
    return (x - low) / (high - low)


def _bets(x: Floats, alpha: float) -> Floats:
    """λ_t = √(2·log(1/α)/(σ̂²_{t−1}·t·log(1 + t))), the variance from a first guess of ¼."""
    t = np.arange(1.0, x.size + 1.0)
    mean = (0.5 + np.cumsum(x)) / (t + 1.0)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (t + 1.0)
    before = np.concatenate(([0.25], variance[:-1]))
    bets: Floats = np.sqrt(-2.0 * math.log(alpha) / (t * np.log1p(t) * before))
    return bets


def _empirical_bernstein(x: Floats, alpha: float) -> Floats:
    bets = np.minimum(_bets(x, alpha), _BET_CAP)
    means = np.cumsum(x) / np.arange(1.0, x.size + 1.0)
    before = np.concatenate(([0.0], means[:-1]))
    spread = np.cumsum((x - before) ** 2 * (-np.log1p(-bets) - bets))
    total = np.cumsum(bets)
    lower: Floats = (np.cumsum(bets * x) - spread + math.log(alpha)) / total
    return lower


def _hoeffding(x: Floats, alpha: float) -> Floats:
    t = np.arange(1.0, x.size + 1.0)
    bets = np.minimum(np.sqrt(-8.0 * math.log(alpha) / (t * np.log1p(t))), 1.0)
    total = np.cumsum(bets)
    lower: Floats = (np.cumsum(bets * x) - np.cumsum(bets**2 / 8.0) + math.log(alpha)) / total
    return lower
