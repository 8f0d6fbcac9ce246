"""Units one by one are the units that reports have moments of."""

import random

import msgspec
import numpy as np
import pytest

from bandit.specs import Metric
from bandit.stats import JointMoments
from bandit.store.client import Store
from bandit.store.unit_numbers import UnitNumbers
from bandit.store.unit_plan import UnitPlan
from bandit.store.unit_rows import UnitRows, UnitTable
from tests.bandit.logs import T0, LogMaker
from tests.bandit.store.test_unit_numbers import (
    DECLARED,
    METRICS,
    SURFACE,
    experiment,
    random_log,
)
from tests.bandit.store.unit_reference import RememberingLog

LATER = T0 + 100_000


def test_rows_of_an_experiment_have_the_moments_that_its_report_has(store: Store) -> None:
    log = RememberingLog(store)
    random_log(log, random.Random(5))
    log.deliver(times=2)
    plan = UnitPlan.of(experiment(), SURFACE, METRICS, DECLARED)
    numbers = UnitNumbers(store).from_log(plan, LATER)
    table = UnitRows(store).read(plan, LATER)
    assert table.first_ms.tolist() == sorted(table.first_ms.tolist())
    for metric, found in zip(METRICS, numbers.metrics, strict=True):
        if metric.type == "quantile":
            with pytest.raises(ValueError, match="is a quantile"):
                table.of(metric)
            continue
        own = table.of(metric)
        assert (own.columns, own.cap) == (found.columns, found.cap)
        assert len(own.unit_ids) == len(own.rows) == sum(m.n for m in found.by_variant.values())
        whole = sum(found.by_variant.values(), JointMoments.none(len(own.columns)))
        of_rows = JointMoments.of_columns(*own.rows.T)
        assert of_rows.means == pytest.approx(whole.means), metric.key
        assert np.array(of_rows.cross) == pytest.approx(np.array(whole.cross)), metric.key


def test_units_that_came_before_are_left_out(store: Store) -> None:
    log = RememberingLog(store)
    random_log(log, random.Random(6), decisions_n=120)
    log.deliver()
    plan = UnitPlan.of(experiment(), SURFACE, METRICS[:1], DECLARED)
    every = UnitRows(store).read(plan, LATER)
    middle = int(every.first_ms[len(every.first_ms) // 2])
    late = UnitRows(store).read(plan, LATER, since_ms=middle)
    assert late.unit_ids == [
        unit for unit, at in zip(every.unit_ids, every.first_ms, strict=True) if at >= middle
    ]
    assert UnitRows(store).read(plan, LATER, since_ms=LATER).of(METRICS[0]).rows.shape == (0, 1)


def test_unit_of_several_experiments_counts_where_it_was_first(store: Store) -> None:
    log = LogMaker(store)
    for at_ms, unit, key in ((10, "u1", "first"), (20, "u2", ""), (30, "u1", ""), (40, "u3", "")):
        log.reward(log.decide(at_ms, unit=unit, experiment=key, variant="c" if key else ""))
    log.deliver()
    rows = UnitRows(store)
    keys = rows.experiments("home", LATER)
    assert keys == ["", "first"]
    total = METRICS[0]
    plans = [
        UnitPlan.of(msgspec.structs.replace(experiment(), key=key), SURFACE, [total], DECLARED)
        for key in keys
    ]
    table = rows.read_all(plans, LATER)
    assert table.unit_ids == ["u1", "u2", "u3"]
    assert table.first_ms.tolist() == [T0 + 10, T0 + 20, T0 + 40]


def test_cap_at_a_quantile_is_that_of_a_thousand_units_and_of_fewer_none() -> None:
    metric = Metric(key="m", source="outcome", cap_quantile=0.9)
    plan = UnitPlan.of(experiment(), SURFACE, [metric], {})
    for n, cap in ((1000, 900.0), (999, None)):
        values = np.arange(1.0, n + 1)[:, None]
        units = [f"u{number}" for number in range(n)]
        present = np.ones((n, 1), dtype=bool)
        table = UnitTable(plan, units, np.arange(n), values, values, present)
        found = table.of(metric)
        assert found.columns == ("value", "uncapped")
        assert found.cap == cap
        assert found.rows[:, 0].max() == (cap or n)
        assert found.rows[:, 1].max() == n
