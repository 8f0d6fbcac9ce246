"""Numbers of experiments from the log and from unit states, against plain Python over records."""

import random
from collections import Counter

import msgspec
import pytest

from bandit.specs import Experiment, Metric, Surface, Variant
from bandit.specs.metrics import Denominator
from bandit.stats import JointMoments
from bandit.store.client import Store
from bandit.store.numbers import ExperimentNumbers
from bandit.store.unit_numbers import UnitNumbers
from bandit.store.unit_plan import UnitPlan
from tests.bandit.logs import T0
from tests.bandit.store.unit_reference import Reference, RememberingLog, inverted

SURFACE = Surface(
    key="home",
    policy="random",
    join_window_s=1.0,
    default_reward=0.125,
    reward_weights={"click": 1.0, "watch": 0.5},
)
DAY_MS = 86_400_000


def experiment(**changes) -> Experiment:
    halves = {"c": [(0, 5000)], "t": [(5000, 10_000)]}
    surface = changes.get("surface", "home")
    given = {
        "key": "e",
        "surface": "home",
        "salt": "salt",
        "control": "c",
        "variants": [
            Variant(key=key, policy="random" if surface else None, allocation=own)
            for key, own in halves.items()
        ],
        **changes,
    }
    return Experiment(**given)


def reward(key: str, **given) -> Metric:
    return Metric(key=key, source="reward", **given)


def outcome(key: str, **given) -> Metric:
    return Metric(key=key, source="outcome", **given)


METRICS = [
    reward("total"),
    reward("per", per="decision", covariate_window_s=20.0),
    reward("clicks", name="click", type="count", cap=2.0, covariate_window_s=15.0),
    reward("good", type="proportion", at_least=0.5),
    reward("mean", type="mean", name="watch", covariate_window_s=30.0, covariates=["orders"]),
    reward("back", type="retention", from_s=2.0, window_s=8.0),
    reward("share", type="ratio", name="click", denominator=Denominator()),
    outcome("revenue", name="revenue", covariate_window_s=30.0, covariates=["total", "ticket"]),
    outcome("orders", name="revenue", type="count", at_least=1.0, at_most=6.0),
    outcome("soon", name="revenue", window_s=5.0),
    outcome("any", type="mean"),
    outcome(
        "ticket",
        name="revenue",
        type="ratio",
        denominator=Denominator(source="outcome", name="visit", type="count"),
        covariate_window_s=25.0,
    ),
    outcome("median", name="revenue", type="quantile", quantile=0.6),
]
DECLARED = {metric.key: metric for metric in METRICS}


def random_log(log: RememberingLog, rng: random.Random, decisions_n: int = 260) -> None:
    """Everything that may happen to the units of an experiment, in 60 s."""
    for n in range(decisions_n):
        at_ms = rng.randrange(0, 60_000)
        unit = f"u{rng.randrange(40)}"
        variant = "ct"[int(unit[1:]) % 2]
        if rng.random() < 0.01:
            variant = "tc"[int(unit[1:]) % 2]
        inside = at_ms > 15_000 and rng.random() < 0.8
        decision = log.decide(
            at_ms,
            unit=unit,
            experiment="e" if inside else rng.choice(["", "other"]),
            variant=variant if inside else "",
            deferred=rng.random() < 0.3,
            forced=rng.random() < 0.004,
            writer=rng.choice(["w1", "w2"]),
            propensities=(0.25, 0.25),
            context={"country": ["NL", "DE"][n % 2], "app": {"v": n % 3}} if n % 7 else {},
        )
        if rng.random() < 0.1:  # logged again, by another worker, a little later
            again = msgspec.structs.replace(decision, ts_ms=decision.ts_ms + rng.choice([1, 3000]))
            log.put(again, "w3")
        for _ in range(rng.choice([0, 0, 1, 2])):
            log.reward(
                decision,
                rng.choice([-0.5, 0.25, 0.5, 1.0, 7.0]),
                rng.choice([0, 3, 400, 999, 1000]),
                slot=rng.choice([0, 0, 1]),
                name=rng.choice(["click", "watch", "other"]),
                reward_id=rng.choice("abc"),
                surface=rng.choice(["home", ""]),
            )
        if rng.random() < 0.5:
            log.expose(decision, rng.choice([(0,), (1,)]), rng.choice([1, 999, 1000]))
        if rng.random() < 0.7:
            log.outcome(
                f"u{rng.randrange(45)}",
                rng.choice(["revenue", "revenue", "visit"]),
                rng.choice([0.5, 1.0, 4.0, 9.0]),
                rng.randrange(0, 60_000),
                writer=rng.choice(["w1", "w2"]),
                outcome_id=f"o{rng.randrange(150)}",
            )


