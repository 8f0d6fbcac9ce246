"""The aggregates against a second implementation: the learner's joiner, or plain Python."""

import random
from collections import defaultdict
from itertools import product
from typing import NamedTuple

import pytest

from bandit.learning.joiner import Joiner
from bandit.ope import WeightMoments
from bandit.specs import Surface
from bandit.stats import Moments
from bandit.store.client import Store
from bandit.store.reports import (
    LogRows,
    Members,
    PolicyMoments,
    Reports,
    Scope,
    VariantUnits,
    joining,
)
from bandit.store.tail import Tail
from tests.bandit.logs import T0, LogMaker, publish

LATER = T0 + 3_600_000
AGGREGATIONS = ("sum", "first", "last", "mean", "max", "min")


def surface(**changes) -> Surface:
    given = {"key": "home", "policy": "random", "join_window_s": 1.0, **changes}
    return Surface(**given)


def messy_log(log: LogMaker, rng: random.Random, decisions_n: int = 100) -> None:
    """Everything that may happen to a decision's rewards; decisions 10 ms apart."""
    for n in range(decisions_n):
        pinned = rng.choice([(), (), (), (0,), (1,)])
        decision = log.decide(
            10 * n,
            unit=f"u{n % 7}",
            deferred=rng.random() < 0.4,
            propensities=tuple(1.0 if slot in pinned else 0.25 for slot in (0, 1)),
            pinned=pinned,
            writer=rng.choice(["w1", "w2"]),
        )
        if rng.random() < 0.1:  # a client's retry that another worker answered
            log.put(decision, "w3")
        for _ in range(rng.choice([0, 0, 1, 2, 4])):
            log.reward(
                decision,
                rng.choice([-0.5, 0.25, 0.5, 1.0, 7.0]),
                rng.choice([-5, 0, 3, 3, 400, 999, 1000, 5000]),
                slot=rng.choice([0, 0, 0, 1, 2]),
                name=rng.choice(["click", "watch", "other"]),
                reward_id=rng.choice(["a", "b", "c", "d"]),
                surface=rng.choice(["home", ""]),
                writer=rng.choice(["w1", "w2"]),
            )
        if rng.random() < 0.3:
            log.expose(decision, rng.choice([(0,), (1,), (0, 1)]), rng.choice([1, 999, 1000]))
        if rng.random() < 0.4:
            replaced = tuple((slot, "editorial") for slot in rng.choice([(0,), (1,), (0, 1), (7,)]))
            log.expose(decision, (), rng.choice([-1, 1, 3, 999, 1000]), overridden=replaced)


class Judged(NamedTuple):
    ts_ms: int
    reward: float
    pinned: bool
    overridden: bool


def judged_decisions(store: Store, scope: Scope) -> list[Judged]:
    """Seen decisions, as anybody gets them from the view."""
    given = joining(scope)
    named = ", ".join(f"{name} = {literal(value)}" for name, value in given.items())
    found = store._client.query(
        "SELECT toUnixTimestamp64Milli(ts), reward, pinned, overridden "
        f"FROM {store.database}.judged_decisions({named}) WHERE seen"
    )
    return [Judged(*row) for row in found.result_rows]


def literal(value: object) -> str:
    """A value in ClickHouse's SQL."""
    if isinstance(value, list):
        kind = "Float64" if value and isinstance(value[0], float) else "String"
        return f"[{', '.join(map(repr, value))}]" if value else f"CAST([], 'Array({kind})')"
    return repr(value)


