"""What a report costs: from kept numbers, from unit states, from the log; beside tea-tasting.

`make bench ARGS=reports`, or `ARGS=reports=10000000` for the full size; units are a tenth of that.
Both sides read decisions and rewards of the same numbers: we a log in the embedded ClickHouse,
tea-tasting two tables in DuckDB through Ibis, its fastest way; then one that is joined beforehand.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ibis
import msgspec
import tea_tasting as tt

from bandit.specs import Experiment, Metric, Surface, Variant
from bandit.store.client import Store
from bandit.store.migrations import migrate
from bandit.store.numbers import ExperimentNumbers
from bandit.store.unit_numbers import UnitNumbers
from bandit.store.unit_plan import UnitPlan
from tests.bench.kept import kept_report
from tests.conftest import Gateway, start_gateway, stop_gateway

START_MS = 1_790_000_000_000 // 86_400_000 * 86_400_000
LAST_SHARE = 0.01
"""Of the time, that a refresh adds to states that are there."""
WINDOW_MS = 600_000
TIMEOUT_S = 600.0
DECISION = """
INSERT INTO decisions (event_id, ts, surface, unit_id, experiment, experiment_version, variant,
    policy, context, actions, ranking, propensities, writer, seq, ingested_at)
SELECT toUUID(concat('00000000-0000-7000-8000-', leftPad(lower(hex(number)), 12, '0'))),
    fromUnixTimestamp64Milli({start:Int64} + toInt64(number * {span:Float64} / {n:Float64}), 'UTC'),
    'home', concat('u-', toString(cityHash64(number, 1) % {units:UInt64})) AS unit, 'e', 1,
    if(cityHash64(unit) % 2, 't', 'c'), 'p', '{}', ['a', 'b'], [0], [0.5], 'w', number + 1,
    now64(3) - toIntervalHour(1)
FROM numbers({from:UInt64}, {block:UInt64})
"""
REWARD = """
INSERT INTO rewards (event_id, decision_ts, ts, surface, name, value, reward_id, writer, seq,
    ingested_at)
SELECT toUUID(concat('00000000-0000-7000-8000-', leftPad(lower(hex(number)), 12, '0'))),
    fromUnixTimestamp64Milli({start:Int64} + toInt64(number * {span:Float64} / {n:Float64}), 'UTC')
        AS at,
    at + toIntervalSecond(5), 'home', 'click', (cityHash64(number, 2) % 1000) / 1000, 'r', 'w',
    number + 1, now64(3) - toIntervalHour(1)
FROM numbers({from:UInt64}, {block:UInt64})
WHERE cityHash64(number, 3) % 10 < 3
"""

THEIRS = """
CREATE TABLE decisions AS
SELECT uuid() AS event_id, 'u-' || (hash(range, 1) % {units})::VARCHAR AS unit_id,
    (hash(unit_id) % 2)::TINYINT AS variant FROM range({n});