def assert_same(got: JointMoments, columns: list[list[float]], where: str) -> None:
    expected = JointMoments.of_columns(*columns) if columns else JointMoments.none(len(got.means))
    assert got.n == expected.n, where
    assert got.means == pytest.approx(expected.means, rel=1e-12, abs=1e-12), where
    for mine, theirs in zip(got.cross, expected.cross, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-9), where


def assert_right(numbers: ExperimentNumbers, reference: Reference, plan: UnitPlan) -> None:
    """Numbers are those of the reference: every metric, count and slice."""
    fates = {key: reference.fate(key) for key in reference.units}
    counts = Counter(fates.values())
    assert numbers.crossed_n == counts["crossed"]
    assert numbers.forced_n == counts["forced"]
    assert sum(numbers.bots_n.values()) == counts["bot"]
    for variant in numbers.variants:
        assert variant.units_n == counts[":" + variant.variant]
    assert sum(p.units_n for p in numbers.periods) == sum(v.units_n for v in numbers.variants)
    paths = [name.split(".") for name in plan.experiment.segments]

    def slices(key: str) -> set[tuple[str, str]]:
        unit = reference.units[key]
        found = {("first_day", "2026-09-21")}
        for name, path in zip(plan.experiment.segments, paths, strict=True):
            value = unit.first_context
            for part in path:
                value = value.get(part) if isinstance(value, dict) else None
            found.add((name, msgspec.json.encode(value).decode()))
        return found

    sliced = {(s.by, s.value, s.numbers.metric): s.numbers for s in numbers.slices}
    for found, metric in zip(numbers.metrics, plan.metrics, strict=True):
        assert found.metric == metric.key
        for variant, moments in found.by_variant.items():
            own = [key for key, fate in fates.items() if fate == ":" + variant]
            columns = reference.columns(metric, DECLARED, own)
            assert_same(moments, columns, f"{metric.key} of {variant}")
            unripe = sum(not reference.is_ripe(key, metric) for key in own)
            assert found.unripe_n.get(variant, 0) == unripe
            assert moments.n + unripe + found.none_n.get(variant, 0) == len(own)
            if metric.cap is not None:
                assert found.capped_n.get(variant, 0) == sum(v > metric.cap for v in columns[1])
            if metric.quantile is not None and columns:
                order = found.orders[variant]
                assert order.value == inverted(columns[0], metric.quantile)
                assert order.n == len(columns[0])
            for place in {s for key in own for s in slices(key)}:
                theirs = [key for key in own if place in slices(key)]
                columns = reference.columns(metric, DECLARED, theirs)
                if columns:
                    part = sliced[(*place, metric.key)].by_variant[variant]
                    assert_same(part, columns, f"{metric.key} of {variant} where {place}")
    earned: Counter[str] = Counter()
    for seen in (s for found in reference.own.values() for s in found):
        if seen.is_seen and not seen.decision.forced:
            earned[seen.decision.variant] += seen.reward
    sums = {v.variant: v.reward_sum for v in numbers.variants}
    assert sums == pytest.approx({variant: earned[variant] for variant in sums})


@pytest.mark.parametrize("seed", [1, 2])
def test_numbers_from_the_log_and_from_states_are_those_of_the_definitions(
    store: Store, seed: int
) -> None:
    rng = random.Random(seed)
    log = RememberingLog(store)
    random_log(log, rng)
    log.deliver(times=2)
    spec = experiment(segments=["country", "app.v"], bot_decisions=8)
    plan = UnitPlan.of(spec, SURFACE, METRICS, DECLARED)
    numbers = UnitNumbers(store)
    ends = sorted(T0 + rng.randrange(10_000, 60_000) for _ in range(3))
    for closed_ms in ends:
        numbers.advance(plan, closed_ms)
    reference = Reference(log.rows, spec, SURFACE, ends[-1])
    kept = numbers.from_states(plan)
    assert kept is not None
    assert kept.closed_ms == ends[-1]
    assert len(kept.metrics[0].by_variant) == 2
    assert_right(kept, reference, plan)
    assert_right(numbers.from_log(plan, ends[-1]), reference, plan)
    assert numbers.check(plan) is None
