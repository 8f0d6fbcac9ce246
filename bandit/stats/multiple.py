"""Many comparisons at once: what is left of each p-value, and which intervals hold together."""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from bandit.errors import RecordError
from bandit.stats.effect import Effect

Correction = Literal[
    "bonferroni",
    "sidak",
    "holm",
    "holm_sidak",
    "hochberg",
    "hochberg_sidak",
    "hommel",
    "bh",
    "by",
    "bh_two_stage",
    "bky",
]
"""How a family of p-values is corrected.

Family-wise error: `bonferroni`, `holm` under any dependence; `sidak`, `holm_sidak` if independent
or positively orthant dependent; `hochberg`, `hommel` if independent or positively dependent.
False discovery rate: `bh` if independent or positively dependent, `by` under any dependence;
`bh_two_stage`, `bky` (statsmodels' `fdr_tsbh`, `fdr_tsbky`) if independent: sharper where many
nulls are false, with adjusted values that hold at the given alpha only; `bky` has the proof.
"""


class Adjusted(NamedTuple):
    """What a correction makes of one p-value.

    Attributes:
        p_value: Adjusted: compare it with alpha.
        level: What the raw p-value was compared with.
        rejected: Whether p_value ≤ alpha.
    """

    p_value: float
    level: float
    rejected: bool


def adjusted(
    p_values: Sequence[float | None], correction: Correction, *, alpha: float = 0.05
) -> list[Adjusted | None]:
    """Adjusted p-values of one family, in the order given; None stays None and does not count.

    Args:
        p_values: In [0, 1].
        correction: Which.
        alpha: Error rate of the whole family.

    Raises:
        RecordError: A p-value is not in [0, 1], or alpha not in (0, 1).

    Source: Holm (1979), "A simple sequentially rejective multiple test procedure"; Šidák (1967);
    Hochberg (1988), "A sharper Bonferroni procedure", sec. 2; Hommel (1988) by Wright (1992),
    "Adjusted p-values for simultaneous inference", app.; Benjamini, Hochberg (1995), eq. 1;
    Benjamini, Yekutieli (2001), theorem 1.3.

    >>> for one in adjusted([0.01, 0.04, 0.03], "holm"):
    ...     print(f"{one.p_value:.2f} at {one.level:.4f}: {one.rejected}")
    0.03 at 0.0167: True
    0.06 at 0.0250: False
    0.06 at 0.0250: False
    """
    _check_alpha(alpha)
    known = [p for p in p_values if p is not None]
    if any(not 0.0 <= p <= 1.0 for p in known):
        raise RecordError(f"p-values are {known}, must be in [0, 1]")
    order = sorted(range(len(known)), key=known.__getitem__)
    ranked = [known[j] for j in order]
    values, levels = _family(ranked, correction, alpha)
    answers: list[Adjusted | None] = [None] * len(known)
    for place, value, level in zip(order, values, levels, strict=True):
        answers[place] = Adjusted(value, level, value <= alpha)
    rest = iter(answers)
    return [None if p is None else next(rest) for p in p_values]


def _check_alpha(alpha: float) -> None:
    if not 0.0 < alpha < 1.0:
        raise RecordError(f"alpha is {alpha!r}, must be in (0, 1)")


