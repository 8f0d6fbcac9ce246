"""Effects over time, from kept numbers; pure."""

from collections.abc import Iterator, Sequence

from bandit.errors import RecordError
from bandit.service.reporting_numbers import Judging
from bandit.service.reporting_payloads import (
    ExperimentHistory,
    HistoryPoint,
    MetricEffect,
    TimeMark,
)
from bandit.store.kept import Kept

NOTHING_KEPT = (
    "Nothing is kept yet of this experiment as it is declared now: `bandit refresh` (a part of "
    "`bandit up`) keeps its numbers from now on."
)


def history_of(
    judging: Judging,
    kept: Sequence[Kept],
    alpha: float,
    metric: str | None = None,
    marks: tuple[TimeMark, ...] = (),
) -> ExperimentHistory:
    """An experiment's effects over time, with the band that holds at every look.

    Args:
        judging: What the numbers are made by.
        kept: Oldest first.
        alpha: 1 − the level of the bands.
        metric: Only this one; None: all of them.
        marks: What happened meanwhile.

    Raises:
        RecordError: It is not judged by that metric.
    """
    keys = [each.key for each in judging.metrics]
    if metric is not None and metric not in keys:
        raise RecordError(f"metric is {metric!r}, must be one of {', '.join(keys) or 'none'}")
    return ExperimentHistory(
        key=judging.experiment.key,
        alpha=alpha,
        as_of_ms=kept[-1].as_of_ms if kept else None,
        generation=judging.plan.generation,
        points=tuple(point for each in kept for point in _points(judging, each, alpha, metric)),
        marks=marks,
        next_step="" if kept else NOTHING_KEPT,
    )


def _points(
    judging: Judging, kept: Kept, alpha: float, metric: str | None
) -> Iterator[HistoryPoint]:
    for found in judging.judge(kept.numbers, alpha).effects:
        if metric in (None, found.metric):
            yield _point(kept.as_of_ms, found)


def _point(at_ms: int, found: MetricEffect) -> HistoryPoint:
    band = found.anytime
    return HistoryPoint(
        at_ms=at_ms,
        metric=found.metric,
        control=found.control,
        treatment=found.treatment,
        units_n=band.control_n + band.treatment_n,
        effect=found.effect.effect,
        effect_ci_low=band.effect_ci_low,
        effect_ci_high=band.effect_ci_high,
        relative_effect=found.effect.relative_effect,
        relative_ci_low=band.relative_ci_low,
        relative_ci_high=band.relative_ci_high,
        reason=band.reason,
    )
