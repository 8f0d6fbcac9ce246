"""As of which times numbers are kept, and until when an experiment's can change; pure."""

from bandit.service.judging_looks import reached_of, units_of
from bandit.service.reporting_numbers import Judging
from bandit.specs import Experiment, Metric
from bandit.store.kept import DAY_MS, HOUR_MS
from bandit.store.numbers import ExperimentNumbers

STOP_SLACK_MS = HOUR_MS
"""Decisions may still be made in an experiment so long after it was stopped."""


def targets_of(newest_ms: int | None, through_ms: int) -> list[int]:
    """As of which times numbers are to be made now, ascending.

    The last midnight (UTC) and the last full hour that were passed since the newest, so that they
    are there exactly, and then as far as the log goes.

    Args:
        newest_ms: Of what time the newest kept numbers are; None without any.
        through_ms: Whatever had been accepted by then is in the log.

    >>> targets_of(None, 5000), targets_of(3_599_000, 3_601_000), targets_of(7000, 7000)
    ([5000], [3600000, 3601000], [])
    """
    if newest_ms is None:
        return [through_ms]
    passed = (through_ms - through_ms % step_ms for step_ms in (DAY_MS, HOUR_MS))
    found = {grid_ms for grid_ms in passed if grid_ms > newest_ms}
    return sorted(found | ({through_ms} if through_ms > newest_ms else set()))


def over_at_ms(judging: Judging, declared_ms: int) -> int | None:
    """From when on a stopped experiment's numbers can change no more.

    Args:
        judging: What its numbers are made by.
        declared_ms: When its newest version was declared.

    Returns:
        None while it runs, or if a metric counts outcomes however late they come.
    """
    if judging.experiment.status == "running":
        return None
    reaches = [_reach_ms(metric) for metric in judging.metrics]
    if any(reach_ms is None for reach_ms in reaches):
        return None
    reach_ms = max((reach_ms or 0 for reach_ms in reaches), default=0)
    return declared_ms + STOP_SLACK_MS + judging.window_ms + reach_ms


def looks_in(experiment: Experiment, numbers: ExperimentNumbers | None) -> dict[str, int]:
    """How many planned looks are reached, by metric.

    Args:
        experiment: With its plan.
        numbers: None if there are none yet.
    """
    if numbers is None or experiment.looks is None or experiment.planned_units is None:
        return {}
    return {
        metric.metric: reached_of(units_of(metric) / experiment.planned_units, experiment.looks)
        for metric in numbers.metrics
    }


def _reach_ms(metric: Metric) -> int | None:
    """How long after a unit's last decision something of it may count; None: for ever."""
    if metric.window_s is not None:
        return round((metric.from_s + metric.window_s) * 1000)
    return 0 if metric.source == "reward" else None