@pytest.mark.parametrize(
    ("aggregation", "weights"),
    list(product(AGGREGATIONS, [{}, {"click": 2.0, "watch": -0.5}])),
)
def test_a_decision_earns_what_the_learner_learns(
    store: Store, aggregation: str, weights: dict[str, float]
):
    rules = surface(aggregation=aggregation, reward_weights=weights, default_reward=-0.125)
    log = LogMaker(store)
    messy_log(log, random.Random(f"{aggregation}{weights}"))
    log.deliver(times=2)
    joiner = Joiner(rules)
    joiner.add(Tail(store).read("home", {}))
    learned = {
        joined.decision.ts_ms: dict(joined.earned)[0]
        for joined in joiner.close(LATER)
        if 0 in dict(joined.earned) and 0 not in joined.decision.pinned
    }
    judged = judged_decisions(store, Scope(rules, LATER))
    barred = {row.ts_ms for row in judged if row.pinned or row.overridden}
    reported = {row.ts_ms: row.reward for row in judged if row.ts_ms not in barred}
    assert len(learned) > 20
    assert reported == pytest.approx(learned)
    assert {row.pinned for row in judged} == {row.overridden for row in judged} == {True, False}
    # What is not learned from counts for variants all the same.
    buckets = Reports(store).running(Scope(rules, LATER), "policy", bucket_ms=1)
    assert {b.at_ms: b.reward_sum for b in buckets} == {row.ts_ms: row.reward for row in judged}
    assert all(bucket.decisions_n == 1 for bucket in buckets)


def experiment_log(log: LogMaker) -> None:
    """Three control units, two treatment units, and one that was seen in both."""
    times = iter(range(0, 10_000, 10))
    plan = [("u1", "c", 2), ("u2", "c", 1), ("u3", "c", 3), ("u4", "t", 2), ("u5", "t", 4)]
    for unit, variant, n in [*plan, ("both", "c", 1), ("both", "t", 1)]:
        for k in range(n):
            decision = log.decide(next(times), unit=unit, experiment="e", variant=variant)
            if k % 2 == 0:
                log.reward(decision, 0.5 if variant == "c" else 1.0, name="click")
    log.decide(next(times), unit="outside")
    log.decide(next(times), unit="u1", experiment="other", variant="t")
    log.deliver(times=2)


REWARDED = Scope(surface(), LATER, "e")


def test_units_in_two_variants_are_counted_apart(store: Store):
    experiment_log(LogMaker(store))
    found = Reports(store).variant_units(REWARDED.members)
    assert found == VariantUnits({"c": 3, "t": 2}, crossed_n=1, forced_n=0)


def test_open_decisions_do_not_count_yet(store: Store):
    log = LogMaker(store)
    for at_ms in (0, 100, 200):
        log.reward(log.decide(at_ms, experiment="e", variant="c"), 0.5)
    log.deliver()
    # The window of 1 s has ended for the first two when it is T0 + 1,100 ms.
    [counts] = Reports(store).counts(Scope(surface(), T0 + 1100, "e"), "variant").values()
    assert (counts.decisions_n, counts.open_n, counts.counted_n) == (3, 1, 2)
    assert (counts.rewarded_n, counts.reward_sum, counts.units_n) == (2, 1.0, 1)


def test_deferred_decisions_that_nobody_saw_never_count(store: Store):
    log = LogMaker(store)
    seen = log.decide(0, deferred=True)
    log.expose(seen)
    log.decide(10, deferred=True)
    log.deliver()
    counts = Reports(store).counts(Scope(surface(default_reward=0.5), LATER), "policy")["random"]
    assert (counts.decisions_n, counts.unseen_n, counts.counted_n) == (2, 1, 1)
    assert (counts.exposed_n, counts.reward_sum) == (1, 0.5)


def test_weight_moments_are_those_of_the_log(store: Store):
    rng = random.Random(4)
    log = LogMaker(store)
    rows: dict[str, list] = defaultdict(list)
    for n in range(80):
        unit, value = f"u{n % 9}", rng.choice([0.0, 0.5, 1.0])
        propensity, shadow = rng.uniform(0.1, 0.9), rng.choice([0.0, rng.random()])
        policy = rng.choice(["random", "vw", "fixed"])
        decision = log.decide(
            10 * n,
            unit=unit,
            policy=policy,
            propensities=(1.0 if policy == "fixed" else propensity,),
            shadows={} if policy == "vw" else {"vw": (shadow,)},
        )
        log.reward(decision, value)
        if policy == "vw":
            rows["all"].append((unit, 1.0, value))
        elif policy == "random":
            rows["all"].append((unit, shadow / propensity, value))
            rows["others"].append((unit, shadow / propensity, value))
        else:
            rows["barred"].append(unit)
    log.deliver(times=2)
    got = Reports(store).weight_moments(Scope(surface(), LATER))
    assert set(got) == {
        ("vw", "all"),
        ("vw", "others"),
        ("random", "all"),
        ("fixed", "all"),
    }
    for kind in ("all", "others"):
        expected = WeightMoments.of(*zip(*rows[kind], strict=True))
        moments, barred_n, *_ = got["vw", kind]
        assert barred_n == len(rows["barred"])
        assert (moments.units_n, moments.n) == (expected.units_n, expected.n)
        assert (moments.matched_n, moments.max_weight) == (
            expected.matched_n,
            pytest.approx(expected.max_weight),
        )
        assert moments.means == pytest.approx(expected.means, rel=1e-12)
        assert moments.comoments == pytest.approx(expected.comoments, rel=1e-9, abs=1e-12)
        assert moments.ess == pytest.approx(expected.ess, rel=1e-12)


