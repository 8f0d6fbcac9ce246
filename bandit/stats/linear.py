"""One variant's metric as a sum over its units: what covariates, strata and tests share."""

import math
from collections.abc import Sequence

import numpy as np

from bandit.errors import RecordError
from bandit.records import Record
from bandit.stats.effect import Reason
from bandit.stats.estimate import Estimate
from bandit.stats.joint import JointMoments, Matrix, to_matrix


class Linear(Record, frozen=True, kw_only=True):
    """A metric of one variant and its covariates, each linear in the units (to first order).

    value − truth ≈ (1/n)·Σ ψ(unit): a mean is, a ratio is by the delta method, a quantile by its
    density. So the covariance of the ψ with those of the covariates is all that CUPED and
    post-stratification need, whatever the metric is.

    Attributes:
        n: Randomised units.
        value: The metric; None if it has none.
        covariates: The covariates' own values, (d,).
        covariance: Per unit, of (metric, covariates), (1 + d, 1 + d); None if n is too small.
        df: Degrees of freedom of that covariance.
        kind: The estimator's name.
        reason: Why `value` or `covariance` is None.
    """

    n: int
    value: float | None
    covariates: tuple[float, ...] = ()
    covariance: Matrix | None
    df: float
    kind: str = "mean"
    reason: Reason | None = None

    @property
    def estimate_variance(self) -> float:
        """Variance of `value`. Raises RecordError when there is none."""
        if self.covariance is None:
            raise RecordError(f"{self.kind} has no covariance ({self.reason}), must have one")
        return self.covariance[0][0] / self.n


class Part(Record, frozen=True, kw_only=True):
    """A mean of one column, or the ratio of two columns' means.

    Attributes:
        column: The column (the numerator).
        over: The denominator's column; None for a mean.
    """

    column: int
    over: int | None = None

    def value(self, means: Sequence[float]) -> float | None:
        """The part's value; None for a ratio over 0."""
        if self.over is None:
            return means[self.column]
        return means[self.column] / means[self.over] if means[self.over] != 0.0 else None

    def gradient(self, means: Sequence[float]) -> list[float]:
        """Its derivative by each column's mean, (d,).

        Of a ratio m/d: 1/d by m and −m/d² by d.

        Source: Deng, Knoblich, Lu (2018), "Applying the delta method in metric analytics", eq. 3.
        """
        slope = [0.0] * len(means)
        if self.over is None:
            slope[self.column] = 1.0
        else:
            slope[self.column] += 1.0 / means[self.over]
            slope[self.over] -= means[self.column] / means[self.over] / means[self.over]
        return slope


class Estimator(Record, frozen=True, kw_only=True):
    """Which columns of joint moments are the metric, and which its covariates.

    Build it with `mean_of`, `proportion_of`, `ratio_of` or `clustered_of`.

    Attributes:
        kind: Its name.
        metric: The metric.
        covariates: Known before the exposure, so that the treatment can not have moved them.
        ddof: Variances are over n − ddof.
    """

    kind: str
    metric: Part
    covariates: tuple[Part, ...] = ()
    ddof: int = 1

    def linear(self, moments: JointMoments) -> Linear:
        """The metric and covariates of one variant, with their covariance per unit."""
        parts = (self.metric, *self.covariates)
        df = float(moments.n - 1)
        if moments.n == 0:
            return Linear(
                n=0, value=None, covariance=None, df=df, kind=self.kind, reason="empty_variant"
            )
        values = [part.value(moments.means) for part in parts]
        known = [value for value in values if value is not None and math.isfinite(value)]
        if len(known) < len(values):
            return Linear(
                n=moments.n,
                value=values[0],
                covariance=None,
                df=df,
                kind=self.kind,
                reason="denominator_is_zero",
            )
        covariance: Matrix | None = None
        reason: Reason | None = None
        if moments.n < 2:
            reason = "one_unit"
        else:
            jacobian = np.array([part.gradient(moments.means) for part in parts])
            covariance = to_matrix(jacobian @ moments.covariance(self.ddof) @ jacobian.T)
            # Rounding of a ratio's three terms may leave −1e-18.
            if covariance[0][0] < 0.0:
                covariance = ((0.0, *covariance[0][1:]), *covariance[1:])
        return Linear(
            n=moments.n,
            value=known[0],
            covariates=tuple(known[1:]),
            covariance=covariance,
            df=df,
            kind=self.kind,
            reason=reason,
        )

    def estimate(self, *variants: JointMoments) -> Estimate:
        """Estimates of the variants, the control first, without any covariate."""
        return estimate_of(*(self.linear(moments) for moments in variants))


def mean_of(column: int = 0, *, covariates: Sequence[int] = ()) -> Estimator:
    """Mean per unit of a column.

    >>> control = JointMoments.of_columns([1.0, 0.0, 2.0, 1.0])
    >>> treatment = JointMoments.of_columns([3.0, 2.0, 2.0, 3.0])
    >>> e = mean_of(0).estimate(control, treatment)
    >>> e.values, round(e.std_error, 4)
    ((1.0, 2.5), 0.5)
    """
    parts = tuple(Part(column=j) for j in covariates)
    return Estimator(kind="mean", metric=Part(column=column), covariates=parts)


