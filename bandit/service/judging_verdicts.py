"""Numbers → plain words, with the reason and the next step; pure.

What decides is the judgement that the experiment declares: at any look unless it says otherwise.
"""

from collections.abc import Sequence
from typing import NamedTuple

from bandit.errors import RecordError
from bandit.service.judging_families import decided
from bandit.service.judging_payloads import (
    GroupCounts,
    MetricEffect,
    PlanProgress,
    SequentialMode,
    Verdict,
)
from bandit.service.reporting_words import (
    guardrail_in_words,
    in_words,
    margin_in_words,
    number,
    percent,
    so_many_days,
)
from bandit.specs import Experiment
from bandit.stats import Effect
from bandit.stats.sequential.comparison import FIRST_LOOK

VALID = {
    "anytime": "peeking-safe",
    "planned": "valid at the planned looks",
    "fixed": "valid for this one look only",
}
"""How a claim may be read, by what decided it."""
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


def verdict_of(facts: Facts) -> Verdict:
    """What can be said of an experiment now."""
    counts = facts.counts
    if not any(variant.decisions_n or variant.units_n for variant in counts):
        return _no_data(facts)
    if facts.split == "mismatch":
        return _mismatch(facts)
    counted = any(variant.counted_n for variant in counts)
    if facts.experiment.surface is not None and not counted:
        return _waiting(facts)
    primary = [found for found in facts.effects if found.role == "primary"]
    if not primary:
        return _no_metric(facts.experiment)
    known = [found for found in primary if found.effect.p_value is not None]
    return _answer(known, facts) if known else _no_interval(primary)


def not_judged(experiment: Experiment, why: RecordError) -> Verdict:
    """What is said of an experiment whose declaration can not be judged."""
    return Verdict(
        state="broken",
        headline="This experiment can not be judged as it is declared.",
        reason=f"{str(why)[:1].upper()}{str(why)[1:]}.",
        next_step=f"Correct it: PUT /v1/experiments/{experiment.key}.",
    )


def _no_data(facts: Facts) -> Verdict:
    experiment = facts.experiment
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
    what = "assignment" if experiment.surface is None else "decision"
    return Verdict(
        state="no_data",
        headline=f"No {what} of this experiment {'counts' if facts.left_out else 'is in the log'}.",
        reason=f"Its status is {experiment.status}.{facts.left_out}",
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


def _mismatch(facts: Facts) -> Verdict:
    found = ", ".join(
        f"{one.label} has {one.units_n} units where "
        f"{facts.expected.get(one.label, 0.0):.0f} were expected"
        for one in facts.counts
    )
    p_value = "" if facts.split_p is None else f" (p = {facts.split_p:.2g})"
    return Verdict(
        state="broken",
        headline="Do not trust the effects: units did not arrive as they were allocated.",
        reason=f"{found}{p_value}.{facts.left_out}",
        next_step="Look for bots, redirects, a variant that fails before its decision, or an "
        "allocation that was changed while the experiment ran.",
    )


def _waiting(facts: Facts) -> Verdict:
    open_n = sum(variant.open_n for variant in facts.counts)
    unseen_n = sum(variant.unseen_n for variant in facts.counts)
    unseen = f" {unseen_n} were deferred and never seen." if unseen_n else ""
    window = "" if facts.window_s is None else f" of {facts.window_s:g} s"
    return Verdict(
        state="waiting",
        headline="Nothing can be counted yet.",
        reason=f"{open_n} decisions wait for their join window{window} to end.{unseen}",
        next_step="Come back when it has."
        if open_n
        else "Post exposures of what was seen to /v1/exposures.",
    )


def _no_interval(primary: Sequence[MetricEffect]) -> Verdict:
    first = primary[0]
    unripe_n = sum(found.unripe_n for found in primary)
    if unripe_n and not any(e.effect.control_n or e.effect.treatment_n for e in primary):
        return Verdict(
            state="waiting",
            headline=f"Nothing can be counted yet: the window of {first.metric} is not over for "
            "any unit.",
            reason=f"{unripe_n:,} units wait for it.",
            next_step="Come back when it is over for the first of them.",
        )
    reasons = sorted({found.effect.reason for found in primary if found.effect.reason})
    return Verdict(
        state="unclear",
        headline="There is no interval yet.",
        reason=f"For {first.metric}: {in_words(reasons)}.{_warned(first)}",
        next_step="Keep it running until every variant has some units."
        if "no_variance" not in reasons
        else f"Look whether the events of {first.metric} come in at all.",
    )


def _answer(known: Sequence[MetricEffect], facts: Facts) -> Verdict:
    """What the intervals say: a better treatment, only worse ones, an early sign, or nothing."""
    mode = facts.sequential
    winners = [found for found in known if _gain(found, found.by(mode)) > 0]
    if winners:
        safe = [found for found in winners if not _unsafe(found, facts)]
        if safe:
            return _better(max(safe, key=_size), facts)
        return _guarded(max(winners, key=_size), facts)
    if all(_gain(found, found.by(mode)) < 0 for found in known):
        return _worse(max(known, key=_size), facts)
    open_ones = [found for found in known if _gain(found, found.by(mode)) == 0]
    early = [found for found in open_ones if _gain(found, found.effect) != 0]
    if early:
        best = max(early, key=lambda found: (_gain(found, found.effect), _size(found)))
        return _not_yet(best, facts)
    return _unclear(max(open_ones, key=_size), facts)


def _guardrails(found: MetricEffect, facts: Facts) -> list[MetricEffect]:
    """The guardrails of the same treatment."""
    return [
        one for one in facts.effects if one.role == "guardrail" and one.treatment == found.treatment
    ]


def _unsafe(found: MetricEffect, facts: Facts) -> list[MetricEffect]:
    return [one for one in _guardrails(found, facts) if one.guardrail != "ok"]


def _better(best: MetricEffect, facts: Facts) -> Verdict:
    held = [f"guardrail {guardrail_in_words(one)}" for one in _guardrails(best, facts)]
    parts = [sentence(best, facts), *held, _split_words(facts), _valid(best, facts)]
    return Verdict(
        state="better",
        headline=f"Ship {best.treatment}: {'; '.join(parts)}.",
        reason=f"{_CLAIM[facts.sequential]}{_nearly(facts)} {_checks(best, facts)}",
        next_step=f"Stop whenever it suits, and let {best.treatment} serve everybody.",
    )


def _guarded(best: MetricEffect, facts: Facts) -> Verdict:
    unsafe = _unsafe(best, facts)
    broken = [one for one in unsafe if one.guardrail == "violated"]
    texts = "; ".join(f"guardrail {guardrail_in_words(one)}" for one in broken or unsafe)
    step = (
        f"Do not ship {best.treatment} as it is: find out what it costs in "
        f"{' and '.join(one.metric for one in broken)}."
        if broken
        else "Keep it running until the guardrails can be told."
    )
    return Verdict(
        state="guardrail",
        headline=f"Do not ship {best.treatment} yet: {sentence(best, facts)}, but {texts}.",
        reason=f"{_CLAIM[facts.sequential]}{_nearly(facts)} Each guardrail must be shown not to be "
        f"worse by its margin. {_checks(best, facts)}",
        next_step=step,
    )


def _worse(worst: MetricEffect, facts: Facts) -> Verdict:
    parts = [sentence(worst, facts), _split_words(facts), _valid(worst, facts)]
    return Verdict(
        state="worse",
        headline=f"Do not ship {worst.treatment}, it is worse: {'; '.join(parts)}.",
        reason=f"{_CLAIM[facts.sequential]}{_nearly(facts)} {_checks(worst, facts)}",
        next_step=f"Stop the experiment, or give {worst.treatment} fewer buckets.",
    )


def _not_yet(early: MetricEffect, facts: Facts) -> Verdict:
    seems = "better" if _gain(early, early.effect) > 0 else "worse"
    words = sentence(early, facts._replace(sequential="fixed"))
    return Verdict(
        state="not_yet",
        headline=f"Not yet: only one planned look would call {early.treatment} {seems} than "
        f"{early.control}: {words}.",
        reason="That interval leaves out 0, but holds for one look at a time that was planned. "
        f"{_open(early, facts)} {_checks(early, facts)}",
        next_step=_later(early, facts),
    )


def _unclear(clearest: MetricEffect, facts: Facts) -> Verdict:
    deciding = clearest.by(facts.sequential)
    mode = "fixed" if deciding.effect_ci_low is None else facts.sequential
    words = sentence(clearest, facts._replace(sequential=mode))
    return Verdict(
        state="unclear",
        headline=f"No difference can be told yet: {words}.",
        reason=f"{_open(clearest, facts)} {_checks(clearest, facts)}",
        next_step=_later(clearest, facts),
    )


def _later(found: MetricEffect, facts: Facts) -> str:
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


def _open(found: MetricEffect, facts: Facts) -> str:
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
    return f"There is no interval yet that {holds}: {why}.{_warned(found)}"


def _warned(found: MetricEffect) -> str:
    loud = [code for code in found.warnings if code in ("no_events", "silent_lately")]
    return f" {in_words(loud).capitalize()}." if loud else ""


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
        f" Nearly so: units have {number(round(each, 1))} decisions each, and a number that changes after it "
        "counted is outside the promise."
    )