def test_a_fixed_policy_with_no_choice_is_not_barred(store: Store):
    log = LogMaker(store)
    log.decide(0, policy="fixed", propensities=(1.0,), actions_n=1, shadows={"vw": (1.0,)})
    log.decide(
        10, policy="fixed", propensities=(1.0,), actions_n=2, exclude=["a1"], shadows={"vw": (1.0,)}
    )
    log.decide(20, policy="fixed", propensities=(1.0,), actions_n=2, shadows={"vw": (0.5,)})
    log.deliver()
    found = Reports(store).weight_moments(Scope(surface(), LATER))["vw", "others"]
    assert (found.moments.n, found.barred_n) == (2, 1)


def test_what_was_pinned_or_overridden_counts_for_variants_and_for_no_policys_value(store: Store):
    log = LogMaker(store)
    shadows = {"vw": (0.5,)}
    drawn = log.decide(0, shadows=shadows)
    given = log.decide(10, propensities=(1.0,), pinned=(0,), shadows=shadows)
    replaced = log.decide(20, shadows=shadows)
    late = log.decide(30, shadows=shadows)
    lower = log.decide(40, propensities=(0.25, 1.0), pinned=(1,), shadows={"vw": (0.5, 1.0)})
    for decision in (drawn, given, replaced, late, lower):
        log.reward(decision, 0.5)
    log.expose(replaced, (1,), overridden=((0, "editorial"),))
    log.expose(late, (), after_ms=1000, overridden=((0, "editorial"),))
    log.deliver(times=2)
    scope = Scope(surface(), LATER)
    counts = Reports(store).counts(scope, "policy")["random"]
    assert (counts.counted_n, counts.reward_sum) == (5, 2.5)
    assert (counts.pinned_n, counts.overridden_n) == (1, 1)
    values = Reports(store).weight_moments(scope)
    for target in (values["vw", "others"], values["random", "all"]):
        assert (target.moments.n, target.barred_n) == (3, 2)
        assert (target.pinned_n, target.overridden_n) == (1, 1)


def test_a_deferred_slot_that_showed_something_else_was_seen(store: Store):
    log = LogMaker(store)
    log.expose(log.decide(0, deferred=True), (), overridden=((0, "editorial"),))
    log.expose(log.decide(10, deferred=True), (), overridden=((1, "editorial"),))
    log.deliver()
    counts = Reports(store).counts(Scope(surface(), LATER), "policy")["random"]
    assert (counts.counted_n, counts.unseen_n) == (1, 1)


def test_a_top_slot_without_a_choice_is_not_barred_when_the_others_are_pinned_below(store: Store):
    log = LogMaker(store)
    log.decide(
        0,
        actions_n=2,
        propensities=(1.0, 1.0),
        pinned=(1,),
        blocked=((1,), ()),
        shadows={"vw": (1.0, 1.0)},
    )
    log.deliver()
    found = Reports(store).weight_moments(Scope(surface(), LATER))["vw", "others"]
    assert (found.moments.n, found.barred_n) == (1, 0)


