"""One comparison judged: at one look, at any, as planned, against a margin, by belief; pure."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

import msgspec

from bandit.service.judging_estimates import Comparison
from bandit.service.judging_looks import Looks
from bandit.service.judging_payloads import Bayes, GuardrailState, SequentialMode
from bandit.stats import (
    Effect,
    Estimate,
    Margin,
    Sequential,
    Share,
    compare,
    compare_shares,
    compare_shares_anytime,
    is_small,
    not_worse,
    posterior_of,
    share_posterior,
    shares_not_worse,
    shares_not_worse_anytime,
    shifted,
)
from bandit.stats.effect import Alternative
from bandit.stats.sequential import (
    compare_anytime,
    compare_planned,
    mixture_precision,
    repeated_p_value,
    spending_design,
)

TUNED_FOR = 5000.0
"""Units of both variants at which the any-time interval is narrowest.

The same for every experiment and not a setting: chosen after a look, it would be no promise.
"""

Test = Callable[[float], Effect]
"""Gives the effect with its intervals at a level."""


class Guarded(NamedTuple):
    """A guardrail's test and its answer."""

    test: Effect
    state: GuardrailState


def fixed(found: Comparison, alpha: float) -> Effect:
    """As at one look; exact where shares are too small for a normal approximation."""
    shares = found.shares()
    if shares is not None and is_small(*shares):
        return compare_shares(*shares, alpha=alpha)
    return compare(found.estimate(), alpha=alpha)


def anytime(found: Comparison, alpha: float, *, level: float) -> Effect:
    """As at any look; exact for small shares.

    Args:
        found: What is compared.
        alpha: Of the intervals.
        level: Of the experiment: the mixture is tuned for it whatever `alpha` is, so that the
            intervals are nested and agree with the p-value.
    """
    shares = found.shares()
    if shares is not None and is_small(*shares):
        return compare_shares_anytime(*shares, alpha=alpha)
    return _anytime(found.estimate(), alpha, level)


def planned(found: Comparison, looks: Looks, alpha: float) -> Effect:
    """As at the look that decided, or else at the last one.

    Args:
        found: What is compared.
        looks: That were made.
        alpha: Of the whole design.
    """
    estimates = [found._replace(numbers=look.numbers).estimate() for look in looks.made]
    return _planned(found, estimates, looks, alpha, "two-sided")


def test_of(
    found: Comparison, sequential: SequentialMode, level: float, looks: Looks | None
) -> Test:
    """The test that decides, for a correction to call at other levels."""
    if sequential == "fixed":
        return partial(fixed, found)
    if sequential == "planned" and looks is not None:
        return partial(planned, found, looks)
    return partial(anytime, found, level=level)


def guarded(
    found: Comparison, sequential: SequentialMode, alpha: float, looks: Looks | None
) -> Guarded:
    """Whether a guardrail holds, as what decides judges it.

    `ok` and `violated` are both shown, each at level alpha; every guardrail at the whole alpha,
    because a treatment must pass them all (an intersection–union test spends nothing).

    Source: Berger (1982), "Multiparameter hypothesis testing and acceptance sampling".
    """
    metric = found.metric
    margin = Margin(metric.margin, metric.margin_scale)
    worse: Alternative = "less" if metric.better == "higher" else "greater"
    shares = found.shares()
    if sequential != "planned" and shares is not None and is_small(*shares):
        return _guarded_shares(*shares, margin, metric.better, sequential, alpha)

    def side(estimate: Estimate, alternative: Alternative) -> Effect:
        if sequential == "fixed":
            return compare(estimate, alpha=alpha, alternative=alternative)
        return _anytime(estimate, alpha, alpha, alternative)

    if sequential == "planned" and looks is not None:
        return _guarded_by_plan(found, looks, margin, alpha)
    estimate = found.estimate()
    test = not_worse(side, estimate, margin, metric.better)
    beyond = side(shifted(estimate, margin, metric.better), worse)
    return Guarded(test, _state(test.p_value, beyond.p_value, alpha))


def belief(found: Comparison, alpha: float) -> Bayes:
    """What to believe after one look, with flat priors."""
    shares = found.shares()
    up = found.metric.better == "higher"
    if shares is not None and is_small(*shares):
        exact = share_posterior(*shares, alpha=alpha)
        losses = (exact.treatment_loss, exact.control_loss)
        return Bayes(
            chance_to_win=exact.chance_to_win if up else 1.0 - exact.chance_to_win,
            expected_loss=losses[0] if up else losses[1],
            control_loss=losses[1] if up else losses[0],
            effect=exact.effect,
            effect_ci_low=exact.effect_ci_low,
            effect_ci_high=exact.effect_ci_high,
            relative_effect=exact.relative_effect,
            relative_ci_low=exact.relative_ci_low,
            relative_ci_high=exact.relative_ci_high,
            method="beta_binomial",
            alpha=alpha,
        )
    normal = posterior_of(found.estimate(), alpha=alpha)
    if normal.reason is not None or normal.chance_to_win is None:
        return Bayes(alpha=alpha, reason=normal.reason)
    chance = normal.chance_to_win
    return Bayes(
        chance_to_win=chance if up else 1.0 - chance,
        expected_loss=normal.treatment_loss if up else normal.control_loss,
        control_loss=normal.control_loss if up else normal.treatment_loss,
        effect=normal.effect,
        effect_ci_low=normal.effect_ci_low,
        effect_ci_high=normal.effect_ci_high,
        relative_effect=normal.relative_effect,
        relative_ci_low=normal.relative_ci_low,
        relative_ci_high=normal.relative_ci_high,
        alpha=alpha,
    )