def _family(
    p: list[float], correction: Correction, alpha: float
) -> tuple[list[float], list[float]]:
    """Adjusted values and levels of p-values in rising order."""
    m = len(p)
    left = [m - j for j in range(m)]
    if correction in ("bonferroni", "sidak"):
        grow, level = (_times, _share) if correction == "bonferroni" else (_sidak, _sidak_level)
        return [grow(m, x) for x in p], [level(m, alpha) for _ in p]
    if correction in ("holm", "holm_sidak"):
        grow, level = (_times, _share) if correction == "holm" else (_sidak, _sidak_level)
        raw = [grow(c, x) for c, x in zip(left, p, strict=True)]
        return _running_max(raw), _down_levels(p, [level(c, alpha) for c in left])
    if correction in ("hochberg", "hochberg_sidak"):
        grow, level = (_times, _share) if correction == "hochberg" else (_sidak, _sidak_level)
        raw = [grow(c, x) for c, x in zip(left, p, strict=True)]
        return _running_min(raw), _up_levels(p, [level(c, alpha) for c in left])
    if correction == "hommel":
        values = _hommel(p)
        return values, _up_levels(p, [_share(c, alpha) for c in left])
    extra = sum(1.0 / j for j in range(1, m + 1)) if correction == "by" else 1.0
    if correction == "bh_two_stage":
        extra = _true_share(p, alpha)
    if correction == "bky":
        extra = (1.0 + alpha) * _true_share(p, alpha / (1.0 + alpha))
    raw = [min(extra * m / (j + 1) * x, 1.0) for j, x in enumerate(p)]
    return _running_min(raw), _up_levels(p, [alpha * (j + 1) / m / extra for j in range(m)])


def _true_share(p: list[float], alpha: float) -> float:
    """Share of the nulls that a first stage leaves standing; 1 if it leaves all or none.

    Source: Benjamini, Krieger, Yekutieli (2006), "Adaptive linear step-up procedures that control
    the false discovery rate", def. 6: `bky`; `bh_two_stage` takes alpha itself in both stages.
    """
    m = len(p)
    found = max((j + 1 for j, x in enumerate(p) if x <= alpha * (j + 1) / m), default=0)
    return (m - found) / m if 0 < found < m else 1.0


def _times(m: int, p: float) -> float:
    return min(m * p, 1.0)


def _share(m: int, alpha: float) -> float:
    return alpha / m


def _sidak(m: int, p: float) -> float:
    """1 − (1 − p)^m, without losing small p."""
    return -math.expm1(m * math.log1p(-p)) if p < 1.0 else 1.0


def _sidak_level(m: int, alpha: float) -> float:
    return -math.expm1(math.log1p(-alpha) / m)


def _running_max(values: list[float]) -> list[float]:
    return list(map(float, np.maximum.accumulate(values))) if values else []


def _running_min(values: list[float]) -> list[float]:
    return list(map(float, np.minimum.accumulate(values[::-1])[::-1])) if values else []


def _down_levels(p: list[float], levels: list[float]) -> list[float]:
    """A step-down procedure stops at its first failure, whose level all later ones share."""
    for j, (x, level) in enumerate(zip(p, levels, strict=True)):
        if x > level:
            return levels[:j] + [level] * (len(p) - j)
    return levels


def _up_levels(p: list[float], levels: list[float]) -> list[float]:
    """A step-up procedure gives all p-values up to its largest success that success's level."""
    for j in range(len(p) - 1, -1, -1):
        if p[j] <= levels[j]:
            return [levels[j]] * (j + 1) + levels[j + 1 :]
    return levels


def _hommel(p: list[float]) -> list[float]:
    m = len(p)
    values = np.array(p)
    if m < 2:
        return list(p)
    index = np.arange(1, m + 1)
    best = np.full(m, float(np.min(m * values / index)))
    answer = best.copy()
    for j in range(m - 1, 1, -1):
        head, tail = slice(0, m - j + 1), slice(m - j + 1, m)
        least = float(np.min(j * values[tail] / np.arange(2, j + 1)))
        best[head] = np.minimum(j * values[head], least)
        best[tail] = best[m - j]
        answer = np.maximum(answer, best)
    return [min(float(x), 1.0) for x in np.maximum(answer, values)]


