"""The refresher over a real store: what it keeps, when, and what does not stop it."""

import threading

import msgspec
import pytest

from bandit.errors import RecordError
from bandit.journal.base import Progress
from bandit.service.refreshing_reports import ReportRefresher
from bandit.service.refreshing_times import over_at_ms, targets_of
from bandit.service.reporting import ReportService
from bandit.service.reporting_numbers import Judging
from bandit.specs import AnySpec, Experiment, Metric, PolicySpec, Surface, Variant
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.kept import DAY_MS, FOR_GOOD_S, HOUR_MS, REFRESHER, KeptNumbers
from bandit.store.sink import ClickHouseSink
from bandit.store.unit_numbers import UnitNumbers
from bandit.store.unit_plan import UnitPlan
from tests.bandit.logs import T0, LogMaker

DAY = T0 - T0 % DAY_MS
SURFACE = Surface(key="home", policy="random", join_window_s=1.0)
EXPERIMENT = Experiment(
    key="e",
    surface="home",
    salt="s",
    status="running",
    control="c",
    metrics=["clicks"],
    variants=[
        Variant(key="c", policy="random", allocation=[(0, 5000)]),
        Variant(key="t", policy="random", allocation=[(5000, 10_000)]),
    ],
)
SPECS: list[AnySpec] = [
    PolicySpec(key="random", type="uniform"),
    Metric(key="clicks", source="reward", per="unit"),
    SURFACE,
    EXPERIMENT,
]
ALONE = Experiment(
    key="e",
    salt="s",
    status="running",
    control="c",
    metrics=["spent"],
    variants=[
        Variant(key="c", allocation=[(0, 5000)]),
        Variant(key="t", allocation=[(5000, 10_000)]),
    ],
)
"""Without a surface, for what concerns any experiment: half as much is kept at each pass."""
SPENT = Metric(key="spent", source="outcome", name="spent")
FAR_MS = T0 + 400 * DAY_MS


class Clock:
    def __init__(self, now_ms: int) -> None:
        self.now = now_ms

    def now_ms(self) -> int:
        return self.now

    def monotonic_s(self) -> float:
        return self.now / 1000


def declare(store: Store, *specs: AnySpec, expected: int | None = None, at_ms: int = T0) -> None:
    for spec in specs:
        change_id = f"{spec.key}-{at_ms}"
        Definitions(store).put(
            spec, expected=expected, author="t", change_id=change_id, now_ms=at_ms
        )


def drained(store: Store, through_ms: int) -> None:
    sink = ClickHouseSink(store, now_ms=lambda: through_ms)
    sink.report(Progress(host="h", drained_through_ms=through_ms, backlog_bytes=0, segments_n=1))


def decide(log: LogMaker, first_ms: int, n: int = 6, value: float = 0.5) -> None:
    for at in range(n):
        log.reward(
            log.decide(
                first_ms + at,
                unit=f"u{first_ms + at}",
                experiment="e",
                variant="ct"[at % 2],
            ),
            value if at % 3 else value / 2,
        )
    log.deliver()


def spend(log: LogMaker, first_ms: int, n: int = 6) -> None:
    for at in range(first_ms, first_ms + n):
        log.assign(f"u{at}", "ct"[at % 2], at)
        log.outcome(f"u{at}", "spent", 0.5 + at % 3, at + 1)
    log.deliver()


def refresher(store: Store, clock: Clock, **given) -> ReportRefresher:
    return ReportRefresher(store, now_ms=clock.now_ms, monotonic_s=clock.monotonic_s, **given)


def refresh(store: Store, at_ms: int, **given) -> dict[str, int]:
    """One pass at a time at which everything is delivered; how much it kept of each thing."""
    drained(store, at_ms)
    done = list(refresher(store, Clock(at_ms), **given).run_once())
    assert [each.why for each in done] == [""] * len(done)
    return {each.name: each.kept_n for each in done}


def test_a_pass_keeps_every_experiment_and_surface_and_nothing_twice(store: Store):
    declare(store, *SPECS)
    log = LogMaker(store)
    decide(log, 0)
    assert refresh(store, T0 + 5000) == {"experiment/e": 1, "surface/home": 1}
    kept = KeptNumbers(store).newest("experiment", "e", FAR_MS)
    assert kept is not None
    assert kept.as_of_ms == T0 + 5000
    assert kept.numbers.closed_ms == T0 + 4000
    assert sum(v.decisions_n for v in kept.numbers.variants) == 6
    assert refresh(store, T0 + 9000) == {"experiment/e": 0, "surface/home": 0}
    decide(log, 9100)  # they wait for their window, which is news too
    assert refresh(store, T0 + 9500) == {"experiment/e": 1, "surface/home": 1}


