"""One line about each experiment and surface; pure."""

from typing import Any

from bandit.errors import BanditError, NotDeclared, RecordError
from bandit.service.judging import Judged
from bandit.service.judging_verdicts import not_judged
from bandit.service.reporting_declared import DeclaredAt
from bandit.service.reporting_numbers import Judging, judging_of
from bandit.service.reporting_payloads import ExperimentHeadline, HealthState, SurfaceHeadline
from bandit.service.reporting_words import guardrail_in_words, in_words
from bandit.specs import AnySpec, Experiment, Surface
from bandit.store.definitions import Definition
from bandit.store.numbers_surface import RECENT_MS
from bandit.store.reports import Span

NOTHING_DECLARED = (
    "Nothing is declared yet: PUT /v1/policies/{key}, then PUT /v1/surfaces/{key} — or run "
    "`bandit demo`."
)

MANY = 0.01
"""Units left out, as a share of those that count, above which one should look into it."""


def judging_or_why(declared: DeclaredAt, experiment: Experiment) -> Judging | BanditError:
    """What an experiment's numbers are made by, or why it can not be judged."""
    try:
        return judging_of(declared, experiment)
    except (RecordError, NotDeclared) as exc:
        return exc


def headline_of(definition: Definition, judged: Judged, as_of_ms: int) -> ExperimentHeadline:
    """One line about an experiment.

    Args:
        definition: As declared.
        judged: What was found.
        as_of_ms: The time that its numbers are of.
    """
    state, reason = health_of_experiment(judged)
    days, days_reason = days_left_of(definition.spec, judged)
    return _line(
        definition,
        as_of_ms=as_of_ms,
        sequential=judged.sequential,
        units_n=sum(variant.units_n for variant in judged.variants),
        health=state,
        health_reason=reason,
        days_left=days,
        days_left_reason=days_reason,
        verdict=judged.verdict,
        primary=tuple(effect for effect in judged.effects if effect.is_primary),
    )


def broken_headline(definition: Definition, why: BanditError) -> ExperimentHeadline:
    """One line about an experiment that can not be judged as it is declared."""
    experiment = definition.spec
    assert isinstance(experiment, Experiment)
    verdict = not_judged(experiment, RecordError(str(why)))
    return _line(
        definition,
        sequential=experiment.sequential,
        units_n=0,
        health="broken",
        health_reason=verdict.reason,
        days_left_reason="no_estimate",
        verdict=verdict,
        primary=(),
    )


def health_of_experiment(judged: Judged) -> tuple[HealthState, str]:
    """Whether an experiment's numbers may be believed, and what is the matter if not."""
    if judged.verdict.state == "broken":
        return "broken", judged.verdict.reason
    units_n = sum(variant.units_n for variant in judged.variants)
    if not units_n:
        return "unknown", "no unit counts yet"
    troubles = []
    for found in judged.effects:
        if found.silence is not None:
            code = "no_events" if found.silence.since is None else "silent_lately"
            troubles.append(f"{found.metric}: {in_words([code])}")
        if found.guardrail == "violated":
            troubles.append(guardrail_in_words(found))
    for n, what in (
        (judged.crossed_units_n, "were seen in two variants"),
        (judged.bots_units_n, "are taken for bots"),
    ):
        if n > MANY * units_n:
            troubles.append(f"{n:,} units {what}")
    return ("attention", "; ".join(dict.fromkeys(troubles))) if troubles else ("fine", "")


def days_left_of(experiment: AnySpec, judged: Judged) -> tuple[float | None, str | None]:
    """Days until a plan is over, or else until the effect one cares about can be told."""
    assert isinstance(experiment, Experiment)
    if experiment.status != "running":
        return None, "not_running"
    if judged.verdict.state in ("better", "worse"):
        return 0.0, None
    outlooks = [
        found.outlook for found in judged.effects if found.is_primary and found.outlook is not None
    ]
    if judged.plan is not None and judged.sequential == "planned":
        paces = [one.units_per_day for one in outlooks if one.units_per_day]
        missing = judged.plan.planned_units - judged.plan.units_n
        if missing <= 0:
            return 0.0, None
        return (missing / max(paces), None) if paces else (None, "no_arrivals")
    days = [one.days_more for one in outlooks if one.days_more is not None]
    if days and len(days) == len(outlooks):
        return max(days), None
    reasons = [one.reason for one in outlooks if one.reason is not None]
    return None, reasons[0] if reasons else "no_estimate"


def _line(definition: Definition, **found: Any) -> ExperimentHeadline:
    """What is declared of an experiment, and what was found."""
    experiment = definition.spec
    assert isinstance(experiment, Experiment)
    return ExperimentHeadline(
        key=experiment.key,
        description=experiment.description,
        surface=experiment.surface,
        status=experiment.status,
        owner=experiment.owner or definition.author,
        **found,
    )


def surface_headline(declared: DeclaredAt, surface: Surface, span: Span | None) -> SurfaceHeadline:
    """One line about a surface; of None if it was never used."""
    return SurfaceHeadline(
        key=surface.key,
        description=surface.description,
        policy=surface.policy,
        killed=surface.killed,
        experiments=declared.shown_experiments(surface.key),
        decisions_n=span.decisions_n if span else 0,
        per_s=span.recent_n / (RECENT_MS / 1000) if span else 0.0,
        newest_decision_ms=span.newest_ms if span else None,
    )
