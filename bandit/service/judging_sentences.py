"""What verdicts are worded of: an effect, why it may be claimed or not, what comes next; pure."""

from collections.abc import Sequence
from typing import NamedTuple

from bandit.service.judging_payloads import (
    GroupCounts,
    MetricEffect,
    PlanProgress,
    SequentialMode,
)
from bandit.service.reporting_words import (
    in_words,
    level_in_words,
    margin_in_words,
    number,
    percent,
    so_many_days,
)
from bandit.specs import Experiment
from bandit.stats import Effect
from bandit.stats.sequential.comparison import FIRST_LOOK

_VALID = {
    "anytime": "peeking-safe",
    "planned": "valid at the planned looks",
    "fixed": "valid for this one look only",
}
"""How a claim may be read, by what decided it."""
TINY = 5e-4
"""A share of the control that would read 0.0 %, on whichever side of 0 it is."""
_CLAIM = {
    "anytime": "The interval holds at every look together, and leaves out 0.",
    "planned": "The bound of this planned look is passed, and all looks together err at most as "
    "often as the level says.",
    "fixed": "The interval of one look leaves out 0; watched, it finds effects that are not there.",
}
_GROWING = (
    " Nearly so: a unit counts from its first assignment on, and outcomes that come after it "
    "counted are outside the promise."
)


class Facts(NamedTuple):
    """All that a verdict depends on.

    Attributes:
        experiment: What is judged.
        sequential: What decides.
        counts: Per variant.
        left_out: Sentences about units that are in no number.
        split: Whether units are split as allocated: `fine`, `mismatch` or `unknown`.
        split_p: Its p-value.
        expected: Units that each variant should have.
        effects: Of all metrics.
        plan: Of a planned experiment.
        window_s: The surface's join window, if it is known.
    """

    experiment: Experiment
    sequential: SequentialMode
    counts: Sequence[GroupCounts]
    left_out: str
    split: str
    split_p: float | None
    expected: dict[str, float]
    effects: Sequence[MetricEffect]
    plan: PlanProgress | None = None
    window_s: float | None = None


def what_next(found: MetricEffect, facts: Facts) -> str:
    """When more can be told."""
    plan, ahead = facts.plan, found.outlook
    if facts.sequential == "planned" and plan is not None:
        if plan.finished:
            return "The plan is over: no difference was found. Stop, or plan a longer one anew."
        return (
            f"Keep it running: look {plan.looks_done + 1} of {plan.looks} is due at "
            f"{plan.next_look_units_n:,} units, and {plan.units_n:,} are in."
        )
    if ahead is None or ahead.units_more is None or ahead.effect is None:
        more = "the interval narrows as units come"
        return f"Keep it running: {more}. If the whole interval is too small to matter, stop."
    care = "an effect of " + (
        number(ahead.effect)
        if ahead.relative_effect is None
        else margin_in_words(ahead.relative_effect, "relative")
    )
    if ahead.units_more == 0:
        return (
            f"It has the units to find {care} in four of five runs: if less does not matter, stop."
        )
    more = f"{ahead.units_more:,.0f} more units find {care} in four of five runs"
    if ahead.days_more is not None:
        more += f", in about {so_many_days(ahead.days_more)} at the present rate"
    return f"Keep it running: {more}. If the whole interval is too small to matter, stop."


def why_open(found: MetricEffect, facts: Facts) -> str:
    """Why nothing can be said as what decides judges it."""
    effect = found.by(facts.sequential)
    holds = {
        "anytime": "holds at every look",
        "planned": "holds at the planned looks",
        "fixed": "holds for one look",
    }[facts.sequential]
    if effect.reason is None and effect.effect_ci_low is not None:
        low, high = _ends(effect)
        return f"The interval that {holds}, [{low:.3g}, {high:.3g}], includes 0."
    why = in_words([effect.reason or ""])
    if effect.reason == "few_units":
        why = f"it starts at {FIRST_LOOK:.0f} units"
    return f"There is no interval yet that {holds}: {why}.{warned(found)}"


