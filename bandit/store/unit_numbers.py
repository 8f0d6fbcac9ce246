"""The numbers of an experiment's report: from the log, or from what was kept of its units."""

from collections.abc import Mapping
from typing import Literal

from bandit.stats import OrderStatistics
from bandit.stats.quantiles import SPREAD
from bandit.store.client import Store
from bandit.store.numbers import ExperimentNumbers
from bandit.store.unit_answers import (
    ALL,
    Caps,
    Group,
    HourSums,
    Order,
    Slice,
    Tables,
    metric_numbers,
    periods_of,
    slices_of,
    variants_of,
)
from bandit.store.unit_plan import ANY, UnitPlan

TOP_SEGMENTS = 50
CAP_FROM_UNITS = 1_000
"""A cap is looked for once so many units have a number of the metric."""

Bound = dict[str, object]
Orders = dict[str, dict[Slice, dict[str, OrderStatistics]]]


class UnitNumbers:
    """Numbers of experiments; any thread or process may make its own."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def from_log(self, plan: UnitPlan, closed_ms: int) -> ExperimentNumbers:
        """Numbers from the raw rows; nothing is written.

        Args:
            plan: What to add up.
            closed_ms: Decisions up to then have all their rewards.

        Raises:
            StoreUnavailable: The store did not answer.
            RecordError: Numbers overflow.
        """
        span = {"from_ms": -1, "reach_ms": 0, "through_ms": closed_ms, "shard": 0, "shards_n": 1}
        whole = plan.judged() | span | {"generation": "", "build": 0, "closed_ms": closed_ms}
        sums = [HourSums(*row) for row in self._store.rows("unit_sums", **(plan.joined() | span))]
        caps = given_caps(plan) | self._found_caps(plan, whole, {})
        return self._numbers(plan, whole, sums if plan.surface else [], caps, "log")

    def _numbers(
        self,
        plan: UnitPlan,
        whole: Bound,
        sums: list[HourSums],
        caps: Caps,
        source: Literal["states", "log"],
    ) -> ExperimentNumbers:
        sliced = self._sliced(plan, whole)
        groups = self._groups(plan, whole | sliced, caps)
        orders = self._orders(plan, whole | sliced)
        tables = Tables.of(plan, groups)
        period_ms, periods = periods_of(groups, sums)
        of_all = [group for group in groups if group.sliced_by == "first_day"]
        closed_ms = whole["closed_ms"]
        assert isinstance(closed_ms, int)
        bots: dict[str, int] = {}
        for group in of_all:
            if group.bots_n:
                bots[group.variant] = bots.get(group.variant, 0) + group.bots_n
        return ExperimentNumbers(
            experiment=plan.experiment.key,
            generation=plan.generation,
            closed_ms=closed_ms,
            variants=variants_of(groups, sums),
            crossed_n=sum(group.crossed_n for group in of_all),
            forced_n=sum(group.forced_n for group in of_all),
            bots_n=bots,
            metrics=tuple(
                metric_numbers(
                    metric,
                    plan,
                    tables.by_slice[ALL][at],
                    orders.get(metric.key, {}).get(ALL, {}),
                    caps,
                )
                for at, metric in enumerate(plan.metrics)
            ),
            slices=slices_of(plan, tables, orders, caps),
            periods=periods,
            period_ms=period_ms,
            source=source,
        )

    def _sliced(self, plan: UnitPlan, whole: Bound) -> Bound:
        """Segments, and the values of each that are told apart."""
        names = list(plan.experiment.segments)
        tops: list[list[str]] = [[] for _ in names]
        if names:
            rows = self._store.rows("unit_segment_tops", **whole, tops_n=TOP_SEGMENTS)
            for place, value in rows:
                tops[place - 1].append(value)
        return {"segment_names": names, "segment_tops": tops}

    def _groups(self, plan: UnitPlan, given: Bound, caps: Caps) -> list[Group]:
        rows = self._store.rows(
            "unit_moments",
            **given,
            caps=[caps.get(metric.key, ANY) for metric in plan.metrics],
            with_cap=plan.has_caps,
            with_divisor=plan.has_divisors,
            with_covariate_divisor=plan.has_covariate_divisors,
            blocks_n=len(plan.blocks),
        )
        return [Group(*row) for row in rows]

    def _orders(self, plan: UnitPlan, given: Bound) -> Orders:
        """Order statistics of every metric that is a quantile."""
        found: Orders = {}
        for place, metric in enumerate(plan.metrics, 1):
            if metric.quantile is None:
                continue
            of_metric = found.setdefault(metric.key, {})
            rows = self._store.rows(
                "unit_orders", **given, place=place, quantile=metric.quantile, spread=SPREAD
            )
            for order in map(Order._make, rows):
                slice_ = (order.sliced_by, order.slice_value)
                of_metric.setdefault(slice_, {})[order.variant] = OrderStatistics(
                    n=order.units_n,
                    quantile=metric.quantile,
                    value=order.value,
                    lower=order.lower,
                    upper=order.upper,
                    n_near=order.units_n,
                )
        return found

    def _found_caps(self, plan: UnitPlan, whole: Bound, known: Mapping[str, float]) -> Caps:
        """Caps at a quantile: as they are known, or as they are found once there are units."""
        found: Caps = {}
        for place, metric in enumerate(plan.metrics, 1):
            if metric.cap_quantile is None:
                continue
            if metric.key in known:
                found[metric.key] = known[metric.key]
                continue
            [(units_n, cap)] = self._store.rows(
                "unit_cap", **whole, place=place, quantile=metric.cap_quantile
            )
            if units_n >= CAP_FROM_UNITS:
                found[metric.key] = cap
        return found


def given_caps(plan: UnitPlan) -> Caps:
    """Caps that the metrics say themselves."""
    return {metric.key: metric.cap for metric in plan.metrics if metric.cap is not None}
