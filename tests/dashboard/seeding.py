"""A store as it looks some minutes into an experiment, for the pages to show."""

import math
import random
import time

import msgspec

from bandit.journal.base import Progress
from bandit.service.refreshing_reports import ReportRefresher
from bandit.specs import AnySpec, Experiment, Metric, Note, PolicySpec, Surface, Variant
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.sink import ClickHouseSink
from tests.bandit.logs import LogMaker, publish

SPECS: tuple[AnySpec, ...] = (
    PolicySpec(key="random", type="uniform"),
    PolicySpec(key="first", type="fixed"),
    PolicySpec(key="feed-vw", type="vw", surface="home.feed"),
    Metric(key="click", source="reward", name="click", per="decision"),
    Metric(key="clicks-per-unit", source="reward", name="click", per="unit"),
    Metric(key="latency", source="outcome", name="latency", type="mean", better="lower"),
    Surface(
        key="home.feed",
        policy="random",
        shadows=["feed-vw", "first"],
        join_window_s=5.0,
        description="What people see first.",
    ),
    Surface(key="checkout.upsell", policy="first", killed=True),
    Surface(
        key="home.hero",
        policy="feed-vw",
        shadows=["first"],
        join_window_s=5.0,
        uniform_share=0.5,
        description="One picture: with pins, overrides, a uniform slice and testers.",
    ),
    Experiment(
        key="feed-2026",
        surface="home.feed",
        salt="s1",
        status="running",
        control="control",
        metrics=["click", "clicks-per-unit"],
        guardrails=["latency"],
        segments=["country"],
        description="Does the learned feed earn more clicks than a random one?",
        variants=[
            Variant(key="control", policy="random", allocation=[(0, 5000)]),
            Variant(key="treatment", policy="feed-vw", allocation=[(5000, 10_000)]),
        ],
    ),
    Experiment(
        key="upsell-2026",
        surface="checkout.upsell",
        salt="s2",
        control="a",
        variants=[
            Variant(key="a", policy="first", allocation=[(0, 5000)]),
            Variant(key="b", policy="random", allocation=[(5000, 10_000)]),
        ],
    ),
)
OTHERS: tuple[AnySpec, ...] = (
    Metric(key="revenue", source="outcome", name="revenue", covariate_window_s=7200.0),
    Experiment(
        key="hero-2026",
        surface="home.hero",
        salt="s3",
        status="running",
        control="control",
        variants=[
            Variant(key="control", policy="random", allocation=[(0, 5000)]),
            Variant(key="treatment", policy="feed-vw", allocation=[(5000, 10_000)]),
        ],
    ),
    Experiment(
        key="colours-2026",
        salt="s4",
        status="running",
        control="blue",
        metrics=["revenue"],
        description="Does a red button earn more than a blue one?",
        variants=[
            Variant(key="blue", payload={"colour": "blue"}, allocation=[(0, 5000)]),
            Variant(key="red", payload={"colour": "red"}, allocation=[(5000, 10_000)]),
        ],
    ),
    Experiment(
        key="feed-2025",
        surface="home.feed",
        salt="s5",
        status="archived",
        control="a",
        variants=[
            Variant(key="a", policy="first", allocation=[(0, 5000)]),
            Variant(key="b", policy="random", allocation=[(5000, 10_000)]),
        ],
    ),
)
LASTED_MS = 300_000
HOUR_MS = 3_600_000


def declare(store: Store, now_ms: int) -> None:
    """Put every spec."""
    for spec in (*SPECS, *OTHERS):
        Definitions(store).put(
            spec, expected=None, author="test", change_id=spec.key, now_ms=now_ms
        )


