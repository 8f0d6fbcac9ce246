"""Numbers → plain words, with the reason and the next step; pure.

Reports are watched, so the judgement that holds at any look decides what is said of an effect.
"""

from collections.abc import Sequence

from bandit.errors import BanditError
from bandit.service.reporting_payloads import GroupCounts, MetricEffect, Verdict
from bandit.service.reporting_words import in_words, number
from bandit.specs import Experiment
from bandit.stats import Effect, Srm
from bandit.stats.sequential.comparison import FIRST_LOOK
from bandit.store.reports import VariantUnits

_MISSING = {
    "empty_variant": "a variant has no unit whose join window has ended",
    "one_unit": "a variant has a single unit, which says nothing about the spread",
    "no_variance": "every unit of both variants earned the same",
}
_ANY_LOOK = "The interval holds at every look together, and leaves out 0."
_GROWING = (
    " Nearly so: a unit counts from its first assignment on, and outcomes that come after it "
    "counted are outside the promise."
)


def verdict_of(
    experiment: Experiment,
    counts: Sequence[GroupCounts],
    units: VariantUnits,
    srm: Srm,
    effects: Sequence[MetricEffect],
    window_s: float,
) -> Verdict:
    """What can be said of an experiment now.

    Args:
        experiment: What is judged.
        counts: Per variant, the control's too.
        units: By variant, and those that are left out.
        srm: Of the split.
        effects: Of the primary metric at least, one per treatment.
        window_s: The surface's join window; without one, nothing has to be waited for.
    """
    if not any(variant.decisions_n or variant.units_n for variant in counts):
        return _no_data(experiment, units)
    if srm.verdict == "mismatch":
        return _mismatch(srm)
    if experiment.surface is not None and not any(variant.counted_n for variant in counts):
        return _waiting(counts, window_s)
    primary = [effect for effect in effects if effect.is_primary]
    known = [effect for effect in primary if effect.effect.reason is None]
    if not primary:
        return _no_metric(experiment)
    if not known:
        return _no_interval(primary)
    later = _GROWING if experiment.surface is None else _coming_back(counts)
    return _answer(known, f"{_ANY_LOOK}{later}", _checks(srm, units, len(primary)))


def not_judged(experiment: Experiment, why: BanditError) -> Verdict:
    """What is said of an experiment whose declaration can not be judged."""
    return Verdict(
        state="broken",
        headline="This experiment can not be judged as it is declared.",
        reason=f"{str(why)[:1].upper()}{str(why)[1:]}.",
        next_step=f"Correct it: PUT /v1/experiments/{experiment.key}.",
    )


def _no_data(experiment: Experiment, units: VariantUnits) -> Verdict:
    over = f"It is {experiment.status}, and nothing was logged while it ran."
    ask = (
        "Ask POST /v1/assignments"
        if experiment.surface is None
        else f"Ask POST /v1/rank for surface {experiment.surface!r}"
    )
    steps = {
        "draft": f"It is a draft: PUT /v1/experiments/{experiment.key} with status 'running'.",
        "running": f"{ask}; units whose bucket is allocated are in it.",
        "stopped": over,
        "archived": over,
    }
    left_out = _left_out(units)
    what = "assignment" if experiment.surface is None else "decision"
    return Verdict(
        state="no_data",
        headline=f"No {what} of this experiment {'counts' if left_out else 'is in the log'}.",
        reason=f"Its status is {experiment.status}.{left_out}",
        next_step=steps[experiment.status],
    )


def _no_metric(experiment: Experiment) -> Verdict:
    return Verdict(
        state="unclear",
        headline="There is nothing to judge by.",
        reason="The experiment has no surface, so no rewards, and names no metric of outcomes.",
        next_step=f"PUT /v1/experiments/{experiment.key} with metrics, and post their numbers to "
        "/v1/outcomes.",
    )


def _mismatch(srm: Srm) -> Verdict:
    found = ", ".join(
        f"{key} has {n} units where {srm.expected[key]:.0f} were expected"
        for key, n in srm.observed.items()
    )
    p_value = "" if srm.p_value is None else f" (p = {srm.p_value:.2g})"
    return Verdict(
        state="broken",
        headline="Do not trust the effects: units did not arrive as they were allocated.",
        reason=f"{found}{p_value}.",
        next_step="Look for bots, redirects, a variant that fails before its decision, or an "
        "allocation that was changed while the experiment ran.",
    )


def _waiting(counts: Sequence[GroupCounts], window_s: float) -> Verdict:
    open_n = sum(variant.open_n for variant in counts)
    unseen_n = sum(variant.unseen_n for variant in counts)
    unseen = f" {unseen_n} were deferred and never seen." if unseen_n else ""
    return Verdict(
        state="waiting",
        headline="Nothing can be counted yet.",
        reason=f"{open_n} decisions wait for their join window of {window_s:g} s to end.{unseen}",
        next_step="Come back when it has."
        if open_n
        else "Post exposures of what was seen to /v1/exposures.",
    )


def _no_interval(primary: Sequence[MetricEffect]) -> Verdict:
    reasons = {_MISSING[e.effect.reason] for e in primary if e.effect.reason in _MISSING}
    return Verdict(
        state="unclear",
        headline="There is no interval yet.",
        reason=f"For {primary[0].metric}, {'; '.join(sorted(reasons))}.",
        next_step="Keep it running until every variant has some units.",
    )


