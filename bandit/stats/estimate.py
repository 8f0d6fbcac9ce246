"""What every estimator gives and every test takes: estimates per variant and their covariance."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from bandit.errors import RecordError
from bandit.records import Record
from bandit.stats.effect import Reason
from bandit.stats.joint import Matrix, to_matrix


class Estimate(Record, frozen=True, kw_only=True):
    """Estimates of one metric for two or more variants, the control first.

    It is the seam between the two layers: a mean, a ratio, a quantile, with or without covariates,
    strata, clusters or a cap, becomes this; a fixed test, a sequence, a group-sequential design or
    a posterior takes only this. So every combination works.

    Attributes:
        n: Randomised units per variant.
        values: Estimate per variant; None where there is none (`reason` says why).
        covariance: Of the *estimates* (not of units), k × k; None where it can not be given.
        dfs: Degrees of freedom of each variant's variance.
        own: Each variant's own variance, to which `dfs` belong; None: the covariance's diagonal.
            They differ where variants share an error, such as that of the covariates' mean.
        df: Degrees of freedom of every comparison, where the estimator knows them (one pooled
            variance, say); None: Satterthwaite from `dfs`.
        kind: The estimator's name.
        reason: Why there is no covariance; None if there is.
        warnings: Codes of what the reader should know.
        variance_reduction: 1 − variance of the effect / the same of `unadjusted`, of the first
            treatment.
        cap: Values above it were lowered to it.
        unadjusted: The same metric without covariates, strata or cap.

    >>> e = Estimate(n=(40, 50), values=(2.0, 2.5), covariance=((0.04, 0.0), (0.0, 0.05)),
    ...              dfs=(39.0, 49.0), kind="mean")
    >>> round(e.effect, 3), round(e.std_error, 3), round(e.welch_df, 1)
    (0.5, 0.3, 88.0)
    """

    n: tuple[int, ...]
    values: tuple[float | None, ...]
    covariance: Matrix | None
    dfs: tuple[float, ...]
    own: tuple[float, ...] | None = None
    df: float | None = None
    kind: str
    reason: Reason | None = None
    warnings: tuple[str, ...] = ()
    variance_reduction: float | None = None
    cap: float | None = None
    unadjusted: "Estimate | None" = None

    def __post_init__(self) -> None:
        k = len(self.n)
        if k < 2 or len(self.values) != k or len(self.dfs) != k:
            raise RecordError(
                f"estimate has {k} sizes, {len(self.values)} values and {len(self.dfs)} dfs, "
                "must be as many of each and at least 2"
            )
        if self.covariance is None:
            if self.reason is None:
                raise RecordError("estimate has no covariance, must have a reason")
            return
        flat = [*self.dfs, *(x for row in self.covariance for x in row)]
        known = [x for x in self.values if x is not None]
        if len(known) < k or not all(map(math.isfinite, [*flat, *known])):
            raise RecordError("estimate with a covariance must have finite values throughout")

    @property
    def usable(self) -> bool:
        """Whether values and a covariance are there, so that a test can be made."""
        return self.covariance is not None

    @property
    def effect(self) -> float:
        """First treatment − control. Raises RecordError when either is missing."""
        control, treatment = self.values[:2]
        if control is None or treatment is None:
            raise RecordError(f"estimate has no effect ({self.reason}), must have two values")
        return treatment - control

    @property
    def variance(self) -> float:
        """Variance of `effect`: V_tt − 2·V_ct + V_cc; at least 0.

        Raises:
            RecordError: There is no covariance.
        """
        if self.covariance is None:
            raise RecordError(f"estimate has no covariance ({self.reason}), must have one")
        v = self.covariance
        return max(v[1][1] - 2.0 * v[0][1] + v[0][0], 0.0)

    @property
    def std_error(self) -> float:
        """Square root of `variance`."""
        return math.sqrt(self.variance)

    @property
    def welch_df(self) -> float:
        """`df`, or Satterthwaite's: V² / Σ V_kk²/df_k over the first two variants' `own`.

        In shares of V = ΣV_kk, because the squares of small variances underflow.

        Source: Satterthwaite (1946), "An approximate distribution of estimates of variance
        components", eq. 17.
        """
        if self.df is not None or self.covariance is None:
            return math.inf if self.df is None else self.df
        own = self.own or (self.covariance[0][0], self.covariance[1][1])
        return satterthwaite(own[:2], self.dfs[:2])

    def pair(self, control: int, treatment: int) -> "Estimate":
        """Two of the variants, by their places; what every test takes.

        `variance_reduction` is worked out again for the pair.
        """
        at = (control, treatment)
        under = self.unadjusted.pair(*at) if self.unadjusted is not None else None
        small = msgspec.structs.replace(
            self,
            n=tuple(self.n[j] for j in at),
            values=tuple(self.values[j] for j in at),
            dfs=tuple(self.dfs[j] for j in at),
            own=None if self.own is None else tuple(self.own[j] for j in at),
            covariance=(
                None
                if self.covariance is None
                else tuple(tuple(self.covariance[i][j] for j in at) for i in at)
            ),
            unadjusted=None,
            variance_reduction=None,
        )
        return small if under is None else beside(small, under)

    def scaled(self, factor: float) -> "Estimate":
        """The same with covariance × `factor` (a small-sample correction, say)."""
        if self.covariance is None:
            return self
        return msgspec.structs.replace(
            self,
            covariance=to_matrix(np.asarray(self.covariance) * factor),
            own=None if self.own is None else tuple(v * factor for v in self.own),
        )


def satterthwaite(variances: Sequence[float], dfs: Sequence[float]) -> float:
    """Degrees of freedom of a sum of independent variances; infinite when all are 0."""
    total = sum(variances)
    if total <= 0.0:
        return math.inf
    terms = sum((v / total) ** 2 / df for v, df in zip(variances, dfs, strict=True) if v > 0.0)
    return 1.0 / terms if terms > 0.0 else math.inf


def beside(adjusted: Estimate, unadjusted: Estimate) -> Estimate:
    """`adjusted` with `unadjusted` next to it and the variance reduction between them."""
    saved = None
    if adjusted.usable and unadjusted.usable and unadjusted.variance > 0.0:
        saved = 1.0 - adjusted.variance / unadjusted.variance
    return msgspec.structs.replace(adjusted, unadjusted=unadjusted, variance_reduction=saved)


def capped(estimate: Estimate, uncapped: Estimate, cap: float) -> Estimate:
    """The estimate of capped values, with the cap and the uncapped one beside it."""
    return msgspec.structs.replace(beside(estimate, uncapped), cap=cap)
