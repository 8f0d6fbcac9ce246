"""The verdict on an experiment, in plain words, with the reason and the next step; pure.

What decides is the judgement that the experiment declares: at any look unless it says otherwise.
"""

from collections.abc import Sequence

from bandit.errors import RecordError
from bandit.service.judging_families import decided
from bandit.service.judging_payloads import MetricEffect, Verdict
from bandit.service.judging_sentences import (
    Facts,
    checks,
    claim,
    sentence,
    split_in_words,
    valid,
    warned,
    what_next,
    why_open,
)
from bandit.service.reporting_words import guardrail_in_words, in_words
from bandit.specs import Experiment
from bandit.stats import Effect


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
        reason=f"For {first.metric}: {in_words(reasons)}.{warned(first)}",
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
    parts = [sentence(best, facts), *held, split_in_words(facts), valid(best, facts)]
    return Verdict(
        state="better",
        headline=f"Ship {best.treatment}: {'; '.join(parts)}.",
        reason=f"{claim(facts)} {checks(best, facts)}",
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
        reason=f"{claim(facts)} Each guardrail must be shown not to be "
        f"worse by its margin. {checks(best, facts)}",
        next_step=step,
    )


def _worse(worst: MetricEffect, facts: Facts) -> Verdict:
    parts = [sentence(worst, facts), split_in_words(facts), valid(worst, facts)]
    return Verdict(
        state="worse",
        headline=f"Do not ship {worst.treatment}, it is worse: {'; '.join(parts)}.",
        reason=f"{claim(facts)} {checks(worst, facts)}",
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
        f"{why_open(early, facts)} {checks(early, facts)}",
        next_step=what_next(early, facts),
    )


def _unclear(clearest: MetricEffect, facts: Facts) -> Verdict:
    deciding = clearest.by(facts.sequential)
    mode = "fixed" if deciding.effect_ci_low is None else facts.sequential
    words = sentence(clearest, facts._replace(sequential=mode))
    return Verdict(
        state="unclear",
        headline=f"No difference can be told yet: {words}.",
        reason=f"{why_open(clearest, facts)} {checks(clearest, facts)}",
        next_step=what_next(clearest, facts),
    )


def _gain(found: MetricEffect, effect: Effect) -> int:
    """1 if the effect is shown to be good, −1 if bad, 0 if neither."""
    if not decided(effect) or not effect.effect:
        return 0
    return 1 if (effect.effect > 0.0) == (found.better == "higher") else -1


def _size(found: MetricEffect) -> float:
    return abs(found.effect.effect or 0.0)