def proportion_of(column: int = 0, *, covariates: Sequence[int] = ()) -> Estimator:
    """Share of units with a 1 in a column of zeros and ones: variance p(1 − p), so over n.

    >>> e = proportion_of().estimate(JointMoments.of_count(105, 400),
    ...                              JointMoments.of_count(100, 380))
    >>> [round(p, 4) for p in e.values], round(e.std_error, 4)
    ([0.2625, 0.2632], 0.0315)
    """
    parts = tuple(Part(column=j) for j in covariates)
    return Estimator(kind="proportion", metric=Part(column=column), covariates=parts, ddof=0)


def ratio_of(
    numerator: int = 0,
    denominator: int = 1,
    *,
    covariates: Sequence[tuple[int, int] | int] = (),
) -> Estimator:
    """Sum of one column over the sum of another, per variant, by the delta method.

    v = (v_m + r²·v_d − 2r·cov)/d̄², r = m̄/d̄: the unit of randomisation stays the unit of the
    variance, however many numerators it brings.

    Args:
        numerator: Its column.
        denominator: Its column.
        covariates: Ratios (two columns) or means (one column).

    Source: Deng, Knoblich, Lu (2018), "Applying the delta method in metric analytics", eq. 3.

    >>> rows = JointMoments.of_columns([1.0, 0.0, 3.0], [4.0, 1.0, 5.0])
    >>> e = ratio_of().estimate(rows, rows)
    >>> [round(r, 12) for r in e.values]
    [0.4, 0.4]
    """
    parts = tuple(
        Part(column=c) if isinstance(c, int) else Part(column=c[0], over=c[1]) for c in covariates
    )
    return Estimator(
        kind="ratio", metric=Part(column=numerator, over=denominator), covariates=parts
    )


def clustered_of(
    total: int = 0,
    size: int = 1,
    *,
    covariates: Sequence[tuple[int, int] | int] = (),
    corrected: bool = True,
) -> Estimator:
    """Mean over units nested in the randomised cluster; rows of the moments are *clusters*.

    A variant's mean is Σ total / Σ size, a ratio over clusters, so its variance is the ratio's:
    Σ(total_g − mean·size_g)² / (Σ size)². A ratio of two nested metrics is `ratio_of` over the
    clusters' sums.

    Args:
        total: Column of the clusters' sums.
        size: Column of the clusters' units.
        covariates: Covariates' sums over sizes, or means per cluster.
        corrected: Times G/(G − 1) per variant; else the plain sandwich (CR0).

    Source: Liang, Zeger (1986), "Longitudinal data analysis using generalized linear models",
    eq. 8; Deng, Knoblich, Lu (2018), sec. 3.2.
    """
    ratio = ratio_of(total, size, covariates=covariates)
    return Estimator(
        kind="clustered",
        metric=ratio.metric,
        covariates=ratio.covariates,
        ddof=1 if corrected else 0,
    )


def estimate_of(*variants: Linear) -> Estimate:
    """Independent variants, the control first, as one Estimate; covariates are not used."""
    reason = missing(variants)
    covariance: Matrix | None = None
    if reason is None:
        own = [variant.estimate_variance for variant in variants]
        covariance = to_matrix(np.diag(own))
        if max(own) == 0.0:
            covariance, reason = None, "no_variance"
    return Estimate(
        n=tuple(variant.n for variant in variants),
        values=tuple(variant.value for variant in variants),
        covariance=covariance,
        dfs=tuple(variant.df for variant in variants),
        kind=variants[0].kind,
        reason=reason,
    )


def missing(variants: Sequence[Linear]) -> Reason | None:
    """Why some variant has no number; None if all have."""
    order: tuple[Reason, ...] = (
        "empty_variant",
        "denominator_is_zero",
        "one_unit",
        "not_identified",
    )
    for reason in order:
        if any(variant.reason == reason for variant in variants):
            return reason
    return None


def pooled_proportion(control: JointMoments, treatment: JointMoments, column: int = 0) -> Estimate:
    """Two shares with the variance that they have if they are equal: p̄(1 − p̄)/n each.

    For the classical two-proportion z test; its interval is a test's, not a margin of error.

    Source: Fleiss, Levin, Paik (2003), "Statistical methods for rates and proportions", eq. 3.5.

    >>> e = pooled_proportion(JointMoments.of_count(4, 30), JointMoments.of_count(0, 25))
    >>> round(e.effect / e.std_error, 6)
    -1.895988
    """
    plain = proportion_of(column).estimate(control, treatment)
    both = control + treatment
    if plain.reason in ("empty_variant", "one_unit") or both.cross[column][column] == 0.0:
        return plain
    unit = both.cross[column][column] / both.n
    covariance = to_matrix(np.diag([unit / control.n, unit / treatment.n]))
    return Estimate(
        n=plain.n,
        values=plain.values,
        covariance=covariance,
        dfs=plain.dfs,
        kind="proportion",
    )