def _valid(found: MetricEffect, facts: Facts) -> str:
    """How the claim may be read."""
    words, look = VALID[facts.sequential], found.by(facts.sequential).sequential
    if facts.sequential != "planned" or look is None:
        return words
    return f"{words} (look {look.look} of {look.looks})"


def _split_words(facts: Facts) -> str:
    return "SRM fine" if facts.split == "fine" else "SRM not checked yet"


def _checks(found: MetricEffect, facts: Facts) -> str:
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
    parts.append(_warned(found).strip())
    return " ".join(part for part in parts if part)


def sentence(found: MetricEffect, facts: Facts) -> str:
    """As in: reward +4.1 % [1.2, 7.0], +0.12 per decision [0.04, 0.21] at 95 %."""
    effect = found.by(facts.sequential)
    low, high = _ends(effect)
    absolute = f"{number(effect.effect, '+')} per {found.per} [{number(low)}, {number(high)}]"
    level = f"at {100 * (1 - effect.alpha):.4g} %"
    if effect.relative_effect is None or effect.relative_ci_low is None:
        return f"{found.metric} {absolute} {level}"
    ends = [effect.relative_ci_low, effect.relative_ci_high]
    shown = ", ".join("–" if end is None else f"{100 * end:.1f}" for end in ends)
    return f"{found.metric} {percent(effect.relative_effect, '+')} [{shown}], {absolute} {level}"


def _ends(effect: Effect) -> tuple[float, float]:
    low, high = effect.effect_ci_low, effect.effect_ci_high
    assert low is not None, "only two-sided intervals are put into words"
    assert high is not None, "only two-sided intervals are put into words"
    return low, high


def _gain(found: MetricEffect, effect: Effect) -> int:
    """1 if the effect is shown to be good, −1 if bad, 0 if neither."""
    if not decided(effect) or not effect.effect:
        return 0
    return 1 if (effect.effect > 0.0) == (found.better == "higher") else -1


def _size(found: MetricEffect) -> float:
    return abs(found.effect.effect or 0.0)
