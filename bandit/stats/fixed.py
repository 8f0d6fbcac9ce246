"""Tests for a horizon that was fixed before the first look; they take only an Estimate."""

import math
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from bandit.errors import RecordError
from bandit.stats.effect import Alternative, Effect, Hypothesis, Reason
from bandit.stats.estimate import Estimate, satterthwaite
from bandit.stats.joint import to_matrix
from bandit.stats.relative import Ends, Scale, log_ends, logged, relative_ends

Method = Literal["welch", "pooled_t", "z"]
"""`welch`: own variances, Satterthwaite's df. `z`: the same, normal. `pooled_t`: one variance
(an estimate whose variants share a covariance, or which knows its df, is taken as it is)."""


class Margin(NamedTuple):
    """How much worse, better or different still counts as alike, ≥ 0.

    Attributes:
        value: In the metric's unit, or a share of the control.
        scale: Which of the two. A relative margin moves with the control's estimate, whose error
            is in the test: treatment − (1 + margin)·control is tested, not a margin in disguise.
    """

    value: float
    scale: Literal["absolute", "relative"] = "absolute"


def compare(
    estimate: Estimate,
    *,
    method: Method = "welch",
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    relative: Scale = "fieller",
) -> Effect:
    """Effect of the first treatment over the control: any difference, or one to one side.

    A one-sided test has a one-sided interval at the same alpha, whose far end is None.

    Args:
        estimate: What an estimator gave; of several treatments take `estimate.pair(0, k)`.
        method: Which reference distribution, and whose variance.
        alpha: 1 − the level of the intervals, in (0, 1).
        alternative: What is looked for.
        relative: How the relative interval is made.

    Returns:
        Every number that can be given; a reason where one can not.

    Raises:
        ValueError: `alpha` is not in (0, 1).

    Source: Welch (1947), "The generalization of 'Student's' problem when several different
    population variances are involved"; pooled: Student (1908).

    >>> e = Estimate(n=(100, 120), values=(10.0, 11.0), covariance=((0.04, 0.0), (0.0, 0.05)),
    ...              dfs=(99.0, 119.0), kind="mean")
    >>> r = compare(e)
    >>> f"{r.effect:+.2f} [{r.effect_ci_low:.2f}, {r.effect_ci_high:.2f}] p = {r.p_value:.5f}"
    '+1.00 [0.41, 1.59] p = 0.00101'
    >>> f"{r.relative_effect:+.1%} [{r.relative_ci_low:.1%}, {r.relative_ci_high:.1%}]"
    '+10.0% [4.0%, 16.4%]'
    """
    return _test(estimate, _Question(alternative=alternative), method, alpha, relative)


def non_inferiority(
    estimate: Estimate,
    margin: Margin,
    *,
    better: Literal["higher", "lower"] = "higher",
    method: Method = "welch",
    alpha: float = 0.05,
    relative: Scale = "fieller",
) -> Effect:
    """Is the treatment not worse than the control by `margin`?

    The null value moves to the bad side by the margin, and the test is one-sided. What is shown is
    the one-sided interval: the treatment is not inferior if its bad end is inside the margin.

    Source: Wellek (2010), "Testing statistical hypotheses of equivalence and noninferiority",
    ch. 2.

    >>> e = Estimate(n=(900, 900), values=(10.0, 9.9), covariance=((0.004, 0.0), (0.0, 0.004)),
    ...              dfs=(899.0, 899.0), kind="mean")
    >>> r = non_inferiority(e, Margin(0.03, "relative"))
    >>> f"p = {r.p_value:.4f}, relative effect above {r.relative_ci_low:.2%}"
    'p = 0.0117, relative effect above -2.45%'
    """
    question = _to_the_good_side(better, "non_inferiority", margin, ahead=-1.0)
    return _test(estimate, question, method, alpha, relative)


def superiority(
    estimate: Estimate,
    margin: Margin,
    *,
    better: Literal["higher", "lower"] = "higher",
    method: Method = "welch",
    alpha: float = 0.05,
    relative: Scale = "fieller",
) -> Effect:
    """Is the treatment better than the control by more than `margin`?

    >>> e = Estimate(n=(900, 900), values=(10.0, 10.5), covariance=((0.004, 0.0), (0.0, 0.004)),
    ...              dfs=(899.0, 899.0), kind="mean")
    >>> round(superiority(e, Margin(0.2)).p_value, 5)
    0.00041
    """
    question = _to_the_good_side(better, "superiority", margin, ahead=1.0)
    return _test(estimate, question, method, alpha, relative)


