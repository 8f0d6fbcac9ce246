"""The tail index of the weights: whether their mean can be trusted at this n."""

import math
from typing import NamedTuple

import numpy as np

from bandit.ope.arrays import Floats, Ints

LEAST_TAIL = 5


def pareto_k(weights: Floats) -> float | None:
    """Shape k of a generalised Pareto distribution fitted to the largest weights.

    Below 0.5 their variance is finite; above 0.7 means and errors can not be trusted. The tail is
    the ⌈min(n ÷ 5, 3√n)⌉ largest weights.

    Returns:
        None where fewer than 5 *different* weights are in the tail: ties have no tail index, and
        the fit would give NaN or nonsense (ε-greedy logs have two or three distinct weights).

    Source: Vehtari et al. (2024), "Pareto smoothed importance sampling", algorithm 1; fit: Zhang &
    Stephens (2009), with the prior of Vehtari et al., appendix C.

    >>> u = (np.arange(2000) + 0.5) / 2000
    >>> round(pareto_k((1 - u) ** -0.5), 2)
    0.5
    """
    tail = _tail(weights)
    return None if tail is None else _fit(tail.above)[0]


def smoothed_weights(weights: Floats) -> Floats:
    """`(n,)` weights whose largest are replaced by the expected order statistics of their tail.

    Less variance for some bias; as they are where there is no tail to fit.

    Source: Vehtari et al. (2024), algorithm 1, steps 3 and 4.

    >>> weights = np.random.default_rng(1).exponential(size=2000)
    >>> weights[7] = 1000.0
    >>> round(smoothed_weights(weights)[7])
    28
    """
    tail = _tail(weights)
    if tail is None:
        return weights
    shape, scale = _fit(tail.above)
    places = np.arange(0.5, len(tail.above)) / len(tail.above)
    # The quantile function of the fit; −log(1 − u) is its limit at k = 0.
    steps = -np.log1p(-places)
    if abs(shape) > 1e-12:
        steps = np.expm1(shape * steps) / shape
    smoothed = weights.copy()
    smoothed[tail.rows] = np.minimum(tail.cutoff + scale * steps * tail.greatest, tail.greatest)
    return smoothed


class _Tail(NamedTuple):
    """The largest weights.

    Attributes:
        rows: Which they are, ascending.
        cutoff: The greatest weight that is none of them.
        greatest: The greatest of all.
        above: How far they are above the cutoff, in units of the greatest.
    """

    rows: Ints
    cutoff: float
    greatest: float
    above: Floats


def _tail(weights: Floats) -> _Tail | None:
    """None where there are no five different ones."""
    n = len(weights)
    length = math.ceil(min(n / 5.0, 3.0 * math.sqrt(n)))
    if n <= length or not weights.any():
        return None
    order = np.argsort(weights, kind="stable")
    cutoff, greatest = float(weights[order[-length - 1]]), float(weights[order[-1]])
    rows = order[weights[order] > cutoff]
    above = (weights[rows] - cutoff) / greatest
    distinct = 1 + int((np.diff(above) > 1e-9 * above[1:]).sum()) if len(above) else 0
    return _Tail(rows, cutoff, greatest, above) if distinct >= LEAST_TAIL else None


def _fit(tail: Floats) -> tuple[float, float]:
    """Zhang & Stephens' posterior mean of k, shrunk towards ½ as by 10 more rows; and the scale."""
    n = len(tail)
    grid = 30 + int(math.sqrt(n))
    quartile = float(tail[int(n / 4 + 0.5) - 1])
    b = 1.0 / tail[-1] + (1.0 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))) / (3.0 * quartile)
    k = np.log1p(-b[:, None] * tail).mean(axis=1)
    log_likelihood = n * (np.log(-b / k) - k - 1.0)
    likely = np.exp(log_likelihood - log_likelihood.max())
    likely[likely < 10.0 * np.finfo(float).eps * likely.sum()] = 0.0
    b_mean = float(b @ likely / likely.sum())
    shape = float(np.log1p(-b_mean * tail).mean())
    return (n * shape + 5.0) / (n + 10.0), -shape / b_mean
