"""Does the effect differ between segments, experiments or days; and what is left of each then?"""

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr, ndtri

from bandit.errors import RecordError
from bandit.records import Record
from bandit.stats.estimate import Estimate
from bandit.stats.relative import delta

Array = NDArray[np.float64]


class SegmentEffect(Record, frozen=True, kw_only=True):
    """The effect in one segment, as measured and as believed beside the others.

    Attributes:
        effect, std_error: As measured.
        shrunk, shrunk_error: Pulled towards the overall effect, the more the less is known of it.
        shrunk_ci_low, shrunk_ci_high: Interval of `shrunk`.
    """

    effect: float
    std_error: float
    shrunk: float
    shrunk_error: float
    shrunk_ci_low: float
    shrunk_ci_high: float


class Heterogeneity(Record, frozen=True, kw_only=True):
    """Effects of independent segments compared with each other.

    Attributes:
        q: Cochran's Q = Wald's chi-square of all effects being equal.
        df: Segments − 1.
        p_value: Of equal effects.
        i2: Share of the effects' spread that is not sampling error, in [0, 1).
        tau2: Variance of the true effects.
        fixed, fixed_error: Overall effect if all are equal.
        random, random_error: Overall effect if they are not.
        segments: The effects, measured and shrunk.
        left_out: Segments without an effect or a standard error.
        reason: `few_segments` when fewer than two can be compared; then all numbers are None.
    """

    q: float | None = None
    df: int | None = None
    p_value: float | None = None
    i2: float | None = None
    tau2: float | None = None
    fixed: float | None = None
    fixed_error: float | None = None
    random: float | None = None
    random_error: float | None = None
    segments: dict[str, SegmentEffect] = {}
    left_out: tuple[str, ...] = ()
    reason: Literal["few_segments"] | None = None


def heterogeneity(
    segments: Mapping[str, Estimate],
    *,
    scale: Literal["absolute", "relative"] = "absolute",
    between: Literal["dersimonian_laird", "paule_mandel"] = "dersimonian_laird",
    alpha: float = 0.05,
) -> Heterogeneity:
    """Test that all segments have one effect, and shrink each towards the overall one.

    The segments must be independent: each unit in one. For the interplay of two experiments, take
    the other experiment's variants as segments: Q is then the test of their interaction.

    Args:
        segments: The same comparison in each.
        scale: `relative`: of (treatment − control)/|control|, by the delta method.
        between: How the variance of the true effects is estimated.
        alpha: 1 − the level of the shrunk intervals.

    Source: Cochran (1954), "The combination of estimates from different experiments"; DerSimonian,
    Laird (1986), "Meta-analysis in clinical trials", eq. 8; Paule, Mandel (1982); I²: Higgins,
    Thompson (2002); shrinkage: Morris (1983), "Parametric empirical Bayes inference", eq. 1.14.

    >>> def of(effect, n):
    ...     return Estimate(n=(n, n), values=(10.0, 10.0 + effect), dfs=(n - 1.0, n - 1.0),
    ...                     covariance=((4 / n, 0.0), (0.0, 4 / n)), kind="mean")
    >>> h = heterogeneity({"app": of(1.0, 800), "web": of(0.2, 800), "tv": of(3.0, 20)})
    >>> f"p = {h.p_value:.2g}, I2 = {h.i2:.0%}"
    'p = 9.2e-11, I2 = 96%'
    >>> f"tv: {h.segments['tv'].effect:.2f}, believed {h.segments['tv'].shrunk:.2f}"
    'tv: 3.00, believed 2.08'
    """
    effects = {
        key: _effect(estimate, scale)
        for key, estimate in segments.items()
        if estimate.usable
        and estimate.variance > 0.0
        and (scale == "absolute" or estimate.values[0])
    }
    return heterogeneity_of(
        effects, left_out=tuple(sorted(set(segments) - set(effects))), between=between, alpha=alpha
    )


def _effect(estimate: Estimate, scale: str) -> tuple[float, float]:
    return (estimate.effect, estimate.std_error) if scale == "absolute" else delta(estimate)


