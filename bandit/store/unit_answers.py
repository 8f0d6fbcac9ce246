"""What the store answers about units, as numbers of reports; pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from bandit.specs import Metric
from bandit.stats import JointMoments, OrderStatistics
from bandit.store.numbers import (
    MetricNumbers,
    PeriodNumbers,
    SliceNumbers,
    VariantNumbers,
)
from bandit.store.unit_plan import UnitPlan

FIRST_DAY = "first_day"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MOST_HOURS = 7 * 24
"""A longer experiment is told by days."""

Caps = dict[str, float]
"""Metric → the cap that holds."""
Slice = tuple[str, str]
"""Sliced by what, and the value; `("", "")`: all units."""
ALL: Slice = ("", "")


class Group(NamedTuple):
    """Units of one variant in one slice, as `unit_moments` answers.

    Lists are per metric; those that no metric needs are empty.
    """

    sliced_by: str
    slice_value: str
    variant: str
    units_n: int
    crossed_n: int
    forced_n: int
    bots_n: int
    firsts: dict[int, int]
    n: list[int]
    unripe_n: list[int]
    capped_n: list[int]
    means: list[float | None]
    covariances: list[float | None]


class Order(NamedTuple):
    """Order statistics of one variant in one slice, as `unit_orders` answers."""

    sliced_by: str
    slice_value: str
    variant: str
    units_n: int
    value: float
    lower: float
    upper: float


class HourSums(NamedTuple):
    """Decisions of one variant in one hour, as `unit_sums` answers."""

    variant: str
    at_ms: int
    decisions_n: int
    unseen_n: int
    rewarded_n: int
    exposed_n: int
    pinned_n: int
    overridden_n: int
    forced_n: int
    reward_sum: float


class Tally(NamedTuple):
    """One metric over units of one variant."""

    moments: JointMoments
    unripe_n: int
    none_n: int
    capped_n: int

    def __add__(self, other: "Tally") -> "Tally":  # type: ignore[override]
        """Of both groups of units."""
        return Tally(
            self.moments + other.moments,
            self.unripe_n + other.unripe_n,
            self.none_n + other.none_n,
            self.capped_n + other.capped_n,
        )


def tally(plan: UnitPlan, at: int, group: Group) -> Tally:
    """The `at`-th metric's part of a group."""
    n = int(group.n[at])
    unripe_n = int(group.unripe_n[at]) if group.unripe_n else 0
    capped_n = int(group.capped_n[at]) if group.capped_n else 0
    counts = unripe_n, group.units_n - unripe_n - n, capped_n
    places = [block for _, block in plan.columns(plan.metrics[at])]
    if n == 0:
        return Tally(JointMoments.none(len(places)), *counts)
    metrics_n, blocks_n = len(plan.metrics), plan.blocks_n

    def product(i: int, j: int) -> float:
        low, high = min(i, j), max(i, j)
        pair = low * blocks_n - low * (low - 1) // 2 + high - low
        found = group.covariances[pair * metrics_n + at]
        assert found is not None
        return found * n

    means = [group.means[block * metrics_n + at] for block in places]
    cross = tuple(
        # Rounding may leave a variance of nothing a hair below it.
        tuple(max(product(i, j), 0.0) if i == j else product(i, j) for j in places)
        for i in places
    )
    return Tally(JointMoments(n=n, means=tuple(m or 0.0 for m in means), cross=cross), *counts)


def metric_numbers(
    metric: Metric,
    plan: UnitPlan,
    tallies: Mapping[str, Tally],
    orders: Mapping[str, OrderStatistics],
    caps: Caps,
) -> MetricNumbers:
    """One metric over the units of some variants."""
    return MetricNumbers(
        metric=metric.key,
        columns=tuple(column for column, _ in plan.columns(metric)),
        by_variant={variant: found.moments for variant, found in tallies.items()},
        orders=dict(orders),
        unripe_n={v: t.unripe_n for v, t in tallies.items() if t.unripe_n},
        none_n={v: t.none_n for v, t in tallies.items() if t.none_n},
        capped_n={v: t.capped_n for v, t in tallies.items() if t.capped_n},
        cap=caps.get(metric.key),
    )


