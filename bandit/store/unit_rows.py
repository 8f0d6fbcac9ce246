"""Units of a log one by one, for studies that split them anew; reports read moments instead."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandit.specs import Metric
from bandit.store.client import Store
from bandit.store.numbers import Column
from bandit.store.unit_numbers import CAP_FROM_UNITS
from bandit.store.unit_parts import UnitParts
from bandit.store.unit_plan import UnitPlan

Floats = NDArray[np.float64]


class MetricRows(NamedTuple):
    """The units that count for one metric.

    Attributes:
        metric: Its declaration.
        columns: What the columns are, as of `MetricNumbers`.
        rows: Numbers, `(n, columns)`, in the order in which the units came.
        unit_ids: Whose, `(n,)`.
        cap: That held; None without.
    """

    metric: Metric
    columns: tuple[Column, ...]
    rows: Floats
    unit_ids: list[str]
    cap: float | None


class UnitTable(NamedTuple):
    """Units in the order of their first decision or assignment.

    Attributes:
        plan: What its numbers are.
        unit_ids: `(n,)`.
        first_ms: When each was exposed for the first time, `(n,)`.
        values: What each entry of the plan comes to, `(n, entries)`.
        divisors: What it divides by, the same shape.
        present: Whether each metric has a number, `(n, metrics)`.
    """

    plan: UnitPlan
    unit_ids: list[str]
    first_ms: NDArray[np.int64]
    values: Floats
    divisors: Floats
    present: NDArray[np.bool_]

    def of(self, metric: Metric) -> MetricRows:
        """The units that count for a metric, with its columns.

        Raises:
            ValueError: The plan has no such metric, or it is a quantile, which has no columns.
        """
        if metric.type == "quantile":
            raise ValueError(f"metric {metric.key!r} is a quantile, must have moments")
        place = [each.key for each in self.plan.metrics].index(metric.key)
        names = tuple(column for column, _ in self.plan.columns(metric))
        at = np.flatnonzero(self.present[:, place])
        value = self.values[at, place]
        cap = _cap(metric, value)
        columns = [self._column(name, metric, place)[at] for name in names]
        if cap is not None:
            columns[names.index("value")] = np.minimum(value, cap)
        rows = np.column_stack(columns) if at.size else np.empty((0, len(names)))
        return MetricRows(metric, names, rows, [self.unit_ids[row] for row in at], cap)

    def _column(self, name: Column, metric: Metric, place: int) -> Floats:
        """A column of all units, before any cap."""
        width = len(self.plan.metrics)
        if name in ("value", "uncapped"):
            return self.values[:, place]
        if name == "denominator":
            return self.divisors[:, place]
        if name == "covariate":
            return self.values[:, width + place]
        if name == "covariate_denominator":
            return self.divisors[:, width + place]
        other = metric.covariates.index(name.removeprefix("covariate:"))
        return self.values[:, (2 + other) * width + place]


class UnitRows:
    """Reads units of one store; its methods may raise `StoreUnavailable`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def experiments(self, surface: str, at_ms: int) -> list[str]:
        """Keys of the experiments that decisions of a surface belong to; '' for none."""
        rows = self._store.rows("history_experiments", surface=surface, at_ms=at_ms)
        return [key for (key,) in rows]

    def read(self, plan: UnitPlan, closed_ms: int, since_ms: int = 0) -> UnitTable:
        """The units of an experiment that belong to it, as its report counts them.

        Args:
            plan: What to add up.
            closed_ms: Decisions up to then have all their rewards.
            since_ms: Only units that came from then on.
        """
        given = plan.judged() | {
            "from_ms": -1,
            "reach_ms": 0,
            "through_ms": closed_ms,
            "generation": "",
            "build": 0,
            "closed_ms": closed_ms,
        }
        rows: list[tuple[str, int, list[float], list[float], list[bool]]] = []
        for shard in UnitParts.of(self._store, plan, -1, closed_ms).shards():
            rows += self._store.rows("history_units", **(given | shard))
        return _table(plan, [row for row in rows if row[1] >= since_ms])

    def read_all(self, plans: Sequence[UnitPlan], closed_ms: int, since_ms: int = 0) -> UnitTable:
        """Units of several experiments with one set of metrics; each where it was first seen."""
        tables = [self.read(plan, closed_ms, since_ms) for plan in plans]
        first: dict[str, tuple[int, int, int]] = {}
        for number, table in enumerate(tables):
            for row, (unit_id, first_ms) in enumerate(
                zip(table.unit_ids, table.first_ms.tolist(), strict=True)
            ):
                first[unit_id] = min(
                    first.get(unit_id, (first_ms, number, row)), (first_ms, number, row)
                )
        chosen = sorted((place, unit_id) for unit_id, place in first.items())
        rows = [
            (
                unit_id,
                first_ms,
                tables[number].values[row],
                tables[number].divisors[row],
                tables[number].present[row],
            )
            for (first_ms, number, row), unit_id in chosen
        ]
        return _table(plans[0], rows)


def _table(plan: UnitPlan, rows: Sequence[tuple[object, ...]]) -> UnitTable:
    """Rows as arrays, in the order of time."""
    ordered = sorted(rows, key=lambda row: (row[1], row[0]))
    entries_n, metrics_n = sum(map(len, plan.blocks)), len(plan.metrics)
    unit_ids, first_ms, values, divisors, present = (
        zip(*ordered, strict=True) if ordered else ((), (), (), (), ())
    )
    return UnitTable(
        plan,
        [str(unit_id) for unit_id in unit_ids],
        np.array(first_ms, dtype=np.int64),
        np.array(values, dtype=np.float64).reshape(-1, entries_n),
        np.array(divisors, dtype=np.float64).reshape(-1, entries_n),
        np.array(present, dtype=np.bool_).reshape(-1, metrics_n),
    )


def _cap(metric: Metric, values: Floats) -> float | None:
    """The cap given, or the quantile of the values; None without, or with too few of them."""
    if metric.cap is not None or metric.cap_quantile is None:
        return metric.cap
    if values.size < CAP_FROM_UNITS:
        return None
    wanted = metric.cap_quantile * values.size
    rank = max(1, int(np.ceil(wanted - 1e-9 * max(1.0, wanted))))
    return float(np.partition(values, rank - 1)[rank - 1])
