"""Choosing how much to clip or shrink, from the log itself.

Not used by default: measured, SLOPE made matters worse as often as better (`ope` README).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from bandit.errors import NotEnoughData
from bandit.ope.base import Estimator
from bandit.ope.batch import LoggedBatch


@dataclass(frozen=True)
class Tuned:
    """The estimator chosen, its value, and every candidate's score (less is better).

    Attributes:
        estimator: The choice.
        value: Its estimate.
        scores: Estimated mean squared error, or reach of the interval, in the candidates' order.
    """

    estimator: Estimator
    value: float
    scores: tuple[float, ...]


def tune(
    candidates: Sequence[Estimator],
    batch: LoggedBatch,
    *,
    unbiased: Estimator,
    method: Literal["slope", "mse"] = "slope",
    delta: float = 0.05,
    bias_bound: bool = True,
) -> Tuned:
    """The candidate that SLOPE, or the estimated mean squared error, chooses.

    Args:
        candidates: One estimator at several settings.
        batch: The log.
        unbiased: The same estimator unshrunken (`Ips()`, `Dr()`).
        method: `slope` keeps going to narrower intervals while they all overlap; `mse` takes the
            least var ÷ n + bias².
        delta: 1 − the level of SLOPE's intervals and of the bias bound.
        bias_bound: Whether `mse` takes the bias' upper bound instead of its estimate.

    Source: Su, Srinath, Krishnamurthy (2020), "Adaptive estimator selection for off-policy
    evaluation", algorithm 1; Tucker & Lee (2021), SLOPE++; mean squared error: Su et al. (2020),
    "Doubly robust off-policy evaluation with shrinkage", section 5.
    """
    if method not in ("slope", "mse") or not candidates:
        raise ValueError(
            f"method is {method!r} with {len(candidates)} candidates, must be slope or mse, of one "
            "at least"
        )
    if batch.n < 2:
        raise NotEnoughData("the log", batch.n, 2)
    terms = [candidate.terms(batch) for candidate in candidates]
    values = [term.value for term in terms]
    if method == "slope":
        quantile = float(stdtrit(batch.n - 1.0, 1.0 - delta))
        scores = [quantile * _spread(term.contributions) for term in terms]
        best = _slope(values, scores)
    else:
        truth = unbiased.terms(batch).value
        scores = []
        for term, value in zip(terms, values, strict=True):
            bias = abs(truth - value)
            if bias_bound:
                bias += weight_slack(batch, delta)
            scores.append(float(term.contributions.var()) / batch.n + bias**2)
        best = min(range(len(scores)), key=scores.__getitem__)
    return Tuned(candidates[best], values[best], tuple(scores))


def weight_slack(batch: LoggedBatch, delta: float = 0.05) -> float:
    """√(2·mean(w²)·log(2 ÷ δ) ÷ n) + 2·max(w)·log(2 ÷ δ) ÷ 3n: how far an estimated bias is off.

    Source: Su et al. (2020), page 17, by Bernstein's inequality.
    """
    weights, log = batch.weights, math.log(2.0 / delta)
    squares = float(np.mean(weights**2))
    return math.sqrt(2.0 * squares * log / batch.n) + 2.0 * float(weights.max()) * log / (
        3.0 * batch.n
    )


def _spread(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    return math.sqrt(float(values.var(ddof=1)) / len(values))


def _slope(values: Sequence[float], reaches: Sequence[float]) -> int:
    """Index of the narrowest interval that meets all wider ones."""
    by_reach = [int(i) for i in np.argsort(reaches, kind="stable")[::-1]]
    best = by_reach[0]
    for place, i in enumerate(by_reach[1:], start=1):
        kept = by_reach[:place]
        if any(
            abs(values[j] - values[i]) > reaches[i] + (math.sqrt(6.0) - 1.0) * reaches[j]
            for j in kept
        ):
            break
        best = i
    return best