def corrected(
    tests: Sequence[Callable[[float], Effect]], correction: Correction, *, alpha: float = 0.05
) -> list[Effect]:
    """Run a family of tests, and again at the level at which their intervals hold together.

    The intervals: at α/m (Bonferroni, Holm, Hochberg, Hommel) or Šidák's level they cover all
    effects at once with 1 − α. The step-wise corrections reject more than those intervals show:
    decide by `p_value_adjusted`. For the false discovery rate's the level is that of the false
    coverage rate, R·α/m (over Σ1/j for `by`) with R rejections, at least one.

    Args:
        tests: Each gives its Effect at the alpha it is called with.
        correction: Which.
        alpha: Error rate of the whole family.

    Returns:
        Effects at `alpha`, with what is `adjusted` filled in; one without a p-value stays as it
        is and is not counted.

    Source: intervals: Benjamini, Yekutieli (2005), "False discovery rate-adjusted multiple
    confidence intervals for selected parameters", def. 1.

    >>> from functools import partial
    >>> from bandit.stats.estimate import Estimate
    >>> from bandit.stats.fixed import compare
    >>> def at(effect):
    ...     e = Estimate(n=(500, 500), values=(10.0, 10.0 + effect), dfs=(499.0, 499.0),
    ...                  covariance=((0.005, 0.0), (0.0, 0.005)), kind="mean")
    ...     return lambda alpha: compare(e, alpha=alpha)
    >>> for r in corrected([at(0.21), at(0.4)], "holm"):
    ...     print(f"p {r.p_value:.4f} -> {r.p_value_adjusted:.4f}, "
    ...           f"[{r.adjusted_ci_low:.3f}, {r.adjusted_ci_high:.3f}]")
    p 0.0360 -> 0.0360, [-0.014, 0.434]
    p 0.0001 -> 0.0001, [0.176, 0.624]
    """
    plain = [test(alpha) for test in tests]
    verdicts = adjusted([effect.p_value for effect in plain], correction, alpha=alpha)
    m = sum(verdict is not None for verdict in verdicts)
    found = sum(verdict is not None and verdict.rejected for verdict in verdicts)
    level = _joint_level(correction, alpha, m, found)
    return [
        effect
        if verdict is None
        else _fill(effect, test(level), verdict.p_value, correction, level)
        for test, effect, verdict in zip(tests, plain, verdicts, strict=True)
    ]


def _joint_level(correction: Correction, alpha: float, m: int, found: int) -> float:
    if m == 0:
        return alpha
    if correction in ("sidak", "holm_sidak", "hochberg_sidak"):
        return _sidak_level(m, alpha)
    if correction in ("bh", "bh_two_stage", "bky"):
        return alpha * max(found, 1) / m
    if correction == "by":
        return alpha * max(found, 1) / m / sum(1.0 / j for j in range(1, m + 1))
    return alpha / m


def _fill(effect: Effect, again: Effect, p_value: float, correction: str, level: float) -> Effect:
    return msgspec.structs.replace(
        effect,
        p_value_adjusted=p_value,
        alpha_adjusted=level,
        adjusted_ci_low=again.effect_ci_low,
        adjusted_ci_high=again.effect_ci_high,
        relative_adjusted_ci_low=again.relative_ci_low,
        relative_adjusted_ci_high=again.relative_ci_high,
        correction=correction,
    )


