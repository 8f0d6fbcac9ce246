"""Codes and numbers of reports → what a person reads; pure. The CLI and the dashboard share it."""

from collections.abc import Iterable, Mapping

from bandit.ope import Value
from bandit.service.judging_payloads import (
    MetricEffect,
    MetricOutlook,
    SegmentFinding,
    SequentialMode,
)
from bandit.service.reporting_payloads import GroupCounts, Yardstick
from bandit.stats import Effect

REASONS = {
    # of an effect
    "empty_variant": "a variant has no unit that counts yet",
    "one_unit": "there is a single unit, which says nothing about the spread",
    "no_variance": "nothing varies, so there is no interval",
    "control_is_zero": "nothing can be said relative to a control of 0",
    "control_near_zero": "the control may be 0, so the relative interval has no bounds",
    "denominator_is_zero": "a ratio's denominators sum to 0 in a variant",
    "not_identified": "there are too few units for the covariates, strata or clusters asked for",
    "not_positive": "a logarithm needs means above 0",
    "control_is_negative": "the control is negative, so a relative gain has a minus sign",
    # of a split
    "no_units": "no unit has come yet",
    "few_units": "there are too few units",
    "nothing_to_spend": "the plan gives this look no part of its error rate",
    "no_look_yet": "the first planned look is still to come",
    "one_variant": "one variant has all the buckets",
    "unallocated_units": "units are in a variant that owns no bucket",
    # of a metric
    "no_events": "nothing of it has come in yet: no unit has any event",
    "silent_lately": "no unit that came lately has an event, although many had before",
    "units_wait_for_window": "units whose window is not over do not count yet",
    "cap_not_found_yet": "nothing is capped yet: its cap is found once there are 1,000 units",
    "covariates_do_not_vary": "nothing is known of the units from before, so no covariate is used",
    "covariate_is_constant": "a covariate is the same for all units and is not used",
    "covariates_did_not_help": "the covariates would widen the interval and are not used",
    "covariates_explain_everything": "the covariates leave no variance and are not used",
    "too_few_units_for_covariates": "there are too few units to use covariates",
    "ridge": "covariates are nearly copies of one another and share their weight",
    "scales_disagree": "the relative interval says otherwise than the absolute one, which holds",
    # of what is still to come
    "no_estimate": "there is no standard error to start from yet",
    "no_effect": "no number of units would find it",
    "not_running": "it is not running",
    "no_arrivals": "no new units come, so no time can be told",
    # of a plan
    "no_baseline": "mean and spread of the metric are not known: type them in",
    "no_spread": "all units are alike, so there is nothing to average",
    "no_such_share": "a share can not be above 100 % or below 0 %",
    # of segments and days
    "few_segments": "fewer than two segments have units enough to compare",
    "few_days": "fewer than three days have units enough to compare",
    # of an action
    "never_eligible": "it could be drawn in no decision that tells of it",
    "never_drawn": "it was never drawn, so the log tells nothing of it",
    "never_together": "it could never be drawn where the other one could",
    "few_draws": "it was drawn too seldom, given how likely it was",
    "one_look_only": "only means of scores with equal weights have one",
    # of a policy's value
    "no_decisions": "no decision in this log says what the policy would have done",
    "no_overlap": "the policy would never have shown what was shown",
    "low_ess": "the log is worth fewer than 30 decisions of the policy's own",
    "thin_ess": "the log is worth fewer than 200 decisions of the policy's own",
    "heavy_weight": "one decision has over 10 % of the weight",
    "weights_off_one": "the weights do not average 1: wrong propensities, or actions that only "
    "this policy would show",
}
LOOKS = ("any time", "one planned look")
"""When an interval holds."""
HOLDS: Mapping[SequentialMode, str] = {
    "anytime": LOOKS[0],
    "planned": "planned looks",
    "fixed": LOOKS[1],
}
"""The same, by what decides."""
DASH = "–"
"""Stands where there is no number."""


def in_words(codes: Iterable[str]) -> str:
    """Reason codes as one sentence part; a code that nobody worded stays a code.

    >>> in_words(["no_units", "heavy_weight"])
    'no unit has come yet; one decision has over 10 % of the weight'
    """
    return "; ".join(REASONS.get(code, code) for code in codes)


def number(value: float | None, sign: str = "") -> str:
    """Four digits that matter.

    >>> number(0.123456), number(1234567.0), number(-3.0, sign="+"), number(None)
    ('0.1235', '1,234,567', '-3', '–')
    """
    if value is None:
        return DASH
    if abs(value) >= 1000:
        return f"{value:{sign},.0f}"
    return f"{value:{sign}.4g}"


