"""Reports of experiments whose variants are payloads: by assignments and outcomes."""

import random

import msgspec
import pytest

from bandit.errors import RecordError
from bandit.service.reporting import ExperimentReport
from bandit.specs import Experiment, Variant
from bandit.stats import Moments, welch
from bandit.store.client import Store
from tests.bandit.logs import LogMaker
from tests.bandit.service.making_reports import (
    SPECS,
    declare,
    service,
)

PAYLOADS = Experiment(
    key="colours",
    salt="s",
    status="running",
    control="blue",
    metrics=["revenue"],
    variants=[
        Variant(key="blue", payload={"colour": "blue"}, allocation=[(0, 5000)]),
        Variant(key="red", payload={"colour": "red"}, allocation=[(5000, 10_000)]),
    ],
)


def assigned_units(log: LogMaker, units_n: int = 200) -> dict[str, list[float]]:
    """Half of the units each, and what each spends; red ones spend more."""
    rng = random.Random(3)
    spent: dict[str, list[float]] = {"blue": [], "red": []}
    for n in range(units_n):
        variant = ("blue", "red")[n % 2]
        log.assign(f"u{n}", variant, n, experiment="colours")
        spent[variant].append(rng.random() + (variant == "red"))
        log.outcome(f"u{n}", "revenue", spent[variant][-1], 1000 + n)
    log.assign("qa", "red", 5, experiment="colours", forced=True)
    log.deliver(times=2)
    return spent


def test_payloads_are_reported_by_assignments_and_outcomes(store: Store):
    declare(store, *SPECS[:4], PAYLOADS)
    spent = assigned_units(LogMaker(store))
    got = service(store).experiment("colours")
    assert (got.surface, got.surface_version, got.forced_units_n) == (None, None, 1)
    assert [(v.label, v.policy, v.units_n, v.decisions_n) for v in got.variants] == [
        ("blue", None, 100, 0),
        ("red", None, 100, 0),
    ]
    [found] = got.effects
    expected = welch(Moments.of(spent["blue"]), Moments.of(spent["red"]))
    assert found.effect.effect == pytest.approx(expected.effect, rel=1e-12)
    assert found.effect.effect_ci_low == pytest.approx(expected.effect_ci_low, rel=1e-9)
    assert got.srm.observed == {"blue": 100, "red": 100}
    assert got.verdict.state == "worse"  # revenue is declared as better when lower
    assert (got.values, got.series.running, got.health.policies) == ((), (), ())
    assert [p.code for p in got.health.problems] == ["no_drain"]
    assert msgspec.json.decode(msgspec.json.encode(got), type=ExperimentReport) == got
    [headline] = service(store).overview().experiments
    assert (headline.surface, headline.units_n, headline.verdict) == (None, 200, got.verdict)


def test_payloads_can_not_be_judged_by_rewards(store: Store):
    broken = msgspec.structs.replace(PAYLOADS, metrics=["reward-per-unit"])
    declare(store, *SPECS, broken)
    with pytest.raises(
        RecordError, match="'reward-per-unit' of experiment 'colours' is of rewards"
    ):
        service(store).experiment("colours")
    verdicts = {e.key: e.verdict.state for e in service(store).overview().experiments}
    assert verdicts == {"colours": "broken", "e": "no_data"}


def test_payloads_have_no_version_of_a_surface(store: Store):
    declare(store, *SPECS[:4], PAYLOADS)
    with pytest.raises(RecordError, match="surface_version is 1, must be left out"):
        service(store).experiment("colours", surface_version=1)


def test_payloads_without_a_metric_report_their_split(store: Store):
    declare(store, *SPECS[:4], msgspec.structs.replace(PAYLOADS, metrics=[]))
    assigned_units(LogMaker(store))
    got = service(store).experiment("colours")
    assert (got.effects, got.srm.verdict, got.verdict.state) == ((), "fine", "unclear")
