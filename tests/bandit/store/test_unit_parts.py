"""Long intervals are cut where it costs nothing, and come to the same."""

import msgspec
import pytest

from bandit.store import unit_parts
from bandit.store.client import Store
from bandit.store.unit_numbers import UnitNumbers
from bandit.store.unit_parts import HOUR_MS, TimePart, times_of
from bandit.store.unit_plan import UnitPlan
from tests.bandit.logs import T0
from tests.bandit.store.test_unit_numbers import DECLARED, METRICS, SURFACE, experiment
from tests.bandit.store.unit_reference import RememberingLog

PLAN = UnitPlan.of(experiment(), SURFACE, METRICS, DECLARED)


def test_an_empty_interval_is_one_part() -> None:
    assert list(times_of([], -1, 5)) == [TimePart(-1, 5, 0)]


def test_parts_follow_each_other_and_hold_every_row() -> None:
    hours = [(hour * HOUR_MS, 100_000 * (1 + hour % 3)) for hour in range(5, 200)]
    parts = list(times_of(hours, 4 * HOUR_MS + 7, 201 * HOUR_MS))
    assert parts[0].from_ms == 4 * HOUR_MS + 7
    assert parts[-1].through_ms == 201 * HOUR_MS
    assert [p.through_ms for p in parts[:-1]] == [p.from_ms for p in parts[1:]]
    assert sum(p.rows_n for p in parts) == sum(n for _, n in hours)
    assert all((p.through_ms + 1) % HOUR_MS == 0 for p in parts[:-1])
    assert min(p.through_ms - p.from_ms for p in parts[1:-1]) >= unit_parts.LEAST_MS


def test_an_interval_in_parts_comes_to_what_it_comes_to_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RememberingLog(store)
    for n in range(60):
        at_ms = n * HOUR_MS // 10
        unit = f"u{n % 7}"
        decision = log.decide(
            at_ms, unit=unit, experiment="e", variant="ct"[n % 7 % 2], propensities=(0.25, 0.25)
        )
        log.reward(decision, 0.5, 100, name="click")
        if n % 4 == 0:  # again, by another worker, some of them in the next part
            log.put(msgspec.structs.replace(decision, ts_ms=decision.ts_ms + HOUR_MS), "w3")
    log.deliver()
    numbers, closed_ms = UnitNumbers(store), T0 + 8 * HOUR_MS
    whole = numbers.from_log(PLAN, closed_ms)
    assert sum(variant.decisions_n for variant in whole.variants) == 60
    monkeypatch.setattr(unit_parts, "PART_ROWS", 15)
    monkeypatch.setattr(unit_parts, "LEAST_MS", 0)
    parts = unit_parts.UnitParts.of(store, PLAN, -1, closed_ms)
    assert len(parts.times) > 3
    assert parts.shards_n > 3
    in_parts = numbers.from_log(PLAN, closed_ms)
    assert in_parts.variants == whole.variants
    assert in_parts.periods == whole.periods
    numbers.advance(PLAN, closed_ms)
    kept = numbers.from_states(PLAN)
    assert kept is not None
    assert kept.variants == whole.variants
    assert kept.periods == whole.periods
