"""The gate over a saved evaluation: whether it tells of the challenger here, and what it proves."""

from collections.abc import Iterator, Sequence

from bandit.errors import NotDeclared
from bandit.ope import Interval
from bandit.service.evaluation_artefact import Artefact
from bandit.service.promoting_gate import BARRING, gain_check, gate_of
from bandit.service.promoting_records import Gate, GateCheck, GateSegment, PromotionPlan
from bandit.service.reporting_words import duration
from bandit.specs import PolicySpec, Surface
from bandit.store.definitions import Definitions
from bandit.store.numbers_surface import RULES
from bandit.store.reports import Scope

OLDEST_EVALUATION_MS = 7 * 86_400_000
"""An evaluation that is older tells of a surface that may be another one by now."""
LEARNS_BY = (
    "type", "arguments", "parameters", "parts", "floor", "slot_model", "numeric", "window",
)  # fmt: skip
"""What makes two policies of one key learn and draw alike."""


def unfit(artefact: Artefact, scope: Scope, policy: PolicySpec, seen: Definitions) -> str:
    """Why an evaluation tells nothing of a challenger on a surface; empty if it does.

    Args:
        artefact: The evaluation.
        scope: The surface, since when and as of when.
        policy: The challenger, as declared.
        seen: All definitions that may be seen, in their versions.
    """
    run, surface = artefact.run, scope.surface
    if run.surface != surface.key:
        return f"The evaluation is of surface {run.surface}, must be of {surface.key}."
    if policy.key not in {candidate.name for candidate in run.candidates}:
        return f"The evaluation has no candidate {policy.key}."
    evaluated = run[policy.key].spec
    differing = [name for name in LEARNS_BY if getattr(evaluated, name) != getattr(policy, name)]
    if differing:
        return f"The evaluated {policy.key} differs from the declared one in {differing}."
    drew = sorted(run.snapshots)
    if drew != [surface.policy]:
        return (
            f"The evaluated decisions were drawn by {', '.join(drew)}, must be by "
            f"{surface.policy} alone: the gain is over what serves now."
        )
    age_ms = scope.at_ms - run.made_at_ms
    if age_ms > OLDEST_EVALUATION_MS or run.until_ms <= scope.from_ms:
        return (
            f"The evaluation is {duration(age_ms)} old, must be of the last "
            f"{duration(OLDEST_EVALUATION_MS)}, and newer than the challenger's last revert."
        )
    try:
        old = seen.get(Surface.kind, surface.key, run.surface_version).spec
    except NotDeclared:
        return f"The evaluation is of version {run.surface_version} of the surface."
    changed = [name for name in RULES if getattr(old, name) != getattr(surface, name)]
    return f"The surface's {changed} changed since the evaluation." if changed else ""


def judge_evaluation(
    artefact: Artefact,
    scope: Scope,
    challenger: str,
    plan: PromotionPlan,
    before: Sequence[GateCheck],
) -> Gate:
    """The gate over an evaluation; pure.

    Args:
        artefact: The evaluation, which tells of the challenger here (`unfit`).
        scope: The surface, since when and as of when.
        challenger: One of its candidates.
        plan: With the level, and whether segments must be told apart.
        before: Checks that were made already, all passed.
    """
    run, result = artefact.run, artefact.run[challenger]
    evaluation, interval = result.evaluation, result.anytime_gain
    refused = evaluation.verdict == "refuse"
    segments = () if refused else _segments(artefact, challenger)
    told = interval if not refused else None
    return gate_of(
        scope,
        challenger,
        [*before, *_checks(artefact, challenger, plan, segments)],
        alpha=plan.alpha,
        from_ms=run.since_ms,
        source=artefact.id,
        n=run.n,
        units_n=run.units_n,
        excluded=run.excluded,
        gain=result.gain.gain if result.gain and not refused else None,
        gain_low=told.low if told else None,
        gain_high=told.high if told else None,
        ess=evaluation.diagnostics.ess,
        mean_weight=evaluation.diagnostics.mean_weight,
        weight_bound=evaluation.diagnostics.weight_bound,
        verdict=evaluation.verdict,
        reasons=evaluation.reasons,
        segments=segments,
        queries=run.queries,
    )


def _checks(
    artefact: Artefact, challenger: str, plan: PromotionPlan, segments: Sequence[GateSegment]
) -> Iterator[GateCheck]:
    """What the evaluation must say, in the order of what makes the rest pointless."""
    run, result = artefact.run, artefact.run[challenger]
    evaluation = result.evaluation
    barring = [code for code in evaluation.reasons if code in BARRING]
    codes = evaluation.reasons if evaluation.verdict == "refuse" else barring
    text = f"The log can tell: {run.n:,} decisions of {run.units_n:,} units."
    if evaluation.verdict == "refuse" or barring:
        text = f"The log can not tell: {'; '.join(artefact.reasons.get(c, c) for c in codes)}."
        yield GateCheck(code="support", passed=False, text=text)
        return
    yield GateCheck(code="support", passed=True, text=text)
    yield _gain(result.anytime_gain, run.settings.alpha, plan)
    worse = [segment.value for segment in segments if segment.is_worse]
    untold = not segments and plan.segments is None
    text = f"None of {len(segments)} segments is worse."
    if untold:
        text = "The evaluation tells no segments apart: make it with --segment."
    elif worse:
        text = f"The challenger is worse in {', '.join(worse)}."
    yield GateCheck(code="segments", passed=not (worse or untold), text=text)


def _gain(interval: Interval | None, alpha: float, plan: PromotionPlan) -> GateCheck:
    if interval is None:
        text = "The evaluation has no interval of candidate − logging that holds at any look."
        return GateCheck(code="gain", passed=False, text=text)
    return gain_check(
        interval,
        alpha,
        passed=interval.low > 0.0 and alpha <= plan.alpha,
        must="must be above 0 at the plan's level",
    )


def _segments(artefact: Artefact, challenger: str) -> tuple[GateSegment, ...]:
    return tuple(
        GateSegment(
            by=segment.name.partition("=")[0],
            value=segment.name,
            n=segment.n,
            low=segment.anytime.low,
            high=segment.anytime.high,
            is_worse=segment.anytime.high < 0.0,
        )
        for segment in artefact.run[challenger].segments
        if segment.anytime is not None
    )
