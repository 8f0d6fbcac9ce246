"""One line about each experiment and surface; pure."""

from bandit.errors import BanditError, NotDeclared, RecordError
from bandit.service.judging import Judged
from bandit.service.judging_verdicts import not_judged
from bandit.service.reporting_declared import Declared
from bandit.service.reporting_numbers import Judging, judging_of
from bandit.service.reporting_payloads import ExperimentHeadline, SurfaceHeadline
from bandit.specs import Experiment, Surface
from bandit.store.numbers_surface import RECENT_MS
from bandit.store.reports import Span

NOTHING_DECLARED = (
    "Nothing is declared yet: PUT /v1/policies/{key}, then PUT /v1/surfaces/{key} — or run "
    "`bandit demo`."
)


def judging_or_why(declared: Declared, experiment: Experiment) -> Judging | BanditError:
    """What an experiment's numbers are made by, or why it can not be judged."""
    try:
        return judging_of(declared, experiment)
    except (RecordError, NotDeclared) as exc:
        return exc


def headline_of(experiment: Experiment, judged: Judged, as_of_ms: int) -> ExperimentHeadline:
    """One line about an experiment.

    Args:
        experiment: As declared.
        judged: What was found.
        as_of_ms: The time that its numbers are of.
    """
    return ExperimentHeadline(
        key=experiment.key,
        description=experiment.description,
        surface=experiment.surface,
        status=experiment.status,
        as_of_ms=as_of_ms,
        units_n=sum(variant.units_n for variant in judged.variants),
        verdict=judged.verdict,
        primary=tuple(effect for effect in judged.effects if effect.is_primary),
    )


def broken_headline(experiment: Experiment, why: BanditError) -> ExperimentHeadline:
    """One line about an experiment that can not be judged as it is declared."""
    return ExperimentHeadline(
        key=experiment.key,
        description=experiment.description,
        surface=experiment.surface,
        status=experiment.status,
        units_n=0,
        verdict=not_judged(experiment, RecordError(str(why))),
        primary=(),
    )


def surface_headline(declared: Declared, surface: Surface, span: Span | None) -> SurfaceHeadline:
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