def weighted_primary(
    primary: Sequence[Callable[[float], Effect]],
    others: Sequence[Callable[[float], Effect]],
    *,
    weight: float = 0.5,
    alpha: float = 0.05,
) -> tuple[list[Effect], list[Effect]]:
    """Bonferroni with the share `weight` of alpha kept for the primary metric's comparisons.

    Each of the k comparisons of the primary metric is made at weight·α/k, each of the others at
    (1 − weight)·α/their number; so secondary metrics can be added without limit and cost the
    primary nothing. Without others, the primary has all of alpha.

    Args:
        primary: The primary metric, one test per treatment.
        others: Every other metric × treatment.
        weight: In (0, 1].
        alpha: Error rate of the whole family.

    Source: Eppo, "Multiple testing corrections" (preferential Bonferroni); weights: Rosenthal,
    Rubin (1983), "Ensemble-adjusted p values".
    """
    _check_alpha(alpha)
    if not 0.0 < weight <= 1.0 or (weight == 1.0 and others):
        raise RecordError(f"weight is {weight!r}, must be in (0, 1), or 1 without other metrics")
    kept = weight if others else 1.0

    def at(tests: Sequence[Callable[[float], Effect]], share: float) -> list[Effect]:
        level = share * alpha / max(len(tests), 1)
        plain = [test(alpha) for test in tests]
        return [
            effect
            if effect.p_value is None
            else _fill(
                effect,
                test(level),
                min(effect.p_value * alpha / level, 1.0),
                "weighted_primary",
                level,
            )
            for test, effect in zip(tests, plain, strict=True)
        ]

    return at(primary, kept), at(others, 1.0 - kept)


def e_bh(e_values: Sequence[float | None], *, alpha: float = 0.05) -> list[Adjusted | None]:
    """Benjamini–Hochberg for e-values: false discovery rate ≤ alpha under *any* dependence.

    Rejects the k largest, k the most with e_(k) ≥ m/(k·α). e-values may come from sequential
    tests stopped at any time.

    Returns:
        `p_value` is the least alpha at which it would be rejected; `level` is the e-value needed.

    Raises:
        RecordError: An e-value is below 0 or NaN.

    Source: Wang, Ramdas (2022), "False discovery rate control with e-values", sec. 3.

    >>> [one.rejected for one in e_bh([120.0, 2.0, 900.0, 40.0])]
    [True, False, True, True]
    """
    _check_alpha(alpha)
    known = [e for e in e_values if e is not None]
    if any(not e >= 0.0 for e in known):
        raise RecordError(f"e-values are {known}, must be at least 0")
    inverse = [1.0 if e == 0.0 else min(1.0 / e, 1.0) for e in known]
    family = iter(adjusted(inverse, "bh", alpha=alpha))
    answers: list[Adjusted | None] = []
    for e in e_values:
        one = None if e is None else next(family)
        answers.append(None if one is None else one._replace(level=1.0 / one.level))
    return answers


def e_lond(e_values: Sequence[float | None], *, alpha: float = 0.05) -> list[Adjusted | None]:
    """False discoveries of experiments that come one after another, each decided before the next.

    The t-th has the level α·γ_t·(discoveries before it + 1) and is one with e ≥ 1/level; the false
    discovery rate is at most alpha under any dependence, however many come.

    Args:
        e_values: In the order in which they are decided.
        alpha: False discovery rate.

    Returns:
        `p_value` is the e-value's own, 1/e; `level` is what it was compared with.

    Raises:
        RecordError: An e-value is below 0 or NaN.

    Source: Xu, Ramdas (2024), "Online multiple testing with e-values", e-LOND; γ_t by Javanmard,
    Montanari (2018), "Online rules for control of false discovery rate", eq. 31.

    >>> [one.rejected for one in e_lond([120.0, 5000.0, 40.0, 4000.0])]
    [False, True, False, True]
    """
    _check_alpha(alpha)
    if any(e is not None and not e >= 0.0 for e in e_values):
        raise RecordError(f"e-values are {list(e_values)}, must be at least 0")
    found, t, answers = 0, 0, list[Adjusted | None]()
    for e in e_values:
        if e is None:
            answers.append(None)
            continue
        t += 1
        weight = math.log(max(t, 2)) / (t * math.exp(math.sqrt(math.log(t))))
        level = alpha * _WEIGHT * weight * (found + 1)
        rejected = e >= 1.0 / level
        found += rejected
        answers.append(Adjusted(1.0 if e == 0.0 else min(1.0 / e, 1.0), level, rejected))
    return answers


_WEIGHT = 0.07720838
"""1 over Σ log(max(t, 2)) / (t·exp(√log t)), so that the γ_t sum to 1."""