def seed(store: Store, now_ms: int, decisions_n: int = 1500) -> None:
    """Five minutes of traffic that ended just before `now_ms`; the treatment learns."""
    declare(store, now_ms - LASTED_MS)
    rng = random.Random(2026)
    start_ms = now_ms - LASTED_MS
    log = LogMaker(store, "home.feed", start_ms)
    for n in range(decisions_n):
        at_ms = n * LASTED_MS // decisions_n
        unit = rng.randrange(240)
        treated = unit % 2 == 1
        best, explored = rng.randrange(4), math.exp(-at_ms / 80_000)
        learned = [0.1 + 0.6 * (1 - explored) * (a == best) for a in range(4)]
        learned = [p / sum(learned) for p in learned]
        pmf = learned if treated else [0.25] * 4
        [action] = rng.choices(range(4), pmf)
        decision = log.decide(
            at_ms,
            unit=f"user-{unit}",
            context={"country": ("US", "DE", "FR")[unit // 2 % 3]},
            experiment="feed-2026",
            experiment_version=1,
            variant="treatment" if treated else "control",
            policy="feed-vw" if treated else "random",
            snapshot=at_ms // 10_000 if treated else 0,
            ranking=(action,),
            propensities=(pmf[action],),
            pmf=pmf,
            shadows={"feed-vw": (learned[action],), "first": (float(action == 0),)},
        )
        if rng.random() < (0.45 if action == best else 0.12):
            log.reward(decision, 1.0, rng.randrange(50, 4000), name="click")
        if n % 3 == 0:
            log.expose(decision)
        if n < 240:
            log.outcome(f"user-{n}", "latency", 100 + rng.gauss(0, 20), at_ms + 20_000)
    log.deliver()
    _seed_hero(store, start_ms)
    _seed_colours(store, start_ms)
    for number in range(1, LASTED_MS // 10_000):
        at_ms = number * 10_000
        publish(
            store,
            number,
            watermark_ms=at_ms - 5500,
            created_ms=at_ms - 400,
            start_ms=start_ms,
            policy="feed-vw",
            trained=number * 16,
            defaulted=number * 34,
            late=number // 9,
        )
    sink = ClickHouseSink(store, now_ms=lambda: now_ms)
    sink.report(
        Progress(host="host-1", drained_through_ms=now_ms - 120, backlog_bytes=0, segments_n=1)
    )


def note(store: Store, at_ms: int) -> None:
    """Give the experiment an owner and a note."""
    definitions = Definitions(store)
    noted = msgspec.structs.replace(
        definitions.get("experiment", "feed-2026").spec,
        owner="ana",
        notes=[Note(at_ms=at_ms, text="sale began")],
    )
    definitions.put(noted, expected=1, author="bo", change_id="note", now_ms=at_ms)


def keep(store: Store, now_ms: int) -> None:
    """Keep the numbers of every report, as `bandit refresh` does when all is delivered."""
    sink = ClickHouseSink(store, now_ms=lambda: now_ms)
    sink.report(Progress(host="host-1", drained_through_ms=now_ms, backlog_bytes=0, segments_n=0))
    refresher = ReportRefresher(store, now_ms=lambda: now_ms, monotonic_s=time.monotonic)
    assert [done.why for done in refresher.run_once() if done.why] == []


def _seed_hero(store: Store, start_ms: int) -> None:
    """Half of the units outside any experiment and half of those in the slice; a few odd ones."""
    rng = random.Random(2027)
    log = LogMaker(store, "home.hero", start_ms)
    for n in range(400):
        place = n % 4
        policy = ("feed-vw", "uniform-slice", "feed-vw", "random")[place]
        variant = ("", "", "treatment", "control")[place]
        action = 0 if policy == "feed-vw" and rng.random() < 0.7 else rng.randrange(4)
        forced = bool(variant) and n % 50 == 2
        pinned = not forced and n % 20 == 3
        decision = log.decide(
            n * 500,
            unit=f"tester-{n}" if forced else f"unit-{n % 160}",
            policy=policy,
            experiment="hero-2026" if variant else "",
            experiment_version=1 if variant else 0,
            variant=variant,
            forced=forced,
            ranking=(action,),
            propensities=(1.0 if pinned else 0.775 if action == 0 else 0.075,)
            if policy == "feed-vw"
            else (1.0 if pinned else 0.25,),
            pinned=(0,) if pinned else (),
            shadows={"first": (float(action == 0),)},
            shadow_tops={"first": 0},
        )
        if rng.random() < (0.6 if action == 0 else 0.2):
            log.reward(decision, 1.0, 100)
        if n % 40 == 7:
            log.expose(decision, (), overridden=((0, "editorial"),))
    log.deliver()


def _seed_colours(store: Store, start_ms: int) -> None:
    """Units that were told a colour, and what they spent before and since; two testers."""
    rng = random.Random(2028)
    log = LogMaker(store, "", start_ms)
    for n in range(160):
        variant = ("blue", "red")[n % 2]
        log.assign(f"user-{n}", variant, n * 1000, experiment="colours-2026")
        usual = rng.gauss(10.0, 2.0)
        log.outcome(f"user-{n}", "revenue", usual, -HOUR_MS)
        spent = rng.gauss(usual + (variant == "red"), 1.0)
        log.outcome(f"user-{n}", "revenue", spent, n * 1000 + 500)
    for n in range(2):
        log.assign(f"tester-{n}", "red", n, experiment="colours-2026", forced=True)
    log.deliver()