def test_kept_numbers_are_those_of_the_log(store: Store):
    declare(store, *SPECS)
    log = LogMaker(store)
    for first_ms in (0, 8000):
        decide(log, first_ms)
        refresh(store, T0 + first_ms + 500)
    refresh(store, T0 + 20_000)
    service = ReportService(store, lambda: T0 + 20_000)
    kept, fresh = service.experiment("e"), service.experiment("e", fresh=True)
    assert (kept.source, fresh.source) == ("kept", "log")
    assert kept.variants == fresh.variants
    assert kept.verdict == fresh.verdict
    assert [e.effect.effect for e in kept.effects] == pytest.approx(
        [e.effect.effect for e in fresh.effects]
    )


def test_a_full_hour_and_a_midnight_are_kept_exactly(store: Store):
    declare(store, *SPECS, at_ms=DAY - 1000)
    log = LogMaker(store, start_ms=DAY)
    decide(log, 10)
    refresh(store, DAY + 5000)
    decide(log, 10_000)
    decide(log, HOUR_MS + 10)
    refresh(store, DAY + HOUR_MS + 9000)
    kept = KeptNumbers(store)
    found = kept.newest("experiment", "e", DAY + HOUR_MS + 8999)
    assert found is not None
    assert found.as_of_ms == DAY + HOUR_MS
    assert sum(v.decisions_n for v in found.numbers.variants) == 12
    decide(log, 2 * HOUR_MS)
    decide(log, DAY_MS + 2000)
    refresh(store, DAY + DAY_MS + 2 * HOUR_MS + 1)
    times = {
        row.as_of_ms - DAY
        for row in kept.history("experiment", "e", found.generation, at_ms=FAR_MS)
    }
    assert {HOUR_MS, DAY_MS, DAY_MS + 2 * HOUR_MS} <= times


def test_the_newest_numbers_do_not_go_while_they_hold(store: Store):
    declare(store, SPENT, ALONE)
    spend(LogMaker(store), 0)
    refresh(store, T0 + 5000)
    kept = KeptNumbers(store)
    newest = kept.newest("experiment", "e", FAR_MS)
    assert newest is not None
    before_s = kept.stays_until_s("experiment", "e", newest)
    soon = Clock(before_s * 1000 - 60_000)  # a minute before it goes
    drained(store, soon.now)
    done = {each.name: each.kept_n for each in refresher(store, soon).run_once()}
    assert done["experiment/e"] == 0
    assert kept.newest("experiment", "e", FAR_MS) == newest
    rows = store.rows("kept_times", kind="experiment", key="e", generation=newest.generation,
                      since_ms=0, at_ms=FAR_MS)  # fmt: skip
    assert rows == [(newest.as_of_ms,)]


def test_an_experiment_that_can_not_be_refreshed_does_not_stop_the_others(store: Store):
    broken = msgspec.structs.replace(EXPERIMENT, key="broken", metrics=["nobody-declared-it"])
    declare(store, *SPECS, broken)
    decide(LogMaker(store), 0)
    drained(store, T0 + 5000)
    clock = Clock(T0 + 5000)
    mine = refresher(store, clock)
    done = {each.name: each for each in mine.run_once()}
    assert done["experiment/e"].kept_n == done["surface/home"].kept_n == 1
    assert "metric 'nobody-declared-it' is not declared" in done["experiment/broken"].why
    assert list(mine.failing) == ["experiment/broken"]
    said = KeptNumbers(store).newest("refresher", REFRESHER, FAR_MS)
    assert said is not None
    assert said.numbers.failing == mine.failing
    # declared at last, it is refreshed like the others
    declare(store, Metric(key="nobody-declared-it", source="reward"))
    assert {each.why for each in mine.run_once()} == {""}
    assert mine.failing == {}


