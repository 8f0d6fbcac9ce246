"""CUPED: take out of a metric what was known of its units before they were exposed."""

import math
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from bandit.records import Record
from bandit.stats.estimate import Estimate, beside
from bandit.stats.joint import JointMoments, Matrix, to_matrix
from bandit.stats.linear import Estimator, Linear, estimate_of

Array = NDArray[np.float64]
Slopes = Literal["pooled", "within", "summed", "per_arm"]
"""Whose covariance gives the slopes.

* `pooled`: all units as one sample (gbstats, tea-tasting, spotify-confidence).
* `within`: deviations from each variant's own mean: analysis of covariance.
* `summed`: the variants' covariances added without weights (gbstats' ratio metrics).
* `per_arm`: each variant its own slopes: Lin (2013); never worse in large samples.
"""
WELL_CONDITIONED = 1e8
"""Covariates whose correlation matrix has a larger condition number get a ridge."""


class Cuped(Record, frozen=True, kw_only=True):
    """How covariates are used.

    Attributes:
        slopes: Whose covariance gives them.
        relative_to: What a relative effect is a share of: the `adjusted` control mean, with every
            variant moved to the covariates' mean over all units (tea-tasting), or the
            `unadjusted` one (gbstats, Statsig). Only the relative scale feels it.
        target: `sample`: the covariates' overall mean is taken as known (tea-tasting).
            `population`: its own sampling error, common to all variants, counts too.
        variance: `own`: each variant's residual variance, slopes taken as known (all three
            peers). `common`: one residual variance and the slopes' own error, which is OLS with
            its classical standard errors, digit for digit.
        keep_worse: Keep the adjustment even if its effect has the larger variance.
    """

    slopes: Slopes = "pooled"
    relative_to: Literal["adjusted", "unadjusted"] = "adjusted"
    target: Literal["sample", "population"] = "sample"
    variance: Literal["own", "common"] = "own"
    keep_worse: bool = False


PLAIN = Cuped()


def cuped(estimator: Estimator, *variants: JointMoments, how: Cuped = PLAIN) -> Estimate:
    """Estimates of a metric after its covariates, from moments alone.

    adjusted = value − θ'(x̄ − x̄_all),  θ = S_xx⁻¹ S_xy,  v = v_y + θ'S_xx θ − 2θ'S_xy per variant.
    The effect stays unbiased whatever θ is; θ only decides how much variance goes. Covariates
    that do not vary are left out; near-copies of one another get a ridge; both are warned of.

    Args:
        estimator: Metric and covariates; at least one covariate.
        *variants: Moments per variant, the control first.
        how: Which slopes, and what a relative effect is relative to.

    Returns:
        The adjusted estimate, with the plain one beside it as `unadjusted`.

    Source: Deng, Xu, Kohavi, Walker (2013), "Improving the sensitivity of online controlled
    experiments by utilizing pre-experiment data", eq. 4-7; k covariates: Lin (2013), "Agnostic
    notes on regression adjustments to experimental data", sec. 4.

    >>> from bandit.stats.linear import mean_of
    >>> c = JointMoments.of_columns([3.0, 5.0, 4.0, 8.0], [1.0, 2.0, 2.0, 4.0])
    >>> t = JointMoments.of_columns([5.0, 6.0, 9.0, 7.0], [2.0, 1.0, 4.0, 3.0])
    >>> e = cuped(mean_of(0, covariates=[1]), c, t)
    >>> f"{e.effect:.3f} ± {e.std_error:.3f}"
    '1.386 ± 0.585'
    >>> f"was {e.unadjusted.effect:.3f} ± {e.unadjusted.std_error:.3f}"
    'was 1.750 ± 1.377'
    """
    whole = variants[0]
    for moments in variants[1:]:
        whole = whole + moments
    return adjust(
        [estimator.linear(moments) for moments in variants], estimator.linear(whole), how=how
    )


def adjust(
    variants: Sequence[Linear], whole: Linear | None = None, *, how: Cuped = PLAIN
) -> Estimate:
    """`cuped` for metrics already made linear (quantiles, say).

    Args:
        variants: The control first, each with the same covariates.
        whole: All units as one sample; left out, it is put together from the variants.
        how: As of `cuped`.
    """
    plain = estimate_of(*variants)
    d = len(variants[0].covariates)
    if not plain.usable or d == 0 or any(len(v.covariates) != d for v in variants):
        return plain
    parts = [np.array(variant.covariance) for variant in variants]
    center = _center(variants, whole)
    solved = _slopes(variants, whole, parts, how.slopes)
    if solved is None:
        return _warned(plain, "covariates_do_not_vary")
    slopes, warnings = solved
    pooled_slopes = how.slopes != "per_arm"
    if any(v.df - (0 if pooled_slopes else d) < 1.0 for v in variants):
        return _warned(plain, "too_few_units_for_covariates")
    adjusted = _moved(variants, parts, slopes, center, how)
    if adjusted is None:
        return _warned(plain, "covariates_explain_everything")
    done = beside(msgspec.structs.replace(adjusted, warnings=warnings), plain)
    if not how.keep_worse and adjusted.variance > plain.variance:
        return _warned(plain, "covariates_did_not_help")
    return done