CREATE TABLE rewards AS SELECT event_id, random() AS value FROM decisions USING SAMPLE 30 PERCENT;
"""


class Size(NamedTuple):
    """How much there is."""

    decisions: int = 1_000_000
    units: int = 0
    days: int = 7
    metrics: int = 20

    @property
    def units_n(self) -> int:
        return self.units or self.decisions // 10

    @property
    def end_ms(self) -> int:
        return START_MS + self.days * 86_400_000


def reports(*, decisions_n: int = 1_000_000) -> None:
    """Print what reports cost, and what they cost when units have twice as many decisions."""
    size = Size(decisions_n)
    twice = size._replace(decisions=2 * size.decisions, units=size.units_n)
    ours = []
    for each in (size, twice):
        with tempfile.TemporaryDirectory() as name:
            gateway = start_gateway(Path(name))
            try:
                ours.append(_ours(gateway, each))
            finally:
                stop_gateway(gateway)
    print(f"refresh, decisions a unit doubled   {ours[1] / ours[0]:10.2f} x the time")
    theirs = _tea_tasting(size)
    print(f"refresh against tea-tasting         {theirs / ours[0]:10.1f} x faster")


def _metrics(n: int) -> list[Metric]:
    """Metrics that differ in what they count."""
    return [Metric(key=f"m{at}", source="reward", name="click", at_least=at / n) for at in range(n)]


def _ours(gateway: Gateway, size: Size) -> float:
    """Fill a store and time what reads it; seconds of a refresh."""
    store = Store.connect(gateway.url(), database="bench", timeout_s=TIMEOUT_S)
    migrate(store)
    print(f"{size.decisions:,} decisions, {size.units_n:,} units, {size.metrics} metrics × 2")
    for _ in _filled(store, size):
        pass
    plan, numbers = _plan(size), UnitNumbers(store)
    closed_ms = size.end_ms
    before_ms = int(START_MS + size.days * 86_400_000 * (1 - LAST_SHARE))
    from_log = _timed("from the log", lambda: numbers.from_log(plan, before_ms), times=1)
    _timed("first states", lambda: numbers.advance(plan, before_ms), times=1)
    store.apply("OPTIMIZE TABLE unit_states$local FINAL")
    kept: list[ExperimentNumbers] = []
    took = []
    for at in range(1, 4):
        through_ms = before_ms + (closed_ms - before_ms) * at // 3
        took.append(_timed(f"advance {at}", lambda at=through_ms: numbers.advance(plan, at)))
        made = _timed("numbers from states", lambda: kept.append(_some(numbers.from_states(plan))))
        took[-1] += made
    text = msgspec.json.encode(kept[-1])
    _timed("read kept numbers", lambda: msgspec.json.decode(text, type=ExperimentNumbers), times=9)
    print(f"kept numbers                        {len(text) / 1000:10.1f} kB")
    assert plan.surface is not None
    kept_report(
        store,
        plan.experiment,
        plan.surface,
        plan.metrics,
        kept[-1],
        as_of_ms=closed_ms + WINDOW_MS,
    )
    peak = Path(f"/proc/{gateway.process.pid}/status").read_text().split("VmHWM:")[1].split()[0]
    print(f"engine's most memory                {int(peak) / 1e6:10.2f} GB")
    store.close()
    refresh = statistics.median(took)
    print(f"refresh (advance + numbers)         {refresh:10.3f} s, from the log {from_log:.1f} s")
    return refresh


def _some(numbers: ExperimentNumbers | None) -> ExperimentNumbers:
    assert numbers is not None
    return numbers


def _filled(store: Store, size: Size) -> Iterator[None]:
    block = 500_000
    for start in range(0, size.decisions, block):
        given = {
            "start": START_MS,
            "span": float(size.end_ms - START_MS - WINDOW_MS),
            "n": float(size.decisions),
            "units": size.units_n,
            "from": start,
            "block": min(block, size.decisions - start),
        }
        for statement in (DECISION, REWARD):
            store._client.command(statement, parameters=given)
        yield


def _plan(size: Size) -> UnitPlan:
    halves = {"c": [(0, 5000)], "t": [(5000, 10_000)]}
    metrics = _metrics(size.metrics)
    experiment = Experiment(
        key="e",
        surface="home",
        salt="salt",
        control="c",
        metrics=[metric.key for metric in metrics],
        variants=[Variant(key=k, policy="p", allocation=own) for k, own in halves.items()],
    )
    surface = Surface(key="home", policy="p", join_window_s=WINDOW_MS / 1000)
    return UnitPlan.of(experiment, surface, metrics, {})


def _tea_tasting(size: Size) -> float:
    """Seconds of its analysis, through DuckDB, from decisions and the rewards that join them."""
    connected = ibis.duckdb.connect()
    connected.raw_sql(THEIRS.format(n=size.decisions, units=size.units_n))
    decisions: Any = connected.table("decisions")
    rewards: Any = connected.table("rewards")
    pairs = decisions.left_join(rewards, "event_id")
    events = pairs.mutate(value=pairs.value.fill_null(0.0))
    sums = {
        f"m{at}": (events.value >= at / size.metrics).ifelse(events.value, 0.0).sum()
        for at in range(size.metrics)
    }
    units = events.group_by("unit_id", "variant").aggregate(**sums)
    experiment = tt.Experiment({name: tt.Mean(name) for name in sums})
    took = _timed("tea-tasting, Ibis and DuckDB", lambda: experiment.analyze(units), times=3)
    connected.raw_sql("CREATE TABLE joined AS " + ibis.to_sql(events, dialect="duckdb"))
    events = connected.table("joined")
    sums = {
        f"m{at}": (events.value >= at / size.metrics).ifelse(events.value, 0.0).sum()
        for at in range(size.metrics)
    }
    joined = events.group_by("unit_id", "variant").aggregate(**sums)
    _timed("the same, joined beforehand", lambda: experiment.analyze(joined), times=3)
    connected.disconnect()
    return took


def _timed(what: str, call: Callable[[], object], times: int = 1) -> float:
    took = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    print(f"{what:<36}{statistics.median(took):10.4f} s", flush=True)
    return statistics.median(took)