def test_what_fails_is_told_in_the_report(store: Store):
    declare(store, *SPECS)
    decide(LogMaker(store), 0)
    refresh(store, T0 + 5000)

    class Failing:
        error: Exception = RecordError("a number is too large")

        def advance(self, plan: UnitPlan, closed_ms: int) -> None:
            raise self.error

        def from_states(self, plan: UnitPlan) -> None:
            raise AssertionError

    drained(store, T0 + 90_000)
    mine = refresher(store, Clock(T0 + 90_000), units=Failing())
    assert {each.name: each.why for each in mine.run_once()} == {
        "experiment/e": "a number is too large",
        "surface/home": "",
    }
    got = ReportService(store, lambda: T0 + 91_000).experiment("e")
    [problem] = [p for p in got.health.problems if p.code == "refresh_failed"]
    assert "a number is too large" in problem.text
    assert got.as_of_ms == T0 + 5000
    Failing.error = AssertionError()  # a bug must not stop the others either
    assert [each.why for each in mine.run_once()] == ["", "AssertionError"]
    late = ReportService(store, lambda: T0 + 90_000 + HOUR_MS).experiment("e")
    assert "no_refresh" in {p.code for p in late.health.problems}


def test_a_thing_rests_ten_times_as_long_as_it_took(store: Store):
    declare(store, *SPECS)
    drained(store, T0 + 5000)
    clock = Clock(T0 + 5000)

    class Slow:
        def __init__(self) -> None:
            self._units = UnitNumbers(store)
            self.asked_n = 0

        def advance(self, plan: UnitPlan, closed_ms: int) -> None:
            self.asked_n += 1
            clock.now += 4000
            self._units.advance(plan, closed_ms)

        def from_states(self, plan: UnitPlan):
            return self._units.from_states(plan)

    slow = Slow()
    mine = refresher(store, clock, interval_s=10.0, units=slow)
    names = [done.name for done in (mine.step(), mine.step()) if done]
    assert sorted(names) == ["experiment/e", "surface/home"]
    assert mine.step() is None
    asked: list[float] = []
    started_ms = clock.now
    drained(store, T0 + 10**6)
    while slow.asked_n < 3:
        clock.now += 10_000
        done = mine.step()
        if done and done.name == "experiment/e":
            asked.append((clock.now - 4000 - started_ms) / 1000)
    assert asked[0] >= 40.0
    assert asked[1] - asked[0] >= 40.0


def test_numbers_go_by_the_definitions_of_their_time(store: Store):
    declare(store, *SPECS)
    decide(LogMaker(store), 0)
    capped = Metric(key="clicks", source="reward", per="unit", cap=0.1)
    declare(store, capped, expected=1, at_ms=T0 + 6000)
    drained(store, T0 + 5000)  # the log is not as far as the declaration
    list(refresher(store, Clock(T0 + 7000)).run_once())
    service = ReportService(store, lambda: T0 + 8000)
    then = service.experiment("e", at_ms=T0 + 5000)
    assert (then.source, then.as_of_ms, then.effects[0].effect.cap) == ("kept", T0 + 5000, None)
    now = service.experiment("e")
    assert (now.source, now.generation == then.generation) == ("log", False)


def test_nothing_is_kept_while_nobody_knows_how_far_the_log_goes(store: Store):
    declare(store, *SPECS)
    decide(LogMaker(store), 0)
    mine = refresher(store, Clock(T0 + 5000))
    assert {each.kept_n for each in mine.run_once()} == {0}
    assert mine.through_ms is None
    assert mine.failing == {}


class Killed(BaseException):
    """As by a signal, between two of the refresher's calls."""


@pytest.mark.parametrize("after_n", [0, 1])
def test_who_is_killed_in_the_middle_leaves_nothing_wrong(store: Store, after_n: int):
    declare(store, SPENT, ALONE)
    log = LogMaker(store)
    spend(log, 0)
    refresh(store, T0 + 5000)
    spend(log, 6000)

    class Dying:
        def __init__(self) -> None:
            self._units = UnitNumbers(store)
            self.left = after_n

        def _live(self) -> None:
            if not self.left:
                raise Killed
            self.left -= 1

        def advance(self, plan: UnitPlan, closed_ms: int) -> None:
            self._live()
            self._units.advance(plan, closed_ms)

        def from_states(self, plan: UnitPlan):
            self._live()
            return self._units.from_states(plan)

    drained(store, T0 + 9000)
    dying = refresher(store, Clock(T0 + 9000), units=Dying())
    with pytest.raises(Killed):
        list(dying.run_once())
    refresh(store, T0 + 9500)
    service = ReportService(store, lambda: T0 + 9500)
    assert service.experiment("e").variants == service.experiment("e", fresh=True).variants