def _warned(plain: Estimate, code: str) -> Estimate:
    return msgspec.structs.replace(plain, warnings=(*plain.warnings, code))


def _center(variants: Sequence[Linear], whole: Linear | None) -> Array:
    """The covariates' value over all units, to which every variant is moved."""
    if whole is not None and whole.covariates:
        return np.array(whole.covariates)
    n = np.array([variant.n for variant in variants], dtype=np.float64)
    return np.asarray(n @ np.array([v.covariates for v in variants]) / n.sum())


def _slopes(
    variants: Sequence[Linear], whole: Linear | None, parts: Sequence[Array], mode: Slopes
) -> tuple[list[Array], tuple[str, ...]] | None:
    """One slope vector per variant, (d,); None if no covariate varies anywhere."""
    if mode == "per_arm":
        solved = [solve(part[1:, 1:], part[1:, 0]) for part in parts]
        if all(not slope.any() and "ridge" not in w for slope, w in solved) and not any(
            np.diag(part)[1:].any() for part in parts
        ):
            return None
        codes = {code for _, warnings in solved for code in warnings}
        return [slope for slope, _ in solved], tuple(sorted(codes))
    if mode == "pooled" and whole is not None and whole.covariance is not None:
        base = np.array(whole.covariance)
    elif mode == "summed":
        base = np.sum(parts, axis=0)
    else:
        base = np.sum([v.df * part for v, part in zip(variants, parts, strict=True)], axis=0)
        if mode == "pooled":
            base = base + _between(variants)
    if not np.diag(base)[1:].any():
        return None
    slope, warnings = solve(base[1:, 1:], base[1:, 0])
    return [slope] * len(variants), warnings


def _between(variants: Sequence[Linear]) -> Array:
    """Cross-products of the variants' own values around their overall mean."""
    n = np.array([variant.n for variant in variants], dtype=np.float64)
    table = np.array([[variant.value or 0.0, *variant.covariates] for variant in variants])
    table = table - n @ table / n.sum()
    return np.asarray((table.T * n) @ table)


def solve(s_xx: Array, s_xy: Array) -> tuple[Array, tuple[str, ...]]:
    """Slopes S_xx⁻¹ S_xy on standardised covariates; constant ones get 0.

    The ridge λ is the least that brings the condition number down to `WELL_CONDITIONED`: of
    exact copies each then takes an equal share, instead of ±1e15.

    Source: Hoerl, Kennard (1970), "Ridge regression", eq. 2.1.

    >>> solve(np.array([[4.0, 4.0], [4.0, 4.0]]), np.array([2.0, 2.0]))
    (array([0.25, 0.25]), ('ridge',))
    """
    scale = np.sqrt(np.maximum(np.diag(s_xx), 0.0))
    used = scale > 0.0
    slopes = np.zeros(scale.size)
    warnings = () if used.all() else ("covariate_is_constant",)
    if not used.any():
        return slopes, warnings
    unit = scale[used]
    correlation = s_xx[np.ix_(used, used)] / np.outer(unit, unit)
    values = np.linalg.eigvalsh(correlation)
    ridge = (float(values[-1]) - WELL_CONDITIONED * float(values[0])) / (WELL_CONDITIONED - 1.0)
    if ridge > 0.0:
        correlation = correlation + ridge * np.eye(unit.size)
        warnings = (*warnings, "ridge")
    slopes[used] = np.linalg.solve(correlation, s_xy[used] / unit) / unit
    return slopes, warnings


def _moved(
    variants: Sequence[Linear],
    parts: Sequence[Array],
    slopes: Sequence[Array],
    center: Array,
    how: Cuped,
) -> Estimate | None:
    """Values at the center and their covariance; None if no variance is left."""
    values, own, dfs = [], [], []
    for variant, part, slope in zip(variants, parts, slopes, strict=True):
        gap = np.array(variant.covariates) - center
        values.append(_value(variant) - float(slope @ gap))
        left = float(part[0, 0] + slope @ part[1:, 1:] @ slope - 2.0 * slope @ part[1:, 0])
        own_df = variant.df - (slope.size if how.slopes == "per_arm" else 0)
        own.append(max(left, 0.0) * (variant.df / own_df) / variant.n)
        dfs.append(own_df)
    if max(own) <= 1e-14 * max(v.estimate_variance for v in variants):
        return None
    covariance: Array = np.diag(own)
    df: float | None = None
    if how.variance == "common":
        covariance, df = _classical(variants, parts, slopes, center, how)
        own = list(np.diag(covariance))
    if how.target == "population":
        covariance = covariance + _common(variants, parts, slopes)
    if how.relative_to == "unadjusted":
        values, covariance = _anchored(variants, parts, slopes, values, own)
    return Estimate(
        n=tuple(variant.n for variant in variants),
        values=tuple(values),
        covariance=to_matrix(covariance),
        dfs=tuple(dfs),
        own=tuple(float(v) for v in own),
        df=df,
        kind=variants[0].kind,
    )