def test_decisions_of_units_set_by_hand_are_counted_apart_and_nowhere_else(store: Store):
    log = LogMaker(store)
    log.reward(log.decide(0, unit="u1", experiment="e", variant="c"))
    for at_ms in (10, 3_599_500):  # the second one waits for its window
        decision = log.decide(
            at_ms, unit="qa", experiment="e", variant="t", forced=True, shadows={"vw": (0.5,)}
        )
        log.reward(decision)
    log.reward(log.decide(20, unit="qa", experiment="e", variant="c"))  # before it was set by hand
    log.deliver(times=2)
    reports = Reports(store)
    counts = reports.counts(REWARDED, "variant")
    assert (counts["t"].decisions_n, counts["t"].units_n, counts["t"].counted_n) == (0, 0, 0)
    assert (counts["t"].forced_n, counts["t"].forced_open_n) == (2, 1)
    assert (counts["c"].decisions_n, counts["c"].forced_n) == (2, 0)
    assert reports.variant_units(REWARDED.members) == VariantUnits({"c": 1}, 0, forced_n=1)
    assert ("vw", "others") not in reports.weight_moments(Scope(surface(), LATER))
    assert [b.label for b in reports.running(REWARDED, "variant", bucket_ms=10**7)] == ["c"]


def test_units_without_a_surface_are_those_that_were_assigned(store: Store):
    log = LogMaker(store)
    for unit, variant, at_ms in [("u1", "c", 100), ("u2", "t", 100), ("u3", "t", 100)]:
        log.assign(unit, variant, at_ms)
        log.assign(unit, variant, at_ms + 86_400_000)  # asked again on the next day
    for variant in "ct":
        log.assign("both", variant)
    log.assign("qa", "t", forced=True)
    log.assign("other", "t", experiment="other")
    log.assign("later", "t", 10**10)
    log.decide(0, unit="u9", experiment="e", variant="c")  # of another experiment of that key
    log.deliver(times=2)
    reports, members = Reports(store), Members("e", "", T0 + 10**9)
    assert reports.variant_units(members) == VariantUnits({"c": 1, "t": 2}, 1, forced_n=1)


def test_what_a_challenger_would_put_on_top_is_compared_with_what_is_there(store: Store):
    log = LogMaker(store)
    for at_ms, ranking, top in [(0, (2,), 2), (10, (1,), 2), (20, (3,), 3), (30, (0,), None)]:
        tops = {} if top is None else {"vw": top}
        log.decide(at_ms, ranking=ranking, shadows={"vw": (0.5,)}, shadow_tops=tops)
    log.decide(40, propensities=(1.0,), pinned=(0,), shadows={"vw": (0.5,)}, shadow_tops={"vw": 0})
    log.deliver()
    values = Reports(store).weight_moments(Scope(surface(), LATER))
    assert (values["vw", "others"].tops_n, values["vw", "others"].agreeing_n) == (3, 2)
    assert values["random", "all"].tops_n == 0


def test_policies_are_compared_outside_experiments_by_the_means_of_their_units(store: Store):
    log = LogMaker(store)
    for at_ms, unit, policy, value in [
        (0, "early", "vw", 1.0),
        (500, "u1", "vw", 1.0),
        (510, "u1", "vw", 0.5),
        (520, "u2", "vw", 0.0),
        (530, "u3", "uniform-slice", 0.25),
        (540, "u4", "other", 1.0),
    ]:
        log.reward(log.decide(at_ms, unit=unit, policy=policy), value)
    log.decide(550, unit="u5", policy="vw", experiment="e", variant="c")
    log.decide(560, unit="u6", policy="vw", forced=True)
    log.deliver()
    scope = Scope(surface(), LATER, from_ms=T0 + 500)
    assert Reports(store).policy_moments(scope, ["vw", "uniform-slice", "gone"]) == {
        "vw": PolicyMoments(3, Moments.of([0.75, 0.0])),
        "uniform-slice": PolicyMoments(1, Moments.of([0.25])),
    }


def test_the_log_is_counted_in_records_and_in_distinct_things(store: Store):
    log = LogMaker(store)
    decision = log.decide(0)
    log.put(decision, "w2")
    log.reward(decision, reward_id="a")
    log.reward(decision, reward_id="a")
    log.expose(decision)
    log.deliver(times=2)
    assert Reports(store).log_rows("home", LATER) == {
        "decisions": LogRows(records_n=2, distinct_n=1),
        "rewards": LogRows(records_n=2, distinct_n=1),
        "exposures": LogRows(records_n=1, distinct_n=1),
    }