def test_two_at_once_keep_the_numbers_of_one(clickhouse_url: str, store: Store):
    declare(store, *SPECS)
    log = LogMaker(store)
    for first_ms in range(0, 40_000, 10_000):
        decide(log, first_ms)
    drained(store, T0 + 50_000)
    whys: list[str] = []

    def run() -> None:
        mine = Store.connect(clickhouse_url, database=store.database)
        try:
            for at_ms in range(12_000, 50_000, 20_000):
                whys.extend(each.why for each in refresher(mine, Clock(T0 + at_ms)).run_once())
        finally:
            mine.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refresh(store, T0 + 50_000)
    assert set(whys) == {""}
    service = ReportService(store, lambda: T0 + 50_000)
    assert service.experiment("e").variants == service.experiment("e", fresh=True).variants
    assert service.surface("home").policies == service.surface("home", fresh=True).policies


def test_a_stopped_experiment_is_let_be_once_nothing_can_change(store: Store):
    declare(store, *SPECS)
    decide(LogMaker(store), 0)
    stopped = msgspec.structs.replace(EXPERIMENT, status="stopped")
    declare(store, stopped, expected=1, at_ms=T0 + 10_000)
    clock = Clock(T0 + 20_000)
    mine = refresher(store, clock)
    drained(store, clock.now)
    list(mine.run_once())
    assert "experiment/e" in mine.names
    clock.now = T0 + 2 * HOUR_MS
    drained(store, clock.now)
    list(mine.run_once())
    assert mine.names == ["surface/home"]
    kept = KeptNumbers(store)
    newest = kept.newest("experiment", "e", FAR_MS)
    assert newest is not None
    assert kept.stays_until_s("experiment", "e", newest) == FOR_GOOD_S
    declare(store, EXPERIMENT, expected=2, at_ms=clock.now)  # it runs again
    list(mine.run_once())
    assert "experiment/e" in mine.names


def test_a_planned_look_stays_as_it_was(store: Store):
    planned = msgspec.structs.replace(ALONE, sequential="planned", looks=2, planned_units=12)
    declare(store, SPENT, planned)
    log = LogMaker(store)
    for first_ms in (0, 3000, 6000):
        spend(log, first_ms)
        refresh(store, T0 + first_ms + 2000)
    generation = ReportService(store, lambda: T0 + 9000).experiment("e").generation
    looks = KeptNumbers(store).history("look", "e", generation, at_ms=FAR_MS)
    assert [look.as_of_ms - T0 for look in looks] == [2000, 5000]  # 6 and 12 of 12 units
    assert [KeptNumbers(store).stays_until_s("look", "e", look) for look in looks] == [
        FOR_GOOD_S,
        FOR_GOOD_S,
    ]


def test_numbers_are_made_as_of_what_was_passed_and_as_of_now():
    assert targets_of(None, T0 + 5) == [T0 + 5]
    assert targets_of(DAY + 5, DAY + 5) == []
    assert targets_of(DAY + 9, DAY + 5) == []
    assert targets_of(DAY + 5, DAY + 3 * HOUR_MS) == [DAY + 3 * HOUR_MS]
    later = DAY + DAY_MS + 5 * HOUR_MS + 7
    assert targets_of(DAY + 5, later) == [DAY + DAY_MS, later - 7, later]


@pytest.mark.parametrize(
    ("status", "metric", "over_s"),
    [
        ("running", Metric(key="m", source="reward"), None),
        ("stopped", Metric(key="m", source="outcome", name="x"), None),
        ("stopped", Metric(key="m", source="reward"), 3601.0),
        ("archived", Metric(key="m", source="outcome", window_s=60.0, from_s=9.0), 3670.0),
    ],
)
def test_a_stopped_experiment_changes_as_long_as_something_may_still_count(
    status: str, metric: Metric, over_s: float | None
):
    experiment = msgspec.structs.replace(EXPERIMENT, status=status, metrics=["m"])
    plan = UnitPlan.of(experiment, SURFACE, [metric], {})
    found = over_at_ms(Judging(experiment, SURFACE, [metric], plan), T0)
    assert found == (None if over_s is None else T0 + over_s * 1000)
