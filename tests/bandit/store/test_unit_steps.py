"""Steps that are cut off, doubled, late, or whose states are lost."""

import random
from functools import partial

import msgspec
import pytest

from bandit.errors import StoreUnavailable
from bandit.stats import JointMoments
from bandit.store import unit_parts
from bandit.store.client import Store
from bandit.store.retention import Retention
from bandit.store.unit_numbers import UnitNumbers
from bandit.store.unit_plan import UnitPlan
from bandit.store.unit_steps import NEWEST_N, UnitSteps, mark_spoilt
from tests.bandit.logs import T0
from tests.bandit.store.making import at_once
from tests.bandit.store.test_unit_numbers import (
    DECLARED,
    METRICS,
    SURFACE,
    assert_right,
    experiment,
    outcome,
    random_log,
    reward,
)
from tests.bandit.store.unit_reference import Reference, RememberingLog

SPEC = experiment()
PLAN = UnitPlan.of(SPEC, SURFACE, METRICS, DECLARED)
HALF, END = T0 + 35_000, T0 + 70_000


def assert_states_right(numbers: UnitNumbers, log: RememberingLog, closed_ms: int = END) -> None:
    kept = numbers.from_states(PLAN)
    assert kept is not None
    assert_right(kept, Reference(log.rows, SPEC, SURFACE, closed_ms), PLAN)


def some_log(store: Store, seed: int = 5) -> RememberingLog:
    log = RememberingLog(store)
    random_log(log, random.Random(seed), 80)
    log.deliver()
    return log


def test_rows_that_come_late_are_noticed_and_counted(store: Store) -> None:
    log = some_log(store)
    numbers = UnitNumbers(store)
    assert numbers.from_states(PLAN) is None
    numbers.advance(PLAN, HALF)
    assert numbers.check(PLAN) is None
    late = log.decide(20_000, unit="u1", experiment="e", variant="t")
    log.reward(late, 0.75, name="click")
    log.outcome("u2", "revenue", 3.0, 30_000)
    log.deliver()
    assert numbers.check(PLAN) == "late"
    numbers.advance(PLAN, END)
    assert numbers.check(PLAN) is None
    assert_states_right(numbers, log)


def test_a_step_that_is_cut_off_shows_nothing_and_is_completed_by_the_next_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_parts, "PART_ROWS", 40)  # in several parts
    log = some_log(store)
    numbers = UnitNumbers(store)
    numbers.advance(PLAN, HALF)
    command, done = store.command, []

    def cut_off(name: str, **given: object) -> None:
        if len(done) == 3:
            raise StoreUnavailable("it is gone")
        command(name, **given)
        done.append(name)

    with monkeypatch.context() as patch:
        patch.setattr(store, "command", cut_off)
        with pytest.raises(StoreUnavailable, match="it is gone"):
            numbers.advance(PLAN, END)
    assert numbers.from_states(PLAN) is None
    numbers.advance(PLAN, HALF)  # whoever comes next, also for less
    assert numbers.check(PLAN) is None
    assert_states_right(numbers, log)


def test_two_hosts_at_once_count_nothing_twice(clickhouse_url: str, store: Store) -> None:
    log = some_log(store)
    stores = [Store.connect(clickhouse_url, database=store.database) for _ in range(2)]
    both = [UnitNumbers(mine) for mine in stores]
    for closed_ms in (HALF, END):
        answers = at_once(*(partial(one.advance, PLAN, closed_ms) for one in both))
        assert answers == [None, None]
    assert both[0].check(PLAN) is None
    assert_states_right(both[1], log)
    for mine in stores:
        mine.close()


def test_a_state_that_was_lost_is_noticed_and_the_next_build_has_it(store: Store) -> None:
    log = some_log(store)
    numbers = UnitNumbers(store)
    numbers.advance(PLAN, END)
    store.apply(
        "ALTER TABLE unit_states$local DELETE WHERE unit_id = "
        "(SELECT min(unit_id) FROM unit_states) SETTINGS mutations_sync = 2"
    )
    assert numbers.check(PLAN) == "altered"
    numbers.advance(PLAN, END)
    assert numbers.check(PLAN) is None
    assert_states_right(numbers, log)