def _anytime(
    estimate: Estimate, alpha: float, level: float, alternative: Alternative = "two-sided"
) -> Effect:
    tuned = TUNED_FOR
    if alpha != level:
        tuned *= mixture_precision(1.0, alpha, alternative=alternative) / mixture_precision(
            1.0, level, alternative=alternative
        )
    return compare_anytime(estimate, alpha=alpha, tuned_for=tuned, alternative=alternative)


def _planned(
    found: Comparison,
    estimates: list[Estimate],
    looks: Looks,
    alpha: float,
    alternative: Alternative,
) -> Effect:
    """The first look whose bound was passed, or the last."""
    if not looks.made:
        return _no_look(found, looks, alpha, alternative)
    fractions = [look.fraction for look in looks.made]
    sides: Literal[1, 2] = 2 if alternative == "two-sided" else 1
    design = spending_design(fractions, alpha=alpha, sides=sides)
    last = len(fractions)
    for place, (estimate, bound) in enumerate(zip(estimates, design.bounds, strict=True), start=1):
        if bound is not None and _passes(estimate, bound, alternative):
            last = place
            break
    effect = compare_planned(
        estimates[last - 1],
        fractions[:last],
        alpha=alpha,
        alternative=alternative,
        looks=looks.planned,
    )
    return _going_on(effect, fractions[:last], design.bounds[last - 1])


def _going_on(effect: Effect, fractions: Sequence[float], bound: float | None) -> Effect:
    """With the p-value that decides as the bound does, at a look that neither stops nor is last.

    The stage-wise one is that of a stop; at an early look that goes on it is small too soon.
    """
    z = effect.statistic
    if z is None:
        return effect
    sides: Literal[1, 2] = 2 if effect.alternative == "two-sided" else 1
    facing = abs(z) if sides == 2 else -z if effect.alternative == "less" else z
    under = effect.unadjusted
    changed = msgspec.structs.replace(
        effect, unadjusted=None if under is None else _going_on(under, fractions, bound)
    )
    if fractions[-1] >= 1.0 or (bound is not None and facing >= bound):
        return changed
    p_value = repeated_p_value(facing, fractions, sides=sides)
    return msgspec.structs.replace(changed, p_value=p_value)


def _passes(estimate: Estimate, bound: float, alternative: Alternative) -> bool:
    if not estimate.usable or estimate.variance == 0.0:
        return False
    z = estimate.effect / estimate.std_error
    facing = {"two-sided": abs(z), "greater": z, "less": -z}
    return facing[alternative] >= bound


def _no_look(found: Comparison, looks: Looks, alpha: float, alternative: Alternative) -> Effect:
    """Before the first look: how many units there are, and no number to be led by."""
    moments = found.moments()
    return Effect(
        control=None,
        treatment=None,
        control_n=moments[0].n,
        treatment_n=moments[1].n,
        method="group_sequential",
        alpha=alpha,
        alternative=alternative,
        reason="no_look_yet",
        relative_reason="no_look_yet",
        sequential=Sequential(kind="group_sequential", look=0, looks=looks.planned),
    )


def _guarded_by_plan(found: Comparison, looks: Looks, margin: Margin, alpha: float) -> Guarded:
    """One-sided designs of the distance to the margin, at the same looks."""
    metric = found.metric
    good: Alternative = "greater" if metric.better == "higher" else "less"
    bad: Alternative = "less" if good == "greater" else "greater"
    plain = [found._replace(numbers=look.numbers).estimate() for look in looks.made]
    moved = [shifted(estimate, margin, metric.better) for estimate in plain]
    held = _planned(found, moved, looks, alpha, good)
    broken = _planned(found, moved, looks, alpha, bad)
    shown = held
    if held.sequential is not None and held.sequential.look:
        at = held.sequential.look

        def side(estimate: Estimate, alternative: Alternative) -> Effect:
            fractions = [look.fraction for look in looks.made[:at]]
            return compare_planned(
                estimate, fractions, alpha=alpha, alternative=alternative, looks=looks.planned
            )

        shown = not_worse(side, plain[at - 1], margin, metric.better)
        shown = msgspec.structs.replace(shown, p_value=held.p_value)
    return Guarded(shown, _state(held.p_value, broken.p_value, alpha))


def _guarded_shares(
    control: Share,
    treatment: Share,
    margin: Margin,
    better: Literal["higher", "lower"],
    sequential: SequentialMode,
    alpha: float,
) -> Guarded:
    """Of shares too small for a normal approximation."""
    if sequential == "fixed":
        test = shares_not_worse(control, treatment, margin, better=better, alpha=alpha)
        assert test.p_value is not None, "a score test has one"
        return Guarded(test, _state(test.p_value, 1.0 - test.p_value, alpha))
    test = shares_not_worse_anytime(control, treatment, margin, better=better, alpha=alpha)
    whole = compare_shares_anytime(control, treatment, alpha=alpha)
    if _state(test.p_value, None, alpha) == "ok":
        return Guarded(test, "ok")
    return Guarded(test, "violated" if _beyond(whole, margin, better) else "unclear")


def _beyond(whole: Effect, margin: Margin, better: str) -> bool:
    """Whether the interval's good end is worse than the margin."""
    relative = margin.scale == "relative"
    low = whole.relative_ci_low if relative else whole.effect_ci_low
    high = whole.relative_ci_high if relative else whole.effect_ci_high
    if better == "higher":
        return high is not None and high < -margin.value
    return low is not None and low > margin.value


def _state(held: float | None, broken: float | None, alpha: float) -> GuardrailState:
    if held is not None and held <= alpha:
        return "ok"
    return "violated" if broken is not None and broken <= alpha else "unclear"
