"""A surface, an experiment on it and a log of both, for the tests of reports."""

import random

from bandit.service.reporting import ReportService
from bandit.specs import AnySpec, Experiment, Metric, PolicySpec, Surface, Variant
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from tests.bandit.logs import T0, LogMaker

LATER = T0 + 3_600_000
SURFACE = Surface(key="home", policy="random", shadows=["vw"], join_window_s=1.0)
EXPERIMENT = Experiment(
    key="e",
    surface="home",
    salt="s",
    status="running",
    control="c",
    metrics=["reward-per-unit", "revenue"],
    variants=[
        Variant(key="c", policy="random", allocation=[(0, 5000)]),
        Variant(key="t", policy="vw", allocation=[(5000, 10_000)]),
    ],
)
SPECS: list[AnySpec] = [
    PolicySpec(key="random", type="uniform"),
    PolicySpec(key="vw", type="vw", surface="home"),
    Metric(key="reward-per-unit", source="reward", per="unit"),
    Metric(key="revenue", source="outcome", name="revenue", better="lower"),
    SURFACE,
    EXPERIMENT,
]


def declare(store: Store, *specs: AnySpec) -> None:
    for spec in specs:
        Definitions(store).put(spec, expected=None, author="test", change_id=spec.key, now_ms=T0)


def service(store: Store, now_ms: int = LATER) -> ReportService:
    return ReportService(store, lambda: now_ms)


def two_variants(log: LogMaker, units_n: int = 40) -> dict[str, list]:
    """Half of the units each; treatment earns more; what a second implementation needs of it."""
    rng = random.Random(7)
    told: dict[str, list] = {"c": [], "t": [], "others": []}
    for n in range(units_n):
        variant = "ct"[n % 2]
        total = 0.0
        for k in range(3):
            value = float(rng.random() < (0.3 if variant == "c" else 0.8))
            shadow = rng.uniform(0.1, 0.6)
            decision = log.decide(
                100 * n + k,
                unit=f"u{n}",
                experiment="e",
                variant=variant,
                policy="random" if variant == "c" else "vw",
                snapshot=0 if variant == "c" else 1,
                propensities=(0.25,),
                shadows={"vw": (shadow,)},
            )
            log.reward(decision, value, name="click")
            total += value
            if variant == "c":
                told["others"].append((f"u{n}", shadow / 0.25, value))
        told[variant].append(total)
        log.outcome(f"u{n}", "revenue", float(n % 5), 100 * n + 50)
    log.deliver(times=2)
    return told


def redeclare(store: Store, spec: AnySpec, expected: int, now_ms: int = T0) -> None:
    Definitions(store).put(
        spec, expected=expected, author="test", change_id=f"{spec.key}-{expected}", now_ms=now_ms
    )