def test_a_state_that_was_lost_is_noticed_by_the_next_step_too(store: Store) -> None:
    log = some_log(store)
    numbers = UnitNumbers(store)
    numbers.advance(PLAN, HALF)
    store.apply(
        "ALTER TABLE unit_states$local DELETE WHERE unit_id = "
        "(SELECT argMax(unit_id, decisions_n) FROM unit_states) SETTINGS mutations_sync = 2"
    )
    numbers.advance(PLAN, END)
    assert_states_right(numbers, log)


def test_units_of_an_experiment_without_a_surface_are_those_that_were_told(store: Store) -> None:
    log = RememberingLog(store)
    rng = random.Random(3)
    for n in range(60):
        unit = f"u{rng.randrange(20)}"
        log.assign(unit, "ct"[int(unit[1:]) % 2], rng.randrange(20_000, 50_000), forced=n == 7)
        log.outcome(f"u{rng.randrange(25)}", "revenue", 1.5, rng.randrange(0, 60_000))
    log.assign("both", "c", 21_000)
    log.assign("both", "t", 45_000)
    log.deliver(times=2)
    spec = experiment(surface=None)
    metrics = [
        outcome("revenue", name="revenue", covariate_window_s=30.0),
        outcome("n", type="count"),
    ]
    plan = UnitPlan.of(spec, None, metrics, {})
    numbers = UnitNumbers(store)
    numbers.advance(plan, T0 + 40_000)
    numbers.advance(plan, END)
    kept = numbers.from_states(plan)
    assert kept is not None
    assert kept.crossed_n == 1
    reference = Reference(log.rows, spec, None, END)
    assert_right(kept, reference, plan)
    assert_right(numbers.from_log(plan, END), reference, plan)


HUGE = """INSERT INTO outcomes (unit_id, ts, name, value, outcome_id, writer, seq)
SELECT concat('u', toString(number)), fromUnixTimestamp64Milli({at}, 'UTC'), 'big',
    1e9 + (number * 37 % 100) / 25, toString(number), 'w9', number FROM numbers(300)"""


def test_moments_keep_their_digits_and_are_absent_rather_than_nonsense(store: Store) -> None:
    log = RememberingLog(store)
    values = [1e9 + (n * 37 % 100) / 25 for n in range(300)]
    for n in range(300):
        log.assign(f"u{n}", "c", 100)
        log.outcome(f"u{n}", "old", 7.0, 50)
    store.apply(HUGE.format(at=T0 + 200))  # no client may say so much at once
    log.assign("alone", "t", 100)
    log.outcome("alone", "big", 1e6, 300)
    log.assign("early", "t", 69_000)
    log.deliver()
    metrics = [
        outcome("big", name="big", type="mean", covariate_window_s=10.0, covariates=["old"]),
        outcome("soon", name="big", window_s=60.0),
        outcome("never", name="never", type="mean"),
    ]
    old = outcome("old", name="old")
    plan = UnitPlan.of(experiment(surface=None), None, metrics, {"old": old})
    numbers = UnitNumbers(store).from_log(plan, END)
    big, soon, never = numbers.metrics
    control = big.by_variant["c"]
    own = [values, [0.0] * 300, [7.0] * 300]
    expected = JointMoments.of_columns(*own)
    assert control.means == pytest.approx(expected.means, rel=1e-15)
    assert control.cross[0][0] == pytest.approx(expected.cross[0][0], rel=1e-6)
    assert control.cross[2] == (0.0, 0.0, 0.0)  # a covariate that is the same for all
    alone = big.by_variant["t"]
    assert (alone.n, alone.means[0], alone.cross[0][0]) == (1, 1e6, 0.0)
    assert big.none_n == {"t": 1}
    assert soon.unripe_n == {"t": 1}
    assert never.by_variant == {v: JointMoments.none(1) for v in ("c", "t")}


