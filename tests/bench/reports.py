"""What a report costs: from kept numbers, from unit states, from the log; beside tea-tasting.

`make bench ARGS=reports`, or `ARGS=reports=10000000` for the full size; units are a tenth of that.
tea-tasting reads the same decisions and rewards in all of its ways (`peers/tea_tasting_sides.py`),
and its effects must be ours.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from bandit.specs import Experiment, Metric, Surface, Variant
from bandit.store.client import Store
from bandit.store.migrations import migrate
from bandit.store.numbers import ExperimentNumbers
from bandit.store.unit_numbers import UnitNumbers
from bandit.store.unit_plan import UnitPlan
from tests.bench.kept import kept_report
from tests.bench.peers.tea_tasting_sides import answers
from tests.conftest import Gateway, start_gateway, stop_gateway

START_MS = 1_790_000_000_000 // 86_400_000 * 86_400_000
LAST_SHARE = 0.015
"""Of the time, that is added to states that are there: in three steps, then three half as long."""
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


class Took(NamedTuple):
    """Seconds of refreshes.

    Attributes:
        refresh_s: Of 0.3 % of the time.
        halved_s: Of half of that.
    """

    refresh_s: float
    halved_s: float


def reports(*, decisions_n: int = 1_000_000) -> None:
    """Print what reports cost, and what they cost when units have twice as many decisions."""
    size = Size(decisions_n)
    twice = size._replace(decisions=2 * size.decisions, units=size.units_n)
    ours = []
    for each in (size, twice):
        with tempfile.TemporaryDirectory() as name:
            gateway = start_gateway(Path(name))
            try:
                ours.append(_ours(gateway, each, with_peers=each is size))
            finally:
                stop_gateway(gateway)
    print("refresh, decisions a unit doubled:")
    print(f"  of as long a time                 {ours[1].refresh_s / ours[0].refresh_s:10.2f} x")
    print(f"  of as many new decisions          {ours[1].halved_s / ours[0].refresh_s:10.2f} x")


def _metrics(n: int) -> list[Metric]:
    """Metrics that differ in what they count."""
    return [Metric(key=f"m{at}", source="reward", name="click", at_least=at / n) for at in range(n)]


def _ours(gateway: Gateway, size: Size, *, with_peers: bool) -> Took:
    """Fill a store and time what reads it, and what else reads the same log."""
    store = Store.connect(gateway.url(), database="bench", timeout_s=TIMEOUT_S)
    migrate(store)
    print(f"{size.decisions:,} decisions, {size.units_n:,} units, {size.metrics} metrics × 2")
    for _ in _filled(store, size):
        pass
    plan, numbers = _plan(size), UnitNumbers(store)
    closed_ms = size.end_ms
    before_ms = int(START_MS + size.days * 86_400_000 * (1 - LAST_SHARE))
    _timed("from the log", lambda: numbers.from_log(plan, before_ms), times=1)
    _timed("first states", lambda: numbers.advance(plan, before_ms), times=1)
    store.apply("OPTIMIZE TABLE unit_states$local FINAL")
    found, kept = _refreshed(numbers, plan, before_ms, closed_ms)
    text = msgspec.json.encode(kept)
    _timed("read kept numbers", lambda: msgspec.json.decode(text, type=ExperimentNumbers), times=9)
    print(f"kept numbers                        {len(text) / 1000:10.1f} kB")
    assert plan.surface is not None
    kept_report(
        store,
        plan.experiment,
        plan.surface,
        plan.metrics,
        kept,
        as_of_ms=closed_ms + WINDOW_MS,
    )
    peak = Path(f"/proc/{gateway.process.pid}/status").read_text().split("VmHWM:")[1].split()[0]
    print(f"engine's most memory                {int(peak) / 1e6:10.2f} GB")
    print(f"refresh of 0.3 % of time            {found.refresh_s:10.3f} s")
    print(f"refresh of half as long a time      {found.halved_s:10.3f} s")
    if with_peers:
        _beside(store, gateway.url(), kept, found.refresh_s)
    store.close()
    return found


def _refreshed(
    numbers: UnitNumbers, plan: UnitPlan, before_ms: int, closed_ms: int
) -> tuple[Took, ExperimentNumbers]:
    """Refresh three times, and three times half as far; the times, and what came out at last."""
    took, kept = [], None
    for at in (2, 4, 6, 7, 8, 9):
        through_ms = before_ms + (closed_ms - before_ms) * at // 9
        advance_s = _timed(f"advance to {at}/9", partial(numbers.advance, plan, through_ms))
        start = time.perf_counter()
        kept = numbers.from_states(plan)
        took.append(advance_s + time.perf_counter() - start)
        print(f"{'numbers from states':<36}{took[-1] - advance_s:10.4f} s", flush=True)
    assert kept is not None
    return Took(statistics.median(took[:3]), statistics.median(took[3:])), kept


def _beside(store: Store, url: str, ours: ExperimentNumbers, refresh_s: float) -> None:
    """Print what tea-tasting takes over the same log, and how far its effects are from ours."""
    means = [found.by_variant for found in ours.metrics]
    effects = [each["t"].means[0] - each["c"].means[0] for each in means]
    for theirs in answers(store, url, len(means)):
        pairs = zip(effects, theirs.effects, means, strict=True)
        apart = max(abs(mine - other) / each["c"].means[0] for mine, other, each in pairs)
        took_s = statistics.median(theirs.took_s)
        print(
            f"tea-tasting {theirs.name:<40}{took_s:8.3f} s = {took_s / refresh_s:.1f} x the refresh"
        )
        print(
            f"  its effects differ from ours by {apart:.0e} of the control's mean, at most",
            flush=True,
        )


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


def _timed(what: str, call: Callable[[], object], times: int = 1) -> float:
    took = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    print(f"{what:<36}{statistics.median(took):10.4f} s", flush=True)
    return statistics.median(took)