def _classical(
    variants: Sequence[Linear],
    parts: Sequence[Array],
    slopes: Sequence[Array],
    center: Array,
    how: Cuped,
) -> tuple[Array, float]:
    """σ²·(diag(1/n) + G W⁻¹ G'), G the distances to the center: OLS from its cross-products.

    One W for common slopes (analysis of covariance), each variant's own for `per_arm`.

    Source: Greene (2018), "Econometric analysis", eq. 4-16, 4-20.
    """
    k, d = len(variants), slopes[0].size
    cross = [v.df * part for v, part in zip(variants, parts, strict=True)]
    left = sum(
        c[0, 0] + s @ c[1:, 1:] @ s - 2.0 * s @ c[1:, 0] for c, s in zip(cross, slopes, strict=True)
    )
    own_slopes = how.slopes == "per_arm"
    df = sum(v.df for v in variants) - (k * d if own_slopes else d)
    gaps = np.array([np.array(v.covariates) - center for v in variants])
    shape = np.diag([1.0 / v.n for v in variants])
    if own_slopes:
        shape = shape + np.diag(
            [float(g @ _inverse(c[1:, 1:]) @ g) for g, c in zip(gaps, cross, strict=True)]
        )
    else:
        shape = shape + gaps @ _inverse(np.sum(cross, axis=0)[1:, 1:]) @ gaps.T
    return float(left) / df * shape, float(df)


def _inverse(s_xx: Array) -> Array:
    """Inverse of covariates' cross-products, whatever their units; 0 for constant ones.

    Standardised first: of covariates in cents and in shares the plain pseudo-inverse takes the
    smaller one for rounding, and the standard error was wrong by 0.2 %.
    """
    scale = np.sqrt(np.maximum(np.diag(s_xx), 0.0))
    unit = np.where(scale > 0.0, scale, 1.0)
    inverse = np.linalg.pinv(s_xx / np.outer(unit, unit), hermitian=True)
    return np.asarray(inverse / np.outer(unit, unit))


def _value(variant: Linear) -> float:
    assert variant.value is not None, "adjust() has returned the plain estimate"
    return variant.value


def _common(variants: Sequence[Linear], parts: Sequence[Array], slopes: Sequence[Array]) -> Array:
    """θ_i' S_xx θ_j / N: what the overall covariate mean's own error adds.

    Source: Negi, Wooldridge (2021), "Revisiting regression adjustment in experiments with
    heterogeneous treatment effects", theorem 5.2.
    """
    n = sum(variant.n for variant in variants)
    s_xx = sum(v.n / n * part[1:, 1:] for v, part in zip(variants, parts, strict=True))
    table = np.array(slopes)
    return np.asarray(table @ s_xx @ table.T / n)


def _anchored(
    variants: Sequence[Linear],
    parts: Sequence[Array],
    slopes: Sequence[Array],
    values: Sequence[float],
    own: Sequence[float],
) -> tuple[list[float], Array]:
    """Control at its unadjusted mean, treatments at that plus the adjusted effect.

    With C = ȳ_c and A_k the adjusted means: T_k = C + A_k − A_c, and C − A_c = θ_c'(x̄_c − x̄).
    Var(T) = Var(A_t) + θ'S_c θ/n_c and Cov(T, C) = θ'S_c,xy/n_c for common slopes.
    """
    control = parts[0] / variants[0].n
    raw = _value(variants[0])
    moved = [raw, *(raw + value - values[0] for value in values[1:])]
    k = len(variants)
    slope = slopes[0]
    shift = float(slope @ control[1:, 1:] @ slope)
    covariance = np.full((k, k), shift)
    covariance[0, :] = covariance[:, 0] = float(slope @ control[1:, 0])
    covariance[0, 0] = control[0, 0]
    for j in range(1, k):
        covariance[j, j] = own[j] + shift
    return moved, covariance


def optimal_reduction(moments: JointMoments, estimator: Estimator) -> float | None:
    """R² of the covariates: the share of variance that CUPED will take; None if unknown."""
    linear = estimator.linear(moments)
    if linear.covariance is None or not linear.covariates or linear.covariance[0][0] <= 0.0:
        return None
    table: Matrix = linear.covariance
    s = np.array(table)
    slope, _ = solve(s[1:, 1:], s[1:, 0])
    share = float((2.0 * slope @ s[1:, 0] - slope @ s[1:, 1:] @ slope) / s[0, 0])
    return min(max(share, 0.0), 1.0) if math.isfinite(share) else None
