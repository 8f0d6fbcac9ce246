"""Decisions per second of evaluating 10 VW specs, beside 10 bare VW `learn` loops."""

import functools
import gc
import random
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import msgspec

from bandit.event_id import make_event_id, surface_tag
from bandit.journal.base import Entry, Progress
from bandit.policies import Lesson
from bandit.policies.vw import VowpalWabbit
from bandit.records import Decision, Reward
from bandit.service.evaluating import dealt, evaluate_specs
from bandit.service.evaluating_results import EvaluationSettings
from bandit.specs import PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.migrations import migrate
from bandit.store.sink import ClickHouseSink
from bandit.wire import RankRequest
from tests.bench.bodies import SURFACE, bodies
from tests.conftest import start_gateway, stop_gateway

ACTIONS_N = 20
FIRST_MS, EVERY_MS = 1_790_000_000_000, 10
BLOCK_N, CHUNK_N = 10_000, 1_000
DECLARED = Surface(
    key=SURFACE, policy="uniform", join_window_s=60.0, reward_low=0.0, reward_high=1.0
)
ARGUMENTS = (
    "--epsilon 0.05 -q UA",
    "--epsilon 0.1 -q UA",
    "--epsilon 0.2 -q UA",
    "--epsilon 0.05 -q UA -l 0.1",
    "--epsilon 0.05 -q UA -l 1",
    "--epsilon 0.05 -q UA --power_t 0.3",
    "--squarecb -q UA",
    "--squarecb -q UA --gamma_scale 100",
    "--squarecb -q UA -l 0.1",
    "--epsilon 0.05",
)
SPECS = {
    f"vw-{i}": PolicySpec(key=f"vw-{i}", type="vw", arguments=text, surface=SURFACE, floor=0.001)
    for i, text in enumerate(ARGUMENTS, start=1)
}


def evaluating(*, decisions_n: int = 50_000) -> None:
    """Print rates over one log, in one process and in two, and their ratio to bare VW's."""
    gc.set_threshold(100_000, 20, 20)  # as `bandit evaluate` does
    with tempfile.TemporaryDirectory() as name:
        gateway = start_gateway(Path(name))
        try:
            store = Store.connect(gateway.url(), database="evaluating")
            through_ms = _fill(store, decisions_n)
            store.close()
            connect = functools.partial(Store.connect, gateway.url(), database="evaluating")
            _print(connect, decisions_n, through_ms)
        finally:
            stop_gateway(gateway)


def _print(connect: functools.partial[Store], decisions_n: int, now_ms: int) -> None:
    run = functools.partial(evaluate_specs, connect, SURFACE, now_ms=now_ms)
    before = _bare(decisions_n)
    rates = {}
    for mode in ("dr", "ips"):
        start, cpu = time.perf_counter(), time.process_time()
        run(SPECS, settings=EvaluationSettings(mode=mode))  # type: ignore[arg-type]
        spent, cpu = time.perf_counter() - start, time.process_time() - cpu
        rates[mode] = decisions_n / spent, decisions_n / cpu
    after = _bare(decisions_n)
    bare, bare_cpu = ((a + b) / 2 for a, b in zip(before, after, strict=True))
    print(f"{decisions_n:,} decisions of {ACTIONS_N} actions, 10 VW specs, log in ClickHouse")
    print(f"10 bare learn loops, examples ready: {bare:,.0f} decisions/s")
    for mode, (rate, rate_cpu) in rates.items():
        print(
            f"evaluate --mode {mode:<4} {rate:,.0f} decisions/s: {rate / bare:.2f} of bare "
            f"(by CPU time of the process {rate_cpu / bare_cpu:.2f})",
            flush=True,
        )
    # What each of two processes does, one after the other: by CPU time, the busier one is the pace.
    hands = [_cpu_of(functools.partial(run, hand)) for hand in dealt(SPECS, 2)]
    share = decisions_n / rates["dr"][1] / max(hands)
    each = " and ".join(f"{spent / decisions_n * 1e6:.0f}" for spent in hands)
    print(f"two processes by CPU time: {share:.2f} of one; {each} µs a decision, ClickHouse apart")
    with ProcessPoolExecutor(2, get_context("spawn"), _few_collections) as processes:
        for _ in range(2):
            processes.submit(time.sleep, 0.5)  # started before the clock is
        processes.submit(_few_collections).result()
        start = time.perf_counter()
        run(SPECS, executor=processes, workers_n=2)
        rate = decisions_n / (time.perf_counter() - start)
    print(
        f"two processes by the clock: {rate:,.0f} decisions/s, {rate / rates['dr'][0]:.2f} of one"
    )