def warned(found: MetricEffect) -> str:
    """What keeps its events from coming in; empty if nothing seems to."""
    loud = [code for code in found.warnings if code in ("no_events", "silent_lately")]
    return f" {in_words(loud).capitalize()}." if loud else ""


def claim(facts: Facts) -> str:
    """What may be claimed by an interval that leaves out 0."""
    return f"{_CLAIM[facts.sequential]}{_nearly(facts)}"


def _nearly(facts: Facts) -> str:
    """What units with several decisions do to the promise: their numbers change after they count.

    Of nulls watched 200 times at a nominal 5 %, every unit back at every look, 9.5 % were called
    better or worse by means per decision and none by sums per unit (`test_judging_watched.py`);
    by one planned look, watched, 82 % and 27 %.
    """
    if facts.sequential == "fixed":
        return ""
    if facts.experiment.surface is None:
        return _GROWING
    units_n = sum(variant.units_n for variant in facts.counts)
    each = sum(variant.counted_n for variant in facts.counts) / units_n if units_n else 0.0
    if each <= 1.0:
        return ""
    return (
        f" Nearly so: units have {number(round(each, 1))} decisions each, and a number that "
        "changes after it counted is outside the promise."
    )


def valid(found: MetricEffect, facts: Facts) -> str:
    """How the claim may be read."""
    words, look = _VALID[facts.sequential], found.by(facts.sequential).sequential
    if facts.sequential != "planned" or look is None:
        return words
    return f"{words} (look {look.look} of {look.looks})"


def split_in_words(facts: Facts) -> str:
    """Whether units are split as allocated."""
    return "SRM fine" if facts.split == "fine" else "SRM not checked yet"


def checks(found: MetricEffect, facts: Facts) -> str:
    """What was checked beside the interval, and what the level is shared by."""
    p_value = "" if facts.split_p is None else f" (p = {facts.split_p:.2g})"
    parts = [
        f"SRM fine{p_value}." if facts.split == "fine" else "Too few units to check the split.",
        facts.left_out.strip(),
    ]
    treatments_n = len({one.treatment for one in facts.effects})
    if treatments_n > 1:
        correction = found.by(facts.sequential).correction
        parts.append(
            f"Each of the {treatments_n} treatments is judged at this level by itself."
            if correction is None
            else f"The {treatments_n} treatments share the level ({correction})."
        )
    if found.trend is not None and found.trend.verdict == "novelty":
        parts.append("The effect is smaller for units that came later: it may wear off.")
    parts.append(warned(found).strip())
    return " ".join(part for part in parts if part)


def sentence(found: MetricEffect, facts: Facts) -> str:
    """As in: reward +4.1 % [1.2, 7.0], +0.12 per decision [0.04, 0.21] at 95 %."""
    effect = found.by(facts.sequential)
    low, high = _ends(effect)
    absolute = f"{number(effect.effect, '+')} per {found.per} [{number(low)}, {number(high)}]"
    level = f"at {level_in_words(effect.alpha)}"
    if effect.relative_effect is None or effect.relative_ci_low is None:
        return f"{found.metric} {absolute} {level}"
    ends = [effect.relative_ci_low, effect.relative_ci_high]
    if all(abs(end or 0.0) < TINY for end in (effect.relative_effect, *ends)):
        return f"{found.metric} {absolute} {level}"
    shown = ", ".join("–" if end is None else f"{100 * end:.1f}" for end in ends)
    return f"{found.metric} {percent(effect.relative_effect, '+')} [{shown}], {absolute} {level}"


def _ends(effect: Effect) -> tuple[float, float]:
    low, high = effect.effect_ci_low, effect.effect_ci_high
    assert low is not None, "only two-sided intervals are put into words"
    assert high is not None, "only two-sided intervals are put into words"
    return low, high
