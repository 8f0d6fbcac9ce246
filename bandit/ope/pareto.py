"""The tail index of the weights: whether their mean can be trusted at this n."""

import math

import numpy as np

from bandit.ope.arrays import Floats

LEAST_TAIL = 5


def pareto_k(weights: Floats) -> float | None:
    """Shape k of a generalised Pareto distribution fitted to the largest weights.

    Below 0.5 their variance is finite; above 0.7 means and errors can not be trusted. The tail is
    the min(n ÷ 5, 3√n) largest weights.

    Returns:
        None where fewer than 5 *different* weights are in the tail: ties have no tail index, and
        the fit would give NaN or nonsense (ε-greedy logs have two or three distinct weights).

    Source: Vehtari et al. (2024), "Pareto smoothed importance sampling", algorithm 1; fit: Zhang &
    Stephens (2009), with the prior of Vehtari et al., appendix C.

    >>> u = (np.arange(2000) + 0.5) / 2000
    >>> round(pareto_k((1 - u) ** -0.5), 2)
    0.5
    """
    n = len(weights)
    length = math.ceil(min(n / 5.0, 3.0 * math.sqrt(n)))
    if n <= length or not weights.any():
        return None
    ordered = np.sort(weights)
    cutoff = float(ordered[-length - 1])
    tail = (ordered[ordered > cutoff] - cutoff) / float(ordered[-1])
    distinct = 1 + int((np.diff(tail) > 1e-9 * tail[1:]).sum()) if len(tail) else 0
    return _shape(tail) if distinct >= LEAST_TAIL else None


def _shape(tail: Floats) -> float:
    """Zhang & Stephens' posterior mean of k, shrunk towards ½ as by 10 more observations."""
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
    return (n * shape + 5.0) / (n + 10.0)
