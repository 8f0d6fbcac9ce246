"""Any estimate tested at a look: unplanned or planned; the same flat record as a fixed test's."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from bandit.stats.effect import Alternative, Effect, Sequential
from bandit.stats.estimate import Estimate
from bandit.stats.sequential.asymptotic import TUNED_FOR
from bandit.stats.sequential.comparison import FIRST_LOOK, AnytimeEffect, anytime_comparison
from bandit.stats.sequential.planned import PlannedEffect, planned_comparison
from bandit.stats.sequential.spending import OBRIEN_FLEMING, Spending


def compare_anytime(
    estimate: Estimate,
    *,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    tuned_for: float = TUNED_FOR,
    first_look: float = FIRST_LOOK,
    relative: Literal["fieller", "log"] = "fieller",
    earlier_p_value: float = 1.0,
) -> Effect:
    """Effect at a look that nobody planned: a mean, a ratio, with CUPED or without.

    Args:
        estimate: What an estimator gave; of several treatments take `estimate.pair(0, k)`.
        alpha: Chance that any interval of the sequence leaves out the effect.
        alternative: What is looked for.
        tuned_for: Units of both variants at which it is narrowest; fix it before the first look.
        first_look: Looks before this many units answer `few_units`.
        relative: How the relative interval is made.
        earlier_p_value: The p-value of the look before; p-values never rise.

    Source: `anytime_comparison`.

    >>> e = Estimate(n=(2000, 2000), values=(10.0, 10.8), covariance=((0.02, 0.0), (0.0, 0.02)),
    ...              dfs=(1999.0, 1999.0), kind="mean")
    >>> r = compare_anytime(e)
    >>> f"{r.relative_effect:+.1%} [{r.relative_ci_low:.1%}, {r.relative_ci_high:.1%}], at any time"
    '+8.0% [1.9%, 14.5%], at any time'
    """
    known = _known(estimate, "asymptotic_confidence_sequence", alpha, alternative)
    known = msgspec.structs.replace(
        known, sequential=Sequential(kind="confidence_sequence", tuning=tuned_for)
    )
    control, treatment = estimate.values[:2]
    v = estimate.covariance
    if v is None or control is None or treatment is None:
        return known
    look = anytime_comparison(
        control,
        treatment,
        v[0][0],
        v[1][1],
        float(sum(estimate.n[:2])),
        covariance=v[0][1],
        alpha=alpha,
        alternative=alternative,
        tuned_for=tuned_for,
        first_look=first_look,
        relative=relative,
        earlier_p_value=earlier_p_value,
    )
    under = estimate.unadjusted
    return msgspec.structs.replace(
        _with(known, look),
        unadjusted=None
        if under is None
        else compare_anytime(
            under,
            alpha=alpha,
            alternative=alternative,
            tuned_for=tuned_for,
            first_look=first_look,
            relative=relative,
        ),
    )


def compare_planned(
    estimate: Estimate,
    fractions: Sequence[float],
    *,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    spending: Spending = OBRIEN_FLEMING,
    looks: int | None = None,
    last_look: bool = False,
) -> Effect:
    """Effect at a planned look: intervals that hold at all looks together, a stage-wise p-value.

    Args:
        estimate: What an estimator gave; of several treatments take `estimate.pair(0, k)`.
        fractions: Information (units ÷ planned units, say) at each look so far, this one last.
        alpha: Of the whole design.
        alternative: What is looked for.
        spending: How alpha is spent; the same at every look.
        looks: How many are planned, for the record.
        last_look: There will be no other, although the plan is not reached.

    Source: `planned_comparison`, which also gives the estimate and interval after a stop.

    >>> e = Estimate(n=(2000, 2000), values=(10.0, 10.6), covariance=((0.02, 0.0), (0.0, 0.02)),
    ...              dfs=(1999.0, 1999.0), kind="mean")
    >>> r = compare_planned(e, (0.25, 0.5, 0.75, 1.0), looks=4)
    >>> f"{r.relative_effect:+.1%} [{r.relative_ci_low:.1%}, {r.relative_ci_high:.1%}]"
    '+6.0% [1.9%, 10.2%]'
    >>> f"look {r.sequential.look} of {r.sequential.looks}, p = {r.p_value:.4f}"
    'look 4 of 4, p = 0.0198'
    """
    known = _known(estimate, "group_sequential", alpha, alternative)
    control, treatment = estimate.values[:2]
    v = estimate.covariance
    if v is None or control is None or treatment is None:
        return known
    look = planned_comparison(
        control,
        treatment,
        v[0][0],
        v[1][1],
        fractions,
        covariance=v[0][1],
        alpha=alpha,
        alternative=alternative,
        spending=spending,
        last_look=last_look,
    )
    under = estimate.unadjusted
    return msgspec.structs.replace(
        _with(known, look),
        sequential=Sequential(
            kind=f"group_sequential:{spending.kind}",
            look=look.look,
            looks=looks,
            information=look.fraction,
            alpha_spent=look.alpha_spent,
        ),
        unadjusted=None
        if under is None
        else compare_planned(
            under,
            fractions,
            alpha=alpha,
            alternative=alternative,
            spending=spending,
            looks=looks,
            last_look=last_look,
        ),
    )


def _known(estimate: Estimate, method: str, alpha: float, alternative: Alternative) -> Effect:
    """What can be said without a covariance."""
    control, treatment = estimate.values[:2]
    effect = None if control is None or treatment is None else treatment - control
    return Effect(
        control=control,
        treatment=treatment,
        control_n=estimate.n[0],
        treatment_n=estimate.n[1],
        effect=effect,
        relative_effect=effect / control if effect is not None and control else None,
        method=method,
        alpha=alpha,
        alternative=alternative,
        reason=estimate.reason,
        relative_reason=estimate.reason,
        warnings=estimate.warnings,
        kind=estimate.kind,
        variance_reduction=estimate.variance_reduction,
        cap=estimate.cap,
    )


def _with(known: Effect, look: AnytimeEffect | PlannedEffect) -> Effect:
    return msgspec.structs.replace(
        known,
        effect_ci_low=look.effect_ci_low,
        effect_ci_high=look.effect_ci_high,
        relative_ci_low=look.relative_ci_low,
        relative_ci_high=look.relative_ci_high,
        std_error=look.std_error,
        statistic=look.statistic,
        p_value=look.p_value,
        reason=look.reason,
        relative_reason=look.relative_reason,
    )