def percent(value: float | None, sign: str = "") -> str:
    """A share as a percentage.

    >>> percent(0.1234, sign="+"), percent(None)
    ('+12.3 %', '–')
    """
    return DASH if value is None else f"{100 * value:{sign}.1f} %"


def level_in_words(alpha: float) -> str:
    """The level of an interval, never 100 %.

    >>> level_in_words(0.05), level_in_words(0.05 / 3), level_in_words(1e-9)
    ('95 %', '98.33 %', '1 − 1e-09')
    """
    short = f"{100 * (1 - alpha):.4g}"
    return f"1 − {alpha:.2g}" if short == "100" else f"{short} %"


def p_value(value: float | None) -> str:
    """A p-value, small ones by their size.

    >>> p_value(0.0312), p_value(2e-9), p_value(None)
    ('0.031', '2e-09', '–')
    """
    return DASH if value is None else f"{value:.2g}"


def duration(ms: float | None) -> str:
    """A time span in the unit that suits it.

    >>> duration(250), duration(1500), duration(180_000), duration(9_000_000), duration(None)
    ('250 ms', '1.5 s', '3.0 min', '2.5 h', '–')
    """
    if ms is None:
        return DASH
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if ms >= (2 if unit == "d" else 1) * size:
            return f"{ms / size:.1f} {unit}"
    return f"{ms:.0f} ms"


def so_many_days(days: float) -> str:
    """So many days, as exactly as anybody can foretell them.

    >>> so_many_days(3.6884), so_many_days(0.02), so_many_days(1.0)
    ('3.7 days', '0.1 days', '1 day')
    """
    rounded = max(0.1, round(days, 1))
    return f"{number(rounded)} {'day' if rounded == 1.0 else 'days'}"


def effect_in_words(effect: Effect, *, relative: bool = False) -> str:
    """Effect and interval, or why there is none.

    >>> from bandit.stats import Moments, welch
    >>> effect_in_words(welch(Moments.of([1.0, 2.0, 3.0]), Moments.of([2.0, 4.0, 3.0])))
    '+1 [-1.267, 3.267]'
    >>> effect_in_words(welch(Moments.of([]), Moments.of([2.0, 4.0])))
    '– (a variant has no unit that counts yet)'
    """
    if relative:
        shown = percent(effect.relative_effect, sign="+")
        low, high = percent(effect.relative_ci_low), percent(effect.relative_ci_high)
        reason = effect.relative_reason
    else:
        shown = number(effect.effect, sign="+")
        low, high = number(effect.effect_ci_low), number(effect.effect_ci_high)
        reason = effect.reason
    return f"{shown} ({in_words([reason])})" if reason else f"{shown} [{low}, {high}]"


def margin_in_words(margin: float, scale: str | None) -> str:
    """A margin as one says it.

    >>> margin_in_words(0.02, "relative"), margin_in_words(0.5, "absolute")
    ('2 %', '0.5')
    """
    return f"{100 * margin:.3g} %" if scale == "relative" else number(margin)


def guardrail_in_words(found: MetricEffect) -> str:
    """Whether a guardrail holds: `latency not worse than 2 %`."""
    test = found.non_inferiority
    if test is None or test.margin is None:
        return f"{found.metric} is not a guardrail"
    margin = margin_in_words(test.margin, test.margin_scale)
    by = "than" if test.margin_scale == "relative" else "by"
    if found.guardrail == "ok":
        return f"{found.metric} not worse {by} {margin}"
    if test.p_value is None:
        reason = in_words([test.reason or test.relative_reason or "no_estimate"])
        return f"{found.metric} can not be told ({reason})"
    relative = test.margin_scale == "relative" and test.relative_effect is not None
    seen = percent(test.relative_effect, "+") if relative else number(test.effect, "+")
    if found.guardrail == "violated":
        return f"{found.metric} is worse by more than {margin} ({seen})"
    return f"{found.metric} may be worse by more than {margin} ({seen} so far)"


def outlook_in_words(found: MetricOutlook | None) -> str:
    """What can be found now, and when the effect one cares about can.

    >>> outlook_in_words(MetricOutlook(relative_effect=0.05, power_now=0.3, relative_mde=0.12,
    ...                                units_more=4000.0, days_more=2.5))
    'now +12.0 %; 5 % with 4,000 more units, in about 2.5 days'
    """
    if found is None or found.power_now is None:
        return f"{DASH} ({in_words([(found and found.reason) or 'no_estimate'])})"
    least = percent(found.relative_mde, "+") if found.relative_mde else number(found.mde, "+")
    care = (
        number(found.effect)
        if found.relative_effect is None
        else margin_in_words(found.relative_effect, "relative")
    )
    if found.units_more is None:
        return f"now {least}; {care}: {in_words([found.reason or 'no_effect'])}"
    if found.units_more == 0.0:
        return f"now {least}; the units for {care} are in"
    days = "" if found.days_more is None else f", in about {so_many_days(found.days_more)}"
    return f"now {least}; {care} with {found.units_more:,.0f} more units{days}"