class Tables(NamedTuple):
    """Tallies of every metric, by slice and variant; days are added up to the whole."""

    by_slice: dict[Slice, list[dict[str, Tally]]]

    @classmethod
    def of(cls, plan: UnitPlan, groups: Iterable[Group]) -> "Tables":
        """Sort out the answer of `unit_moments`, whole or shard by shard."""
        found: dict[Slice, list[dict[str, Tally]]] = {ALL: [{} for _ in plan.metrics]}
        for group in groups:
            if not group.units_n:
                continue
            slices = [(group.sliced_by, group.slice_value)]
            slices += [ALL] if group.sliced_by == FIRST_DAY else []
            for at in range(len(plan.metrics)):
                part = tally(plan, at, group)
                for place in slices:
                    tallies = found.setdefault(place, [{} for _ in plan.metrics])[at]
                    before = tallies.get(group.variant)
                    tallies[group.variant] = part if before is None else before + part
        return cls(found)


def variants_of(groups: Sequence[Group], sums: Iterable[HourSums]) -> tuple[VariantNumbers, ...]:
    """Units and decisions by variant."""
    units: dict[str, int] = {}
    for group in groups:
        if group.sliced_by == FIRST_DAY:
            units[group.variant] = units.get(group.variant, 0) + group.units_n
    totals: dict[str, list[Any]] = {}
    for variant, _, *numbers in sums:
        before = totals.setdefault(variant, [0] * len(numbers))
        totals[variant] = [was + plus for was, plus in zip(before, numbers, strict=True)]
    names = HourSums._fields[2:]
    return tuple(
        VariantNumbers(
            variant=variant,
            units_n=units.get(variant, 0),
            **dict(zip(names, totals.get(variant, ()), strict=False)),
        )
        for variant in sorted({*totals, *(v for v, n in units.items() if n)})
    )


def periods_of(
    groups: Iterable[Group], sums: Iterable[HourSums]
) -> tuple[int, tuple[PeriodNumbers, ...]]:
    """Length of a period, and what happened in each."""
    firsts = [
        (group.variant, hour, n)
        for group in groups
        if group.sliced_by == FIRST_DAY
        for hour, n in group.firsts.items()
    ]
    seen = [(s.variant, s.at_ms, s.decisions_n - s.unseen_n, s.reward_sum) for s in sums]
    hours = [at_ms for _, at_ms, *_ in firsts] + [at_ms for _, at_ms, *_ in seen]
    is_long = bool(hours) and max(hours) - min(hours) >= MOST_HOURS * HOUR_MS
    period_ms = DAY_MS if is_long else HOUR_MS
    table: dict[tuple[int, str], list[Any]] = {}
    for variant, hour, n in firsts:
        table.setdefault((hour // period_ms * period_ms, variant), [0, 0, 0.0])[0] += n
    for variant, hour, n, total in seen:
        row = table.setdefault((hour // period_ms * period_ms, variant), [0, 0, 0.0])
        row[1] += n
        row[2] += total
    return period_ms, tuple(
        PeriodNumbers(
            at_ms=at_ms, variant=variant, units_n=units, decisions_n=n, reward_sum=float(total)
        )
        for (at_ms, variant), (units, n, total) in sorted(table.items())
        if units or n
    )


def slices_of(
    plan: UnitPlan,
    tables: Tables,
    orders: Mapping[str, Mapping[Slice, Mapping[str, OrderStatistics]]],
    caps: Caps,
) -> tuple[SliceNumbers, ...]:
    """Every metric over every slice that has any of its units."""
    return tuple(
        SliceNumbers(
            by=place[0],
            value=place[1],
            numbers=metric_numbers(
                metric,
                plan,
                {v: t for v, t in tallies[at].items() if t.moments.n},
                orders.get(metric.key, {}).get(place, {}),
                caps,
            ),
        )
        for place, tallies in sorted(tables.by_slice.items())
        if place != ALL
        for at, metric in enumerate(plan.metrics)
        if any(t.moments.n for t in tallies[at].values())
    )