def heterogeneity_of(
    effects: Mapping[str, tuple[float, float]],
    *,
    left_out: tuple[str, ...] = (),
    between: Literal["dersimonian_laird", "paule_mandel"] = "dersimonian_laird",
    alpha: float = 0.05,
) -> Heterogeneity:
    """`heterogeneity` from pairs of (effect, standard error), as past experiments leave them.

    Raises:
        RecordError: A standard error is not above 0.
    """
    if any(not 0.0 < error**2 < math.inf or error < 0.0 for _, error in effects.values()):
        raise RecordError("standard errors must be finite and above 0")
    if len(effects) < 2:
        return Heterogeneity(left_out=left_out, reason="few_segments")
    d = np.array([effect for effect, _ in effects.values()])
    v = np.array([error**2 for _, error in effects.values()])
    df = len(effects) - 1
    fixed, fixed_error = _combine(d, v)
    q = float((((d - fixed) ** 2) / v).sum())
    tau2 = _dersimonian_laird(v, q) if between == "dersimonian_laird" else _paule_mandel(d, v)
    random, random_error = _combine(d, v + tau2)
    shrunk = _shrunk(d, v, tau2, random, random_error)
    return Heterogeneity(
        q=q,
        df=df,
        p_value=float(chdtrc(df, q)),
        i2=max(1.0 - df / q, 0.0) if q > 0.0 else 0.0,
        tau2=tau2,
        fixed=fixed,
        fixed_error=fixed_error,
        random=random,
        random_error=random_error,
        segments=_believed(effects, shrunk, -float(ndtri(alpha / 2.0))),
        left_out=left_out,
    )


def _believed(
    effects: Mapping[str, tuple[float, float]], shrunk: list[tuple[float, float]], z: float
) -> dict[str, SegmentEffect]:
    return {
        key: SegmentEffect(
            effect=effect,
            std_error=error,
            shrunk=value,
            shrunk_error=spread,
            shrunk_ci_low=value - z * spread,
            shrunk_ci_high=value + z * spread,
        )
        for (key, (effect, error)), (value, spread) in zip(effects.items(), shrunk, strict=True)
    }


def _combine(d: Array, v: Array) -> tuple[float, float]:
    """Precision-weighted mean and its error, in shares so that tiny variances do not overflow."""
    least = float(v.min())
    w = least / v
    return float(w @ d / w.sum()), math.sqrt(least / float(w.sum()))


def _dersimonian_laird(v: Array, q: float) -> float:
    # In shares of the largest weight, whose own square may underflow or overflow.
    least = float(v.min())
    w = least / v
    scale = float(w.sum() - (w**2).sum() / w.sum())
    return max((q - (v.size - 1)) * least / scale, 0.0)


def _paule_mandel(d: Array, v: Array) -> float:
    """τ² at which the weighted squares around their mean sum to their expectation, by bisection."""

    def excess(tau2: float) -> float:
        mean, _ = _combine(d, v + tau2)
        return float((((d - mean) ** 2) / (v + tau2)).sum()) - (d.size - 1)

    if excess(0.0) <= 0.0:
        return 0.0
    low, high = 0.0, float(np.ptp(d)) ** 2 + float(v.max())
    while excess(high) > 0.0:
        low, high = high, 2.0 * high
    for _ in range(200):
        middle = (low + high) / 2.0
        low, high = (middle, high) if excess(middle) > 0.0 else (low, middle)
    return (low + high) / 2.0


def _shrunk(
    d: Array, v: Array, tau2: float, overall: float, error: float
) -> list[tuple[float, float]]:
    """B·overall + (1 − B)·d with B = v/(v + τ²); the overall's own error is carried by B²."""
    b = v / (v + tau2)
    values = b * overall + (1.0 - b) * d
    spread = np.sqrt((1.0 - b) * v + b**2 * error**2)
    return list(zip(values.tolist(), spread.tolist(), strict=True))


class Dependence(Record, frozen=True, kw_only=True):
    """Whether two experiments' assignments are independent.

    Attributes:
        statistic, df, p_value: Pearson's chi-square; None with a reason.
        reason: `few_units` (an expected count below 5) or `one_variant`.
    """

    statistic: float | None = None
    df: int | None = None
    p_value: float | None = None
    reason: Literal["few_units", "one_variant"] | None = None