def test_a_cap_is_found_with_enough_units_and_stays_as_it_was_found(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bandit.store.unit_numbers.CAP_FROM_UNITS", 10)
    log = RememberingLog(store)
    for n in range(20):
        log.assign(f"u{n}", "c", 1000 * n)
        log.outcome(f"u{n}", "revenue", float(n), 1000 * n)
    log.deliver()
    metric = outcome("revenue", cap_quantile=0.9)
    plan = UnitPlan.of(experiment(surface=None), None, [metric], {})
    numbers = UnitNumbers(store)
    numbers.advance(plan, T0 + 8_000)
    few = numbers.from_states(plan)
    assert few is not None
    assert few.metrics[0].cap is None
    numbers.advance(plan, T0 + 9_000)  # 10 units: 0 … 9, of which 8 is the 90 % quantile
    numbers.advance(plan, END)
    for found in (numbers.from_states(plan), numbers.from_log(plan, END)):
        assert found is not None
        assert found.metrics[0].cap == 8.0
        assert found.metrics[0].capped_n == {"c": 11}
        assert found.metrics[0].columns == ("value", "uncapped")


def test_readers_that_may_change_nothing_get_numbers(clickhouse_url: str, store: Store) -> None:
    log = some_log(store)
    reading = Store.connect(clickhouse_url, database=store.database, readonly=True)
    plan = UnitPlan.of(SPEC, SURFACE, [reward("total")], {})
    numbers = UnitNumbers(reading).from_log(plan, END)
    assert_right(numbers, Reference(log.rows, SPEC, SURFACE, END), plan)
    reading.close()


def test_states_of_what_has_expired_stay_as_they_are(store: Store) -> None:
    log = some_log(store)
    plan = UnitPlan.of(SPEC, SURFACE, [reward("total")], {})
    numbers = UnitNumbers(store)
    numbers.advance(plan, HALF)
    before = numbers.from_states(plan)
    Retention(store).keep({"decisions": 30}, longest_window_s=1.0, now_ms=T0)  # T0 was long ago
    log.outcome("u2", "revenue", 3.0, 30_000)
    log.reward(log.decide(20_000, unit="u1", experiment="e", variant="t"), 0.75, name="click")
    log.deliver()
    numbers.advance(plan, HALF)
    assert numbers.from_states(plan) == before
    assert before is not None
    assert sum(variant.units_n for variant in before.variants) > 10


def noted(store: Store, plan: UnitPlan, build: int, done_n: int) -> None:
    """Steps of a second each, all done, and one more claimed; a cap is found by the third."""
    steps = [step for n in range(1, done_n + 1) for step in ((n, "claimed"), (n, "done"))]
    steps.append((done_n + 1, "claimed"))
    arrived = {"at_ms": 0, "rows_n": 0}
    notes = [
        {"arrived": arrived, **({"caps": {"median": 8.0}} if n >= 3 else {})} for n, _ in steps
    ]
    columns = {
        "generation": [plan.generation] * len(steps),
        "build": [build] * len(steps),
        "experiment": ["e"] * len(steps),
        "step": [n for n, _ in steps],
        "state": [state for _, state in steps],
        "from_ts": [1000 * (n - 1) for n, _ in steps],
        "through_ts": [1000 * n for n, _ in steps],
        "states_n": [0] * len(steps),
        "digest": [0] * len(steps),
        "sums": [msgspec.json.encode(each).decode() for each in notes],
    }
    store.insert("state_steps", columns)


def test_how_far_states_are_is_told_by_the_newest_steps_however_many_there_were(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = outcome("median", name="revenue", cap_quantile=0.9)
    plan = UnitPlan.of(experiment(surface=None), None, [metric], {})
    noted(store, plan, build=0, done_n=300)
    read, rows = [], store.rows

    def counted(name: str, **given: object) -> list:
        found = rows(name, **given)
        read.append(len(found))
        return found

    monkeypatch.setattr(store, "rows", counted)
    progress = UnitSteps(store, plan).progress()
    assert (progress.build, progress.done.step, progress.claimed.step) == (0, 300, 301)
    assert progress.caps == {"median": (8.0, 3000)}
    assert sum(read) <= NEWEST_N + 1
    mark_spoilt(store, plan.generation, "e", 0)
    spoilt = UnitSteps(store, plan).progress()
    assert (spoilt.build, spoilt.done, spoilt.claimed) == (1, None, None)
    assert spoilt.caps == progress.caps
    noted(store, plan, build=1, done_n=1)
    mark_spoilt(store, plan.generation, "e", 0)  # again, by somebody who is late
    again = UnitSteps(store, plan).progress()
    assert (again.build, again.done.step, again.claimed.step) == (1, 1, 2)