def equivalence(
    estimate: Estimate,
    margin: Margin,
    *,
    upper: float | None = None,
    method: Method = "welch",
    alpha: float = 0.05,
    relative: Scale = "fieller",
) -> Effect:
    """Is the treatment within ∓ `margin` of the control? Two one-sided tests.

    p is the larger of the two; the interval is the 1 − 2·alpha one, which lies inside the margins
    exactly when p < alpha.

    Args:
        estimate: What an estimator gave.
        margin: The lower margin is −margin.
        upper: The upper margin, where it is another.
        method: As of `compare`.
        alpha: Level of each of the two tests.
        relative: As of `compare`.

    Returns:
        `statistic` is that of the larger p.

    Source: Schuirmann (1987), "A comparison of the two one-sided tests procedure and the power
    approach for assessing the equivalence of average bioavailability", sec. 3.

    >>> e = Estimate(n=(900, 900), values=(10.0, 10.1), covariance=((0.004, 0.0), (0.0, 0.004)),
    ...              dfs=(899.0, 899.0), kind="mean")
    >>> round(equivalence(e, Margin(0.3)).p_value, 4)
    0.0127
    """
    top = Margin(margin.value if upper is None else upper, margin.scale)
    low = _test(
        estimate, _Question("greater", "equivalence", margin, -1.0), method, alpha, relative
    )
    high = _test(estimate, _Question("less", "equivalence", top, 1.0), method, alpha, relative)
    worse = low if (low.p_value or 0.0) >= (high.p_value or 0.0) else high
    both = _test(estimate, _Question(), method, min(2.0 * alpha, 1.0 - 1e-12), relative)
    return msgspec.structs.replace(
        both,
        alpha=alpha,
        hypothesis="equivalence",
        margin=margin.value,
        margin_scale=margin.scale,
        null_value=worse.null_value,
        statistic=worse.statistic,
        df=worse.df,
        p_value=worse.p_value,
    )


class _Question(NamedTuple):
    alternative: Alternative = "two-sided"
    hypothesis: Hypothesis = "difference"
    margin: Margin | None = None
    shift: float = 0.0


def _to_the_good_side(
    better: Literal["higher", "lower"], hypothesis: Hypothesis, margin: Margin, *, ahead: float
) -> _Question:
    """A one-sided question whose null value is the margin ahead (1) of the control, or behind."""
    if better == "higher":
        return _Question("greater", hypothesis, margin, ahead)
    return _Question("less", hypothesis, margin, -ahead)


def critical_value(probability: float, df: float) -> float:
    """Quantile above 0 with `probability` of the t distribution beyond it (normal: df infinite)."""
    if math.isinf(df):
        return -float(ndtri(probability))
    return -float(stdtrit(df, probability))


def tail(statistic: float, df: float) -> float:
    """Share of the t distribution (normal: df infinite) above `statistic`.

    The lower tail of its negative, not 1 − cdf, which is 0 from about 8 on.
    """
    return float(ndtr(-statistic)) if math.isinf(df) else float(stdtr(df, -statistic))


def p_value_of(statistic: float, df: float, alternative: Alternative) -> float:
    """Probability of a statistic at least as far out, towards `alternative`."""
    if alternative == "two-sided":
        return min(2.0 * tail(abs(statistic), df), 1.0)
    return tail(statistic if alternative == "greater" else -statistic, df)


def _test(
    estimate: Estimate, question: _Question, method: Method, alpha: float, relative: Scale
) -> Effect:
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha!r}, must be in (0, 1)")
    margin = question.margin
    if margin is not None and not 0.0 <= margin.value < math.inf:
        raise ValueError(f"margin is {margin.value!r}, must be finite and at least 0")
    known = _point(estimate, question, method, alpha)
    used = _with_one_variance(estimate) if method == "pooled_t" else estimate
    if used.covariance is None or used.variance == 0.0:
        reason = used.reason or "no_variance"
        return msgspec.structs.replace(
            known, reason=reason, relative_reason=known.relative_reason or reason
        )
    df = math.inf if method == "z" else used.welch_df
    done = _with_interval(known, used, df, _relative_of(estimate, used, known, df, relative))
    if relative != "fieller" and _disagree(done):
        done = msgspec.structs.replace(done, warnings=(*done.warnings, "scales_disagree"))
    shown = _with_statistic(done, used, question, method)
    plain = estimate.unadjusted
    if plain is None:
        return shown
    return msgspec.structs.replace(
        shown, unadjusted=_test(plain, question, method, alpha, relative)
    )


def _point(estimate: Estimate, question: _Question, method: Method, alpha: float) -> Effect:
    """What can be said without any spread."""
    if len(estimate.n) != 2:
        raise RecordError(f"estimate has {len(estimate.n)} variants, must be a pair: .pair(0, k)")
    control, treatment = estimate.values
    effect = None if control is None or treatment is None else treatment - control
    divides = effect is not None and control is not None and control != 0.0
    reason: Reason | None = None
    if not divides:
        reason = "control_is_zero" if effect is not None else estimate.reason
    margin = question.margin
    return Effect(
        control=control,
        treatment=treatment,
        control_n=estimate.n[0],
        treatment_n=estimate.n[1],
        effect=effect,
        relative_effect=effect / control if effect is not None and control else None,
        method=method,
        alpha=alpha,
        alternative=question.alternative,
        relative_reason=reason,
        warnings=(
            *estimate.warnings,
            *(("control_is_negative",) if control is not None and control < 0.0 else ()),
        ),
        kind=estimate.kind,
        hypothesis=question.hypothesis,
        margin=None if margin is None else margin.value,
        margin_scale=None if margin is None else margin.scale,
        null_value=_null_value(control, question),
        variance_reduction=estimate.variance_reduction,
        cap=estimate.cap,
    )


