"""Numbers of experiments made by hand, from columns of units."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from bandit.service.judging import Judged, judge
from bandit.specs import Experiment, Metric, Variant
from bandit.stats import JointMoments, OrderStatistics
from bandit.store.numbers import (
    ExperimentNumbers,
    MetricNumbers,
    PeriodNumbers,
    SliceNumbers,
    VariantNumbers,
)

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
Columns = Sequence[Sequence[float]]


def experiment_of(treatments: Sequence[str] = ("t",), **more: object) -> Experiment:
    """A running experiment on a surface, its buckets shared evenly."""
    keys = ["c", *treatments]
    size = 10_000 // len(keys)
    variants = [
        Variant(key=key, policy=f"p-{key}", allocation=[(i * size, (i + 1) * size)])
        for i, key in enumerate(keys)
    ]
    spec = Experiment(
        key="e", surface="home", salt="s", status="running", control="c",
        metrics=["reward"], variants=variants,
    )  # fmt: skip
    return msgspec.structs.replace(spec, **more)


def metric_of(key: str = "reward", **more: object) -> Metric:
    """A metric of outcomes; its type, cap and covariates as given."""
    return Metric(key=key, source="outcome", **more)


def moments_of(
    metric: str,
    by_variant: Mapping[str, Columns],
    columns: Sequence[str] = ("value",),
    *,
    quantile: float | None = None,
    **more: object,
) -> MetricNumbers:
    """A metric's numbers from its columns per variant."""
    orders = {}
    if quantile is not None:
        orders = {
            key: OrderStatistics.of(list(rows[0]), quantile)
            for key, rows in by_variant.items()
            if len(rows[0])
        }
    return MetricNumbers(
        metric=metric,
        columns=tuple(columns),
        by_variant={key: JointMoments.of_columns(*rows) for key, rows in by_variant.items()},
        orders=orders,
        **more,
    )


def counts_of(metric: str, **counts: tuple[int, int]) -> MetricNumbers:
    """Shares: successes and units per variant."""
    return MetricNumbers(
        metric=metric,
        columns=("value",),
        by_variant={key: JointMoments.of_count(*pair) for key, pair in counts.items()},
    )


def numbers_of(
    *metrics: MetricNumbers,
    units: Mapping[str, int] | None = None,
    slices: Sequence[SliceNumbers] = (),
    **more: object,
) -> ExperimentNumbers:
    """An experiment's numbers; as many units and decisions as the first metric has."""
    if units is None:
        units = {key: found.n for key, found in metrics[0].by_variant.items()}
    variants = tuple(
        VariantNumbers(variant=key, units_n=n, decisions_n=n, rewarded_n=n)
        for key, n in units.items()
    )
    found = ExperimentNumbers(
        experiment="e",
        generation="g",
        closed_ms=NOW_MS,
        variants=variants,
        metrics=metrics,
        slices=tuple(slices),
    )
    return msgspec.structs.replace(found, **more)


def slice_of(by: str, value: str, numbers: MetricNumbers) -> SliceNumbers:
    """A metric of some of the units."""
    return SliceNumbers(by=by, value=value, numbers=numbers)


def arrivals(per_day: Mapping[str, int], days: int) -> tuple[PeriodNumbers, ...]:
    """New units per variant and day, up to now."""
    return tuple(
        PeriodNumbers(
            at_ms=NOW_MS - day * DAY_MS, variant=key, units_n=n, decisions_n=n, reward_sum=0.0
        )
        for day in range(days, 0, -1)
        for key, n in per_day.items()
    )


def normal(seed: int, n: int, mean: float = 10.0, sd: float = 2.0) -> list[float]:
    """Seeded normal numbers."""
    return np.random.default_rng(seed).normal(mean, sd, n).tolist()


def exactly(n: int, mean: float, sd: float) -> list[float]:
    """Numbers of just that mean and standard deviation (n even)."""
    step = sd * ((n - 1) / n) ** 0.5
    return [mean - step, mean + step] * (n // 2)


def judged(
    numbers: MetricNumbers, metric: Metric | None = None, alpha: float = 0.05, **more: Any
) -> Judged:
    """One metric of one treatment."""
    metric = metric or metric_of()
    experiment = experiment_of(metrics=[metric.key])
    return judge(numbers_of(numbers), experiment, [metric], alpha=alpha, **more)


MEANS = moments_of("reward", {"c": [normal(1, 400)], "t": [normal(2, 500, 10.4)]})
