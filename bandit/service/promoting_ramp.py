"""What a ramp does next: pure, from a report of its experiment."""

import hashlib

from bandit.service.promoting_records import PromotionPlan, RampLook
from bandit.service.reporting_payloads import ExperimentReport, Health, MetricEffect
from bandit.service.reporting_words import duration, in_words, number
from bandit.specs import BUCKETS, Experiment, Surface, Variant
from bandit.store.promotions import PromotionStep

LIVE, CHALLENGER = "live", "challenger"
LONGEST_KEY = 100
STALE_MS = 3_600_000
"""A challenger whose learner is so far behind is taken back; a shorter lag only holds the ramp."""
HOLDING = frozenset({"no_drain", "drain_behind", "silent_hosts", "no_rewards"})
"""Problems while which the log can not be up to date, so that nothing may be concluded."""


def experiment_key(surface: str, promotion_id: int) -> str:
    """Key of the experiment of a surface's promotion.

    >>> experiment_key("home.feed", 3)
    'home.feed.promotion-3'
    """
    key = f"{surface}.promotion-{promotion_id}"
    if len(key) <= LONGEST_KEY:
        return key
    digest = hashlib.sha256(surface.encode()).hexdigest()[:12]
    return f"{surface[:60]}.{digest}.promotion-{promotion_id}"


def ramp_experiment(
    surface: Surface,
    plan: PromotionPlan,
    *,
    promotion_id: int,
    live: str,
    challenger: str,
    stage: int,
    author: str,
) -> Experiment:
    """The experiment of a ramp at a stage.

    Until the last stage live and challenger own as many buckets each, from opposite ends, so that
    they only ever grow and are split one to one throughout.
    """
    owned = min(BUCKETS // 2, max(1, round(plan.ramp[stage] / 100.0 * BUCKETS)))
    key = experiment_key(surface.key, promotion_id)
    return Experiment(
        key=key,
        project=surface.project,
        surface=surface.key,
        salt=key,
        control=LIVE,
        variants=[
            Variant(key=LIVE, policy=live, allocation=[(BUCKETS - owned, BUCKETS)]),
            Variant(key=CHALLENGER, policy=challenger, allocation=[(0, owned)]),
        ],
        metrics=list(plan.metrics),
        guardrails=list(plan.guardrails),
        segments=list(plan.segments or ()),
        status="running",
        description=f"Ramp of promotion {promotion_id} of {surface.key}: {challenger} in place of "
        f"{live}, begun by {author}.",
    )


def look_at(
    step: PromotionStep, plan: PromotionPlan, surface: Surface, report: ExperimentReport
) -> RampLook:
    """Whether a stage is over, must go on, or must be taken back.

    Args:
        step: The newest of the promotion.
        plan: How it was asked for.
        surface: As declared now.
        report: Of the ramp's experiment.
    """
    counted = {variant.label: variant.counted_n for variant in report.variants}
    primary = next((effect for effect in report.effects if effect.is_primary), None)

    def look(action: str, reason: str) -> RampLook:
        judged = primary.anytime if primary else None
        return RampLook(
            action=action,  # type: ignore[arg-type]
            reason=reason,
            at_ms=report.as_of_ms,
            counted_n=counted,
            metric=primary.metric if primary else "",
            effect=judged.effect if judged else None,
            effect_low=judged.effect_ci_low if judged else None,
            effect_high=judged.effect_ci_high if judged else None,
        )

    broken = _harm(primary, report, step.challenger)
    if broken:
        return look("revert", broken)
    waits = _waits(step, plan, surface, report, counted)
    if waits:
        return look("hold", waits)
    judged = primary.anytime if primary else None
    where = "" if judged is None else _interval(judged.effect_ci_low, judged.effect_ci_high)
    return look(
        "next",
        f"Nothing says worse after {counted.get(CHALLENGER, 0):,} decisions of the challenger"
        + (f" (challenger − live is in {where} per {primary.per})." if primary and where else "."),
    )


def _harm(primary: MetricEffect | None, report: ExperimentReport, challenger: str) -> str:
    """Why the challenger must be taken back; empty if it need not."""
    if primary is not None and _is_worse(primary):
        judged = primary.anytime
        return (
            f"The challenger is worse: {primary.metric} of challenger − live is in "
            f"{_interval(judged.effect_ci_low, judged.effect_ci_high)} per {primary.per}, "
            "at any look."
        )
    for effect in report.effects:
        if effect.guardrail == "violated":
            judged = effect.anytime
            return (
                f"Guardrail {effect.metric} is violated: challenger − live is in "
                f"{_interval(judged.effect_ci_low, judged.effect_ci_high)} per {effect.per}."
            )
    return _sick(report.health, challenger)


def _is_worse(effect: MetricEffect) -> bool:
    """Whether the whole anytime interval is on the wrong side of 0."""
    low, high = effect.anytime.effect_ci_low, effect.anytime.effect_ci_high
    if low is None or high is None:
        return False
    return low > 0.0 if effect.better == "lower" else high < 0.0


def _sick(health: Health, challenger: str) -> str:
    """What is wrong with the challenger itself."""
    for policy in health.policies:
        if policy.policy != challenger or not policy.learns or health.newest_decision_ms is None:
            continue
        if policy.learning is None:
            if any(
                p.code == "not_learning" and repr(challenger) in p.text for p in health.problems
            ):
                return f"The challenger learns nothing: {challenger} has published no snapshot."
            continue
        behind = [p for p in health.problems if p.code == "learner_behind"]
        behind_ms = health.newest_decision_ms - policy.learning.watermark_ms
        if behind_ms > STALE_MS and any(repr(challenger) in p.text for p in behind):
            return (
                f"The challenger is stale: {challenger} has learned nothing of the last "
                f"{duration(behind_ms)} of decisions."
            )
    return ""


def _waits(
    step: PromotionStep,
    plan: PromotionPlan,
    surface: Surface,
    report: ExperimentReport,
    counted: dict[str, int],
) -> str:
    """What a stage waits for; empty if it is over."""
    if surface.killed:
        return "The kill switch is on: nothing is tried until it is off."
    if report.verdict.state == "broken":
        return f"{report.verdict.headline} {report.verdict.reason}"
    problems = [problem for problem in report.health.problems if problem.code in HOLDING]
    if problems:
        return problems[0].text
    least_ms = round(1000 * max(plan.stage_s, surface.join_window_s))
    since_ms = report.as_of_ms - step.at_ms
    if since_ms < least_ms:
        return f"The stage lasts {duration(least_ms)}, and began {duration(since_ms)} ago."
    for variant in (LIVE, CHALLENGER):
        if counted.get(variant, 0) < plan.stage_n:
            return (
                f"{counted.get(variant, 0):,} decisions of variant {variant} count, must be "
                f"{plan.stage_n:,}."
            )
    effects = [effect for effect in report.effects if effect.is_primary]
    if any(effect.anytime.effect_ci_low is None for effect in effects):
        codes = [effect.anytime.reason or "no_variance" for effect in effects]
        return f"The effect can not be told yet: {in_words(codes)}."
    return ""


def _interval(low: float | None, high: float | None) -> str:
    return f"[{number(low, '+')}, {number(high, '+')}]"