def _null_value(control: float | None, question: _Question) -> float:
    if question.margin is None:
        return 0.0
    size = question.shift * question.margin.value
    return size if question.margin.scale == "absolute" else size * abs(control or 0.0)


def _with_one_variance(estimate: Estimate) -> Estimate:
    """Every variant's variance from the average per unit, weighted by degrees of freedom."""
    if estimate.covariance is None:
        return estimate
    v = np.array(estimate.covariance)
    n, dfs = np.array(estimate.n, dtype=np.float64), np.array(estimate.dfs)
    if np.any(v - np.diag(np.diag(v))) or estimate.df is not None:
        return estimate
    unit = float(dfs @ (np.diag(v) * n) / dfs.sum())
    return msgspec.structs.replace(
        estimate, covariance=to_matrix(np.diag(unit / n)), df=float(dfs.sum())
    )


def _relative_of(
    estimate: Estimate, used: Estimate, known: Effect, df: float, relative: Scale
) -> Ends:
    """Ends of the relative interval; a log has a spread and degrees of freedom of its own."""
    share = known.alpha / 2.0 if known.alternative == "two-sided" else known.alpha
    if relative != "log" or known.control in (None, 0.0):
        return relative_ends(used, critical_value(share, df), relative)
    logs = logged(estimate)
    if logs is None:
        return Ends(reason="not_positive")
    if known.method == "pooled_t":
        logs = _with_one_variance(logs)
        values = np.array(estimate.values, dtype=np.float64)
        v = np.array(logs.covariance) * np.outer(values, values)
        return log_ends(
            msgspec.structs.replace(estimate, covariance=to_matrix(v)),
            critical_value(share, logs.welch_df),
        )
    own_df = math.inf if known.method == "z" else logs.welch_df
    return log_ends(estimate, critical_value(share, own_df))


def _with_interval(known: Effect, used: Estimate, df: float, ends: Ends) -> Effect:
    two_sided = known.alternative == "two-sided"
    reach = critical_value(known.alpha / 2.0 if two_sided else known.alpha, df) * used.std_error
    low, high = known.alternative != "less", known.alternative != "greater"
    # Of a negative control the ratio turns round: what is greater is relatively less.
    up = (known.control or 0.0) > 0.0
    relative_low, relative_high = (low, high) if up else (high, low)
    return msgspec.structs.replace(
        known,
        std_error=used.std_error,
        df=None if math.isinf(df) else df,
        effect_ci_low=used.effect - reach if low else None,
        effect_ci_high=used.effect + reach if high else None,
        relative_ci_low=ends.low if relative_low else None,
        relative_ci_high=ends.high if relative_high else None,
        relative_reason=known.relative_reason or ends.reason,
    )


def _disagree(done: Effect) -> bool:
    """Whether one scale's interval leaves out 0 and the other's does not."""

    def leaves_out(low: float | None, high: float | None) -> bool:
        return (low is not None and low > 0.0) or (high is not None and high < 0.0)

    return done.relative_reason is None and leaves_out(
        done.effect_ci_low, done.effect_ci_high
    ) != leaves_out(done.relative_ci_low, done.relative_ci_high)


def _with_statistic(done: Effect, used: Estimate, question: _Question, method: Method) -> Effect:
    """Statistic and p of the null value; a relative margin brings the control's error with it."""
    assert used.covariance is not None, "_test() has checked"
    v, effect = used.covariance, used.effect
    rho, df = 1.0, math.inf if method == "z" else used.welch_df
    variance = used.variance
    margin = question.margin
    if margin is not None and margin.scale == "relative":
        sign = math.copysign(1.0, done.control or 0.0)
        rho = 1.0 + sign * question.shift * margin.value
        variance = max(v[1][1] - 2.0 * rho * v[0][1] + rho**2 * v[0][0], 0.0)
        if not math.isinf(df) and used.df is None:
            own = used.own or (v[0][0], v[1][1])
            df = satterthwaite((rho**2 * own[0], own[1]), used.dfs)
    if variance == 0.0:
        return done
    statistic = (effect - done.null_value) / math.sqrt(variance)
    return msgspec.structs.replace(
        done,
        statistic=statistic,
        df=None if math.isinf(df) else df,
        p_value=p_value_of(statistic, df, done.alternative),
    )