def _cpu_of(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def _few_collections() -> None:
    gc.set_threshold(100_000, 20, 20)


def _bare(decisions_n: int) -> tuple[float, float]:
    """Decisions per second that 10 workspaces learn, one after the other, by clock and by CPU."""
    policies = [VowpalWabbit(text) for text in ARGUMENTS]
    plain = [p for p in policies if not p.inside.spoils]
    others = [p for p in policies if p.inside.spoils]
    spent = cpu = 0.0
    taken_n = min(decisions_n, 10 * CHUNK_N)
    lessons = _lessons(taken_n)
    for _ in range(taken_n // CHUNK_N):
        chunk = [next(lessons) for _ in range(CHUNK_N)]
        examples = [policies[0].prepared(lesson) for lesson in chunk]
        for policy in (*plain, *others):
            learn = policy._workspace.learn_multi_ex_one
            start, begun = time.perf_counter(), time.process_time()
            for each in examples:
                learn(each)
            spent, cpu = spent + time.perf_counter() - start, cpu + time.process_time() - begun
    return taken_n / spent, taken_n / cpu


def _lessons(count: int) -> Iterator[Lesson]:
    rng = random.Random(2)
    asked = [msgspec.json.decode(b, type=RankRequest) for b in bodies(ACTIONS_N, requests_n=5_000)]
    for i in range(count):
        request = asked[i % len(asked)]
        yield Lesson(
            context=bytes(request.context),
            actions=tuple(request.actions),
            drawn=rng.randrange(ACTIONS_N),
            propensity=1 / ACTIONS_N,
            reward=float(rng.random() < 0.3),
        )


def _fill(store: Store, decisions_n: int) -> int:
    """Decisions drawn uniformly, 100 a second, three in ten rewarded; when all are closed."""
    migrate(store)
    sink = ClickHouseSink(store, now_ms=lambda: FIRST_MS)
    asked = bodies(ACTIONS_N, requests_n=5_000)
    rng, tag = random.Random(5), surface_tag(SURFACE)
    pmf = struct.pack(f"<{ACTIONS_N}f", *[1 / ACTIONS_N] * ACTIONS_N)
    decisions: list[Entry] = []
    rewards: list[Entry] = []
    rewarded_n = 0
    for i in range(1, decisions_n + 1):
        ts_ms = FIRST_MS + i * EVERY_MS
        event_id = make_event_id(ts_ms, tag, i.to_bytes(6, "big"), b"bench")
        made = Decision(
            ts_ms=ts_ms, surface=SURFACE, event_id=event_id, unit_id=f"u{i % 9973}",
            policy="uniform", snapshot=0, request=asked[i % len(asked)], pmf=pmf,
            ranking=(rng.randrange(ACTIONS_N),), propensities=(1 / ACTIONS_N,), floor=0.0, seed=i,
        )  # fmt: skip
        decisions.append(Entry(i, made))
        if rng.random() < 0.3:
            rewarded_n += 1
            earned = Reward(
                ts_ms=ts_ms + 1_000, surface=SURFACE, event_id=event_id, decision_ts_ms=ts_ms,
                value=1.0, reward_id=f"r{i}",
            )  # fmt: skip
            rewards.append(Entry(rewarded_n, earned))
        if i % BLOCK_N == 0 or i == decisions_n:
            sink.insert("decisions", "w", decisions, f"decisions-{i}")
            sink.insert("rewards", "w", rewards, f"rewards-{i}")
            decisions, rewards = [], []
    through_ms = FIRST_MS + decisions_n * EVERY_MS + 3_600_000
    sink.report(Progress("host", through_ms, 0, 0))
    Definitions(store).put(DECLARED, expected=None, author="bench", change_id="1", now_ms=FIRST_MS)
    return through_ms