def assignment_dependence(table: Mapping[str, Mapping[str, int]]) -> Dependence:
    """Chi-square of units by the variants of two experiments.

    Independent hashes give an independent table; a dependent one mixes one experiment's effect
    into the other's.

    Args:
        table: Units by variant of the first, then of the second experiment.

    Source: Pearson (1900), without Yates' correction.

    >>> d = assignment_dependence({"a": {"x": 193, "y": 194}, "b": {"x": 216, "y": 197}})
    >>> round(d.p_value, 4)
    0.4921
    """
    columns = sorted({key for row in table.values() for key in row})
    counts = np.array([[float(row.get(key, 0)) for key in columns] for row in table.values()])
    if counts.size:
        counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if counts.ndim < 2 or min(counts.shape) < 2:
        return Dependence(reason="one_variant")
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    if expected.min() < 5.0:
        return Dependence(reason="few_units")
    statistic = float((((counts - expected) ** 2) / expected).sum())
    df = (counts.shape[0] - 1) * (counts.shape[1] - 1)
    return Dependence(statistic=statistic, df=df, p_value=float(chdtrc(df, statistic)))


class Trend(Record, frozen=True, kw_only=True):
    """How the effect moves with time.

    Attributes:
        intercept, slope: effect ≈ intercept + slope·f(time).
        slope_error: Standard error of the slope.
        slope_ci_low, slope_ci_high: Its interval.
        p_value: Of no movement.
        verdict: `novelty` (it shrinks towards 0), `growth`, or `steady`.
        reason: `few_days`: fewer than three, or all at one time.
    """

    intercept: float | None = None
    slope: float | None = None
    slope_error: float | None = None
    slope_ci_low: float | None = None
    slope_ci_high: float | None = None
    p_value: float | None = None
    verdict: Literal["novelty", "growth", "steady"] | None = None
    reason: Literal["few_days"] | None = None


def novelty(
    days: Mapping[float, tuple[float, float]],
    *,
    curve: Literal["linear", "log"] = "linear",
    alpha: float = 0.05,
) -> Trend:
    """Regression of independent effects on time, weighted by what is known of each.

    Days are independent when each unit counts on the day (after its exposure) it belongs to.

    Args:
        days: Time, above 0 for `log`, → (effect, standard error).
        curve: What the effect is linear in.
        alpha: 1 − the level of the interval, and the level of the verdict.

    Source: Thompson, Sharp (1999), "Explaining heterogeneity in meta-analysis", eq. 1 (fixed
    scale: the standard errors are known).

    >>> t = novelty({1: (0.56, 0.1), 2: (0.4, 0.1), 3: (0.3, 0.1), 4: (0.25, 0.1)})
    >>> f"{t.slope:.3f} a day, p = {t.p_value:.3f}: {t.verdict}"
    '-0.103 a day, p = 0.021: novelty'
    """
    known = {day: pair for day, pair in days.items() if 0.0 < pair[1] < math.inf}
    if len(known) < 3:
        return Trend(reason="few_days")
    x = np.array([math.log(day) if curve == "log" else day for day in known], dtype=np.float64)
    d = np.array([effect for effect, _ in known.values()])
    v = np.array([error**2 for _, error in known.values()])
    w = v.min() / v
    x_mean, d_mean = float(w @ x / w.sum()), float(w @ d / w.sum())
    spread = float(w @ (x - x_mean) ** 2)
    slope = float(w @ ((x - x_mean) * (d - d_mean)) / spread)
    error = math.sqrt(float(v.min()) / spread)
    reach = -float(ndtri(alpha / 2.0)) * error
    p_value = 2.0 * float(ndtr(-abs(slope / error)))
    towards_zero = slope * d_mean < 0.0
    return Trend(
        intercept=d_mean - slope * x_mean,
        slope=slope,
        slope_error=error,
        slope_ci_low=slope - reach,
        slope_ci_high=slope + reach,
        p_value=p_value,
        verdict="steady" if p_value >= alpha else "novelty" if towards_zero else "growth",
    )
