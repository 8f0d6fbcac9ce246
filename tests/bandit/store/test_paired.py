"""Paired moments from a real log, against a second implementation over records."""

import random
from collections import defaultdict

import pytest

from bandit.ope.paired_moments import PairedMoments
from bandit.specs import Surface
from bandit.store.client import Store
from bandit.store.paired import DAY_MS, agreement_moments, exploring
from bandit.store.reports import Scope
from tests.bandit.logs import T0, LogMaker

SURFACE = Surface(key="home", policy="a", shadows=["a", "b"], join_window_s=1.0, reward_low=0.0)
SCOPE = Scope(SURFACE, T0 + 3 * DAY_MS)
Rows = defaultdict[object, list[tuple[str, float, float]]]


def assert_same(found: PairedMoments, rows: list[tuple[str, float, float]]) -> None:
    expected = PairedMoments.of(*zip(*rows, strict=True))
    assert (found.units_n, found.n, found.matched_n) == (
        expected.units_n, expected.n, expected.matched_n,
    )  # fmt: skip
    assert found.means == pytest.approx(expected.means)
    assert found.comoments == pytest.approx(expected.comoments, abs=1e-9)
    assert found.weight_squares == pytest.approx(expected.weight_squares)
    assert found.max_weight == pytest.approx(expected.max_weight)


def test_variants_logs_tell_of_each_others_policies(store: Store) -> None:
    rng, log, told = random.Random(3), LogMaker(store), defaultdict(list)
    for n in range(200):
        unit, variant = f"u{n % 40}", "ct"[n % 2]
        policy, other = ("a", "b") if variant == "c" else ("b", "a")
        shadow = rng.choice([0.1, 0.2, 0.7])
        decision = log.decide(
            n, unit=unit, experiment="e", variant=variant, policy=policy, propensities=(0.25,),
            shadows={policy: (0.25,), other: (shadow,)},
        )  # fmt: skip
        reward = float(rng.random() < 0.4)
        if reward:
            log.reward(decision, reward)
        told[variant, policy].append((unit, 1.0, reward))
        told[variant, other].append((unit, shadow / 0.25, reward))
    left_out = {"experiment": "e", "propensities": (0.25,), "shadows": {"b": (0.5,)}}
    for variant in "ct":
        log.decide(300, unit="crossed", variant=variant, policy="a", **left_out)
    log.decide(301, unit="forced", variant="c", policy="a", forced=True, **left_out)
    log.decide(302, unit="pinned", variant="c", policy="a", pinned=(0,), **left_out)
    log.decide(303, unit="outside", policy="a", propensities=(0.25,), shadows={"b": (0.5,)})
    log.deliver(times=2)

    found = agreement_moments(store, SCOPE)
    assert {(one.experiment, one.variant, one.policy, one.target) for one in found} == {
        ("e", "c", "a", "a"), ("e", "c", "a", "b"), ("e", "t", "b", "b"), ("e", "t", "b", "a"),
    }  # fmt: skip
    for one in found:
        assert_same(one.moments, told[one.variant, one.target])


def test_fixed_variant_tells_of_itself_alone(store: Store) -> None:
    log = LogMaker(store)
    for n in range(4):
        log.decide(
            n, unit=f"u{n}", experiment="e", variant="c", policy="a", propensities=(1.0,),
            shadows={"b": (0.5,)},
        )  # fmt: skip
    log.deliver()
    [one] = agreement_moments(store, SCOPE)
    assert (one.target, one.moments.n) == ("a", 4)


def test_exploring_is_judged_by_the_logged_pmf_itself(store: Store) -> None:
    rng, log, told = random.Random(5), LogMaker(store), defaultdict(list)
    day = "2026-09-21"
    for n in range(300):
        pmf = rng.choice([(0.7, 0.1, 0.1, 0.1), (0.4, 0.4, 0.1, 0.1), (0.1, 0.1, 0.1, 0.7)])
        action = rng.choices(range(4), pmf)[0]
        decision = log.decide(
            n, unit=f"u{n % 30}", policy="a", ranking=(action,), propensities=(pmf[action],),
            pmf=pmf,
        )  # fmt: skip
        reward = float(rng.random() < 0.5)
        if reward:
            log.reward(decision, reward)
        top = [i for i in range(4) if pmf[i] == max(pmf)]
        greedy = (action in top) / len(top)
        told["greedy"].append((f"u{n % 30}", greedy / pmf[action], reward))
        told["uniform"].append((f"u{n % 30}", 0.25 / pmf[action], reward))
        told["first"].append((f"u{n % 30}", (action == 0) / pmf[action], reward))
    log.decide(400, unit="x", policy="b", propensities=(0.25,))
    log.deliver()
    found = exploring(store, SCOPE, "a")
    assert found is not None
    assert (found.decisions_n, found.actions_n) == (300, 4.0)
    assert found.reward_variance == pytest.approx(0.25, abs=0.01)
    assert (found.first_ms, found.last_ms) == (T0, T0 + 299)
    assert set(found.greedy) == set(found.uniform) == {"", day}
    for period in ("", day):
        assert_same(found.greedy[period], told["greedy"])
        assert_same(found.uniform[period], told["uniform"])
        assert_same(found.first[period], told["first"])


def test_policy_without_a_decision_explores_nothing(store: Store) -> None:
    assert exploring(store, SCOPE, "a") is None