def test_spans_and_rates_count_each_decision_once(store: Store):
    log = LogMaker(store)
    for at_ms in (0, 400, 2500):
        log.decide(at_ms)
    log.deliver(times=2)
    reports = Reports(store)
    span = reports.spans(LATER, since_ms=T0 + 1000)["home"]
    assert (span.first_ms, span.newest_ms, span.decisions_n) == (T0, T0 + 2500, 3)
    assert span.recent_n == 1
    assert reports.rate("home", T0, LATER, 1000) == {T0: 2, T0 + 2000: 1}
    assert reports.rate("home", T0, T0 + 450, 1000) == {T0: 2}


def test_a_report_as_of_a_past_time_does_not_see_what_came_later(store: Store):
    log = LogMaker(store)
    log.reward(log.decide(0, experiment="e", variant="c", unit="u1"))
    log.deliver()
    reports, past = Reports(store), Scope(surface(), T0 + 1000, "e")
    before = reports.counts(past, "variant"), reports.weight_moments(past)
    log.reward(log.decide(1001, experiment="e", variant="c", unit="u2"))
    log.deliver()
    assert (reports.counts(past, "variant"), reports.weight_moments(past)) == before


def test_latency_runs_from_the_end_of_the_window_to_the_first_decision_that_knew(store: Store):
    log = LogMaker(store)
    for at_ms in (0, 100, 200, 300):  # closed in snapshot 1, 1, 2 and not yet
        log.decide(at_ms, policy="random")
    log.decide(1500, policy="vw", snapshot=0)
    log.decide(1600, policy="vw", snapshot=1)
    log.decide(1700, policy="vw", snapshot=3)  # no worker served 2: 3 knows what 2 knew
    log.deliver(times=2)
    publish(store, 1, watermark_ms=100, created_ms=1400)
    publish(store, 2, watermark_ms=250, created_ms=1450)
    publish(store, 3, watermark_ms=260, created_ms=1460)
    got = Reports(store).latency(Scope(surface(), T0 + 5000), "vw", own=False)
    # By hand, window 1,000 ms: 1600 − 1000, 1600 − 1100, 1700 − 1200.
    assert got.decisions_n == 3
    assert got.p50_ms == 500
    assert 500 < got.p95_ms <= 600


def test_latency_of_a_policy_that_learns_from_its_own_decisions_leaves_out_the_others(
    store: Store,
):
    log = LogMaker(store)
    log.decide(0, policy="random")
    log.decide(50, policy="vw")
    log.decide(1500, policy="vw", snapshot=1)
    log.deliver()
    publish(store, 1, watermark_ms=100, created_ms=1400)
    scope = Scope(surface(), T0 + 5000)
    assert Reports(store).latency(scope, "vw", own=True) == (1, 450.0, 450.0)
    assert Reports(store).latency(scope, "vw", own=False).decisions_n == 2


def test_latency_is_unknown_until_a_decision_knew_anything(store: Store):
    LogMaker(store).deliver()
    scope = Scope(surface(), T0 + 5000)
    assert Reports(store).latency(scope, "vw", own=False) == (0, None, None)
    publish(store, 1, watermark_ms=100, created_ms=1400)
    assert Reports(store).latency(scope, "vw", own=False) == (0, None, None)
    assert Reports(store).served("home", "vw", T0 + 5000) is None


def test_snapshots_come_newest_first_and_the_first_of_a_number_counts(store: Store):
    publish(store, 1, 100, 1000, trained=10)
    publish(store, 2, 200, 2000, trained=20)
    publish(store, 2, 200, 1500, trained=99, change_id="loser")
    got = Reports(store).snapshots("vw", T0 + 5000, limit=10)
    assert [(s.number, s.created_ms, s.trained) for s in got] == [
        (2, T0 + 2000, 20),
        (1, T0 + 1000, 10),
    ]
    assert [s.number for s in Reports(store).snapshots("vw", T0 + 1999, limit=10)] == [1]
    assert [s.number for s in Reports(store).snapshots("vw", T0 + 5000, limit=1)] == [2]


def test_served_is_the_newest_snapshot_that_decided(store: Store):
    log = LogMaker(store)
    for snapshot in (0, 2, 1):
        log.decide(10 * snapshot, policy="vw", snapshot=snapshot)
    log.deliver()
    assert Reports(store).served("home", "vw", LATER) == 2