def _answer(known: Sequence[MetricEffect], claim: str, why: str) -> Verdict:
    """What the intervals say: a better treatment, only worse ones, an early sign, or nothing."""
    winners = [found for found in known if _gain(found, found.anytime) > 0]
    if winners:
        return _better(max(winners, key=_size), f"{claim} {why}")
    if all(_gain(found, found.anytime) < 0 for found in known):
        return _worse(max(known, key=_size), f"{claim} {why}")
    open_ones = [found for found in known if _gain(found, found.anytime) == 0]
    early = [found for found in open_ones if _gain(found, found.effect) != 0]
    if early:
        return _not_yet(
            max(early, key=lambda found: (_gain(found, found.effect), _size(found))), why
        )
    return _unclear(max(open_ones, key=_size), why)


def _better(best: MetricEffect, why: str) -> Verdict:
    return Verdict(
        state="better",
        headline=f"{best.treatment} is better than {best.control}: {_sentence(best, best.anytime)}",
        reason=why,
        next_step=f"Stop whenever it suits, and let {best.treatment} serve everybody.",
    )


def _worse(worst: MetricEffect, why: str) -> Verdict:
    return Verdict(
        state="worse",
        headline=f"{worst.treatment} is worse than {worst.control}: "
        f"{_sentence(worst, worst.anytime)}",
        reason=why,
        next_step=f"Stop the experiment, or give {worst.treatment} fewer buckets.",
    )


def _not_yet(early: MetricEffect, why: str) -> Verdict:
    seems = "better" if _gain(early, early.effect) > 0 else "worse"
    return Verdict(
        state="not_yet",
        headline=f"Not yet: only one planned look would call {early.treatment} {seems} than "
        f"{early.control}: {_sentence(early, early.effect)}",
        reason="That interval leaves out 0, but holds for one look at a time that was planned. "
        f"{_open(early)} {why}",
        next_step="Keep it running, or decide at the planned time by the interval of one look.",
    )


def _unclear(clearest: MetricEffect, why: str) -> Verdict:
    shown = clearest.effect if clearest.anytime.reason else clearest.anytime
    return Verdict(
        state="unclear",
        headline=f"No difference can be told yet: {_sentence(clearest, shown)}",
        reason=f"{_open(clearest)} {why}",
        next_step="Keep it running: the interval narrows as units come. If the whole interval is "
        "too small to matter, stop.",
    )


def _open(found: MetricEffect) -> str:
    """Why nothing can be said at any look."""
    anytime = found.anytime
    if anytime.reason is None:
        low, high = anytime.effect_ci_low, anytime.effect_ci_high
        return f"The interval that holds at every look, [{low:.3g}, {high:.3g}], includes 0."
    why = f"it starts at {FIRST_LOOK:.0f} units" if anytime.reason == "few_units" else ""
    return (
        f"There is no interval yet that holds at every look: {why or in_words([anytime.reason])}."
    )


def _coming_back(counts: Sequence[GroupCounts]) -> str:
    """What units with several decisions do to the promise: their numbers change after they count.

    Of nulls watched 200 times at a nominal 5 %, every unit back at every look, 9.5 % were called
    better or worse by means per decision and none by sums per unit (`test_reporting_watched.py`);
    by one planned look, watched, 82 % and 27 %.
    """
    units_n = sum(variant.units_n for variant in counts)
    each = sum(variant.counted_n for variant in counts) / units_n if units_n else 0.0
    if each <= 1.0:
        return ""
    return (
        f" Nearly so: units have {number(each)} decisions each, and a number that changes after it "
        "counted is outside the promise."
    )


def _left_out(units: VariantUnits) -> str:
    crossed = (
        f" {units.crossed_n} units were seen in two variants and are left out."
        if units.crossed_n
        else ""
    )
    forced = f" {units.forced_n} units were set by hand and are left out." if units.forced_n else ""
    return crossed + forced


def _checks(srm: Srm, units: VariantUnits, treatments_n: int) -> str:
    texts = {
        "fine": f"SRM fine (p = {srm.p_value or 0.0:.2g}).",
        "unknown": "Too few units to check the split.",
    }
    each = (
        f" Each of the {treatments_n} treatments is judged at this level by itself."
        if treatments_n > 1
        else ""
    )
    return texts[srm.verdict] + _left_out(units) + each


def _sentence(found: MetricEffect, effect: Effect) -> str:
    """As in: reward +0.12 per decision [0.09, 0.15], +35.0% [26.0%, 44.0%] at 95 %."""
    absolute = (
        f"{found.metric} {effect.effect:+.3g} per {found.per} "
        f"[{effect.effect_ci_low:.3g}, {effect.effect_ci_high:.3g}]"
    )
    return f"{absolute}{_relative(effect)} at {100 * (1 - effect.alpha):.4g} %."


def _relative(effect: Effect) -> str:
    if effect.relative_effect is None or effect.relative_ci_low is None:
        return ""
    low, high = effect.relative_ci_low, effect.relative_ci_high
    return f", {effect.relative_effect:+.1%} [{low:.1%}, {high:.1%}]"


def _gain(found: MetricEffect, effect: Effect) -> int:
    """1 if the interval is all better than 0, −1 if all worse, 0 if it holds 0."""
    low, high = effect.effect_ci_low, effect.effect_ci_high
    if low is None or high is None or low <= 0.0 <= high:
        return 0
    return 1 if (low > 0.0) == (found.better == "higher") else -1


def _size(found: MetricEffect) -> float:
    return abs(found.effect.effect or 0.0)
