"""Quantiles of a metric from three of its order statistics."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from bandit.errors import RecordError
from bandit.records import Record
from bandit.stats.effect import Reason
from bandit.stats.joint import JointMoments, Matrix, to_matrix
from bandit.stats.linear import Estimator, Linear, Part

SPREAD = float(ndtri(0.975))
"""How many standard errors the two outer order statistics are away from the quantile's rank."""


class OrderStatistics(Record, frozen=True, kw_only=True):
    """A sample quantile with two neighbours that tell how sure it is.

    Attributes:
        n: Values in the sample.
        quantile: Which one, ν in (0, 1).
        value: The least value with at least ν of the sample at or below it.
        lower, upper: The same at ν ∓ z·√(ν(1 − ν)/n_near).
        n_near: The size that `lower` and `upper` are spread for; n, or a round number below it
            where one query serves several sizes.

    >>> OrderStatistics.of([float(x) for x in range(1, 101)], 0.5)
    OrderStatistics(n=100, quantile=0.5, value=50.0, lower=41.0, upper=60.0, n_near=100)
    """

    n: int
    quantile: float
    value: float
    lower: float
    upper: float
    n_near: int

    def __post_init__(self) -> None:
        ordered = self.lower <= self.value <= self.upper
        if not 0.0 < self.quantile < 1.0 or not ordered or not 0 < self.n_near <= self.n:
            raise RecordError(
                f"order statistics are {self.lower!r} ≤ {self.value!r} ≤ {self.upper!r} at "
                f"{self.quantile!r}, n_near = {self.n_near} of {self.n}, must be in order, with "
                "0 < quantile < 1 and 0 < n_near ≤ n"
            )

    @classmethod
    def of(cls, values: Sequence[float], quantile: float) -> "OrderStatistics":
        """The three order statistics of a sample (inverted distribution function)."""
        if not values:
            raise RecordError("order statistics of no values, must be at least one")
        rows = sorted(values)
        low, high = ranks(len(rows), quantile)
        return cls(
            n=len(rows),
            quantile=quantile,
            value=at(rows, quantile),
            lower=at(rows, low),
            upper=at(rows, high),
            n_near=len(rows),
        )


def ranks(n: int, quantile: float) -> tuple[float, float]:
    """Shares ν ∓ z·√(ν(1 − ν)/n) at which to ask a database for `lower` and `upper`."""
    step = SPREAD * math.sqrt(quantile * (1.0 - quantile) / n)
    return max(quantile - step, 0.0), min(quantile + step, 1.0)


def at(rows: Sequence[float], share: float) -> float:
    """Least of the sorted rows with at least `share` of them at or below it."""
    # The slack is for shares like 0.1 + 0.2, whose product with n is a hair above the integer.
    place = math.ceil(share * len(rows) - 1e-9 * max(1.0, share * len(rows)))
    return rows[min(max(place, 1), len(rows)) - 1]


def quantile_of(
    sample: OrderStatistics, *, below: JointMoments | None = None, covariates: Sequence[int] = ()
) -> Linear:
    """A variant's quantile with its variance from the distance of its neighbours.

    σ² = ((upper − lower)/(2z))²·(n − 1)·n_near/n per value: no density is estimated and no row
    is read twice. For values nested in randomised units (events of users) it is multiplied by
    what the nesting does to the share at or below the quantile. Covariates enter through that
    share, whose movement, times −1/density, is the quantile's (Bahadur).

    Args:
        sample: The order statistics, of all values.
        below: Moments over *units* of (how many of its values are at or below the quantile, how
            many it has, covariates …); left out where each unit has one value and no covariate.
        covariates: Columns of `below` for `adjust`.

    Raises:
        RecordError: Covariates without `below`.

    Source: Deng, Knoblich, Lu (2018), "Applying the delta method in metric analytics", sec. 4;
    Yao, Li, Lu (2401.14549), eq. 5; Bahadur (1966), "A note on quantiles in large samples", eq. 1.

    >>> from bandit.stats.linear import estimate_of
    >>> fast = OrderStatistics.of([100.0 + x for x in range(400)], 0.9)
    >>> slow = OrderStatistics.of([110.0 + x for x in range(400)], 0.9)
    >>> e = estimate_of(quantile_of(fast), quantile_of(slow))
    >>> e.effect, round(e.std_error, 2)
    (10.0, 8.29)
    """
    if covariates and below is None:
        raise RecordError("a quantile's covariates are columns of `below`, which must be given")
    n = sample.n
    units = n if below is None else below.n
    reason: Reason | None = None
    covariance: Matrix | None = None
    means: tuple[float, ...] = ()
    if n < 2 or units < 2:
        reason = "one_unit"
    else:
        # Of the value itself; a Linear's covariance is per unit.
        spread = ((sample.upper - sample.lower) / (2.0 * SPREAD)) ** 2
        variance = spread * ((n - 1) / n) * (sample.n_near / n)
        covariance = ((variance * units,),)
        if below is not None:
            covariance, means = _through_share(below, sample, variance, covariates)
    return Linear(
        n=units,
        value=sample.value,
        covariates=means,
        covariance=covariance,
        df=float(units - 1),
        kind="quantile",
        reason=reason,
    )


def _through_share(
    below: JointMoments, sample: OrderStatistics, variance: float, covariates: Sequence[int]
) -> tuple[Matrix, tuple[float, ...]]:
    """Per-unit covariance of (quantile, covariates), and the covariates' means."""
    share = Estimator(
        kind="quantile",
        metric=Part(column=0, over=1),
        covariates=tuple(Part(column=j) for j in covariates),
    ).linear(below)
    if share.covariance is None:
        raise RecordError(f"below holds no values ({share.reason}), must hold all {sample.n}")
    table = np.array(share.covariance)
    nu = sample.quantile
    # variance·n/(ν(1 − ν)) is 1/density².
    inverse_density = math.sqrt(variance * sample.n / (nu * (1.0 - nu)))
    table[0, :] *= -inverse_density
    table[:, 0] *= -inverse_density
    return to_matrix(table), share.covariates


def pooled_cap(samples: Sequence[Sequence[float]], share: float) -> float:
    """One cap for every variant: the `share` quantile of all units together.

    One cap and not one per variant, or the treatment would move its own cap; frozen once
    chosen, so that a report of yesterday can be made again.

    Raises:
        RecordError: There are no values, or `share` is not in (0, 1].

    Source: Dixon, Tukey (1968), "Approximate behavior of the distribution of winsorized t".

    >>> pooled_cap([[1.0, 2.0, 3.0], [4.0, 900.0]], 0.8)
    4.0
    """
    rows = sorted(value for sample in samples for value in sample)
    if not rows or not 0.0 < share <= 1.0:
        raise RecordError(f"cap at {share!r} of {len(rows)} values, must be in (0, 1] of some")
    return at(rows, share)


def winsorised(values: Sequence[float], cap: float) -> list[float]:
    """Values with those above `cap` lowered to it."""
    return [min(value, cap) for value in values]
