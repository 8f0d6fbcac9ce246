"""Planned looks: which kept numbers were looked at, and at which share of the plan; pure.

A look is due when a k-th part of the planned units is in. It is made of the first numbers that were
kept from then on and stays as it was: between looks nothing is tested again, and a look that nobody
kept spends nothing (Lan, DeMets: bounds depend on the looks that were made).
"""

from collections.abc import Sequence
from typing import NamedTuple

from bandit.service.judging_payloads import PlanProgress
from bandit.specs import Experiment
from bandit.store.numbers import ExperimentNumbers, MetricNumbers


class Look(NamedTuple):
    """Numbers at a planned look.

    Attributes:
        fraction: Units that count ÷ planned units.
        numbers: Of the metric.
    """

    fraction: float
    numbers: MetricNumbers


class Looks(NamedTuple):
    """The looks at one metric so far.

    Attributes:
        made: In order.
        planned: How many are.
    """

    made: tuple[Look, ...]
    planned: int


def units_of(numbers: MetricNumbers) -> int:
    """Units that count for a metric, of all variants."""
    return sum(found.n for found in numbers.by_variant.values())


def metric_of(numbers: ExperimentNumbers, key: str) -> MetricNumbers | None:
    """A metric's numbers; None where there are none."""
    return next((found for found in numbers.metrics if found.metric == key), None)


def looks_of(
    experiment: Experiment, key: str, history: Sequence[ExperimentNumbers]
) -> Looks | None:
    """The looks that were made at a metric; None without a plan.

    Args:
        experiment: With its plan.
        key: Of the metric.
        history: All kept numbers up to now, the present ones too, in any order.
    """
    if experiment.looks is None or experiment.planned_units is None:
        return None
    made: list[Look] = []
    done = 0
    for numbers in sorted(history, key=lambda found: found.closed_ms):
        found = metric_of(numbers, key)
        fraction = 0.0 if found is None else units_of(found) / experiment.planned_units
        reached = reached_of(fraction, experiment.looks)
        if found is not None and reached > done and (not made or fraction > made[-1].fraction):
            made.append(Look(fraction, found))
            done = reached
    return Looks(tuple(made), experiment.looks)


def reached_of(fraction: float, looks: int) -> int:
    """How many of the looks at 1/looks, 2/looks … are reached by `fraction` of the plan.

    >>> reached_of(0.39, 5), reached_of(0.4, 5), reached_of(1.7, 5), reached_of(0.7, 10)
    (1, 2, 5, 7)
    """
    return min(int(fraction * looks + 1e-9), looks)


def progress_of(experiment: Experiment, numbers: MetricNumbers | None) -> PlanProgress | None:
    """Where a planned experiment is, by its primary metric; None without a plan."""
    planned, looks = experiment.planned_units, experiment.looks
    if planned is None or looks is None:
        return None
    units_n = 0 if numbers is None else units_of(numbers)
    done = reached_of(units_n / planned, looks)
    return PlanProgress(
        units_n=units_n,
        planned_units=planned,
        looks=looks,
        looks_done=done,
        next_look_units_n=None if done == looks else -(-planned * (done + 1) // looks),
        finished=done == looks,
    )