def judgements(found: MetricEffect) -> list[tuple[SequentialMode, Effect]]:
    """An effect as judged in each way that there is: any time, planned looks, one look."""
    shown: list[tuple[SequentialMode, Effect]] = [("anytime", found.anytime)]
    if found.planned is not None:
        shown.append(("planned", found.planned))
    return [*shown, ("fixed", found.effect)]


def beside_in_words(effect: Effect) -> list[str]:
    """What an effect was without covariates and without its cap; nothing where it has neither."""
    texts = []
    under = effect.unadjusted
    if under is not None and under.cap == effect.cap:
        saved = percent(effect.variance_reduction)
        texts.append(f"without covariates {effect_in_words(under)}; they take {saved} of variance")
        under = under.unadjusted
    if under is not None and effect.cap is not None:
        texts.append(f"capped at {number(effect.cap)}; uncapped {effect_in_words(under)}")
    return texts


def notes_of(found: MetricEffect) -> list[str]:
    """What the reader of a metric should know, as sentences; nothing for what is as usual."""
    codes = dict.fromkeys([*found.warnings, *found.effect.warnings])
    texts = [in_words([code]) for code in codes]
    texts += beside_in_words(found.effect)
    for n, text in (
        (found.unripe_n, "units wait for their window to end"),
        (found.none_n, "units have no event and are left out of the mean"),
        (found.capped_n, "units are above the cap"),
    ):
        if n:
            texts.append(f"{n:,} {text}")
    if found.trend is not None and found.trend.verdict == "novelty":
        texts.append("the effect is smaller for units that came later")
    if found.trend is not None and found.trend.verdict == "growth":
        texts.append("the effect is larger for units that came later")
    return texts


def segment_in_words(found: SegmentFinding) -> str:
    """Whether one may say that the effect depends on a member of the context."""
    what = f"{found.metric}, {found.treatment} − {found.control}, by {found.by}"
    if found.p_value_adjusted is None:
        return f"{what}: can not be compared ({in_words([found.reason or 'few_segments'])})."
    p = p_value(found.p_value_adjusted)
    if not found.differs:
        return f"{what}: no difference can be told (p = {p}, corrected); do not read one into it."
    names = [row.value or "others" for row in found.rows if row.differs]
    which = f": {', '.join(names)} stand out" if names else ""
    return f"{what}: the effect differs (p = {p}, corrected){which}."


def value_in_words(value: Value) -> str:
    """Value and interval, or why it was refused."""
    if value.value is None:
        return f"{DASH} ({in_words(value.reasons)})"
    interval = "" if value.ci_low is None else f" [{number(value.ci_low)}, {number(value.ci_high)}]"
    return f"{number(value.value)}{interval}"


def exceptions_in_words(groups: Iterable[GroupCounts], forced_n: int) -> list[str]:
    """What is not as usual with the decisions of a report; nothing for what did not happen.

    >>> exceptions_in_words([GroupCounts(label="c", policy="p")], 2)
    ['2 decisions of units set by hand are in no number.']
    """
    groups = list(groups)
    pinned_n = sum(group.pinned_n for group in groups)
    overridden_n = sum(group.overridden_n for group in groups)
    here = "they count here, and in no policy's value."
    found = []
    if forced_n:
        found.append(f"{forced_n:,} decisions of units set by hand are in no number.")
    if pinned_n:
        found.append(f"{pinned_n:,} decisions had a pinned top slot: {here}")
    if overridden_n:
        found.append(f"{overridden_n:,} decisions showed something else in the top slot: {here}")
    return found


def yardstick_in_words(found: Yardstick) -> list[str]:
    """A policy against the uniform slice: any time, and one planned look."""
    difference = found.difference
    each = [
        f"{difference.treatment} − {difference.control}, {look}: {effect_in_words(effect)} per "
        f"decision, relative {effect_in_words(effect, relative=True)}"
        for look, effect in zip(LOOKS, (difference.anytime, difference.effect), strict=True)
    ]
    return [
        *each,
        f"{number(difference.effect.control)} from {found.uniform_n:,} decisions of the slice "
        f"({percent(found.share)} of units), {number(difference.effect.treatment)} from "
        f"{found.policy_n:,} of {found.policy} outside any experiment.",
    ]
