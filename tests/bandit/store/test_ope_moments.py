"""Sums made inside ClickHouse against the rows, and against the reports' own query."""

import math
import random
from dataclasses import replace
from itertools import groupby

import pytest

from bandit.ope import (
    LikelihoodMoments,
    LoggedBatch,
    WeightMoments,
    cressie_read,
    gain_over_logging,
)
from bandit.specs import Rules, Surface
from bandit.store import ope_moments as module
from bandit.store.client import Store
from bandit.store.ope_moments import OpeMoments, ope_moments, ope_targets
from bandit.store.reports import Reports, Scope
from tests.bandit.logs import T0, LogMaker

HOUR = 3_600_000
SPAN = 6 * HOUR
LATER = T0 + SPAN + HOUR
HOME = Surface(
    key="home",
    policy="random",
    join_window_s=1.0,
    reward_low=-1.0,
    reward_high=1.0,
    default_reward=-0.125,
    reward_weights={"click": 1.0, "watch": 0.5},
)


def messy_log(log: LogMaker, decisions_n: int = 240) -> None:
    """Decisions over six hours, some stored twice, pinned, overridden, thinned, deferred …"""
    rng = random.Random(11)
    for n in range(decisions_n):
        policy = rng.choice(["random", "random", "random", "vw", "fixed"])
        pinned = (0,) if rng.random() < 0.1 else ()
        p = 1.0 if policy == "fixed" or pinned else rng.uniform(0.1, 0.9)
        decision = log.decide(
            n * SPAN // decisions_n,
            unit=f"u{rng.randrange(9)}",
            policy=policy,
            experiment="e" if n % 2 else "",
            variant="ct"[n % 4 // 2] if n % 2 else "",
            propensities=(p,),
            pinned=pinned,
            floor=0.05,
            deferred=rng.random() < 0.3,
            forced=rng.random() < 0.05,
            keep_share=rng.choice([1.0, 1.0, 0.25]),
            shadows={} if policy == "vw" or rng.random() < 0.1 else {"vw": (rng.random(),)},
        )
        if rng.random() < 0.1:
            log.put(decision, "w2")
        for name in rng.choice([(), ("click",), ("click", "watch", "other")]):
            log.reward(
                decision, rng.choice([-0.5, 0.5, 1.0]), rng.choice([1, 999, 1000]), name=name
            )
        if rng.random() < 0.2:
            log.expose(decision, (), overridden=((0, "editorial"),))
        elif rng.random() < 0.5:
            log.expose(decision)
    log.deliver(times=2)


@pytest.fixture
def messy(store: Store) -> Store:
    messy_log(LogMaker(store))
    return store


def same(one: WeightMoments, other: WeightMoments) -> None:
    assert (one.units_n, one.n, one.matched_n) == (other.units_n, other.n, other.matched_n)
    assert one.means == pytest.approx(other.means, rel=1e-12)
    assert one.comoments == pytest.approx(other.comoments, rel=1e-9, abs=1e-11)
    assert one.weight_squares == pytest.approx(other.weight_squares, rel=1e-12)
    assert one.max_weight == pytest.approx(other.max_weight, rel=1e-12)


def row_of(store: Store, target: str, reward: dict[str, float]) -> list[tuple[object, ...]]:
    """(event, segment, unit, s, w, r) of what counts, joined here from the plain columns."""
    found = store._client.query(
        "SELECT toString(event_id), any(policy), any(variant), any(unit_id), any(keep_share), "
        "any(propensities[1]), any(shadow_probabilities), any(shadow_policies) "
        "FROM decisions GROUP BY event_id"
    )
    rows = []
    for event, policy, variant, unit, share, p, chances, shadows in found.result_rows:
        if event not in reward or (policy != target and target not in shadows):
            continue
        if policy != target and p >= 1.0:
            continue
        w = 1.0 if policy == target else chances[shadows.index(target)][0] / p
        rows.append((event, variant, unit, 1.0 / share, w, reward[event]))
    return rows


def rewards_of(store: Store) -> dict[str, float]:
    """Seen decisions in which something was drawn and shown, with their rewards by the view."""
    given = (
        "surface = 'home', from_ms = 0, window_ms = 1000, aggregation = 'sum', "
        f"through_ms = {LATER - 1000}, weight_names = ['click', 'watch'], weights = [1., 0.5], "
        "reward_low = -1, reward_high = 1, default_reward = -0.125"
    )
    found = store._client.query(
        f"SELECT toString(event_id), reward FROM {store.database}.judged_decisions({given}) "
        "WHERE seen AND NOT forced AND NOT pinned AND NOT overridden"
    )
    return {str(event): float(reward) for event, reward in found.result_rows}


@pytest.mark.parametrize(("by", "slice_n"), [("", 10**6), ("variant", 80)])
def test_moments_are_those_of_the_rows_however_they_are_sliced(messy: Store, slice_n: int, by: str):
    rows = row_of(messy, "vw", rewards_of(messy))
    rows = [(row[1] if by else "", *row[2:]) for row in sorted(rows, key=lambda row: row[1])]
    got = {
        one.segment: one
        for one in ope_moments(messy, Scope(HOME, LATER), ["vw"], by=by, slice_n=slice_n)  # type: ignore[arg-type]
    }
    assert set(got) == {row[0] for row in rows} == ({"", "c", "t"} if by else {""})
    for segment, group in groupby(rows, key=lambda row: row[0]):
        _, unit, s, w, r = zip(*group, strict=True)
        batch = LoggedBatch.of(
            propensity=[0.001] * len(w),
            target=[x * 0.001 for x in w],
            reward=r,
            unit=unit,
            sampling=s,
            weight_bound=20.0,
            reward_range=(-1.0, 1.0),
        )
        want, found = LikelihoodMoments.of(batch), got[segment]
        assert (len(found.slices) > 1) == (slice_n == 80)
        assert found.likelihood.joint.mass == pytest.approx(sum(s))
        assert found.likelihood.joint.means == pytest.approx(want.joint.means, rel=1e-11)
        assert found.likelihood.joint.comoments == pytest.approx(
            want.joint.comoments, rel=1e-9, abs=1e-11
        )
        assert found.likelihood.weights == pytest.approx(want.weights)
        assert found.likelihood.rewards == want.rewards
        assert found.weight_bound == pytest.approx(20.0)
        decisions, _, contribution = found.weights.means
        assert contribution / decisions == pytest.approx(
            sum(a * b * c for a, b, c in zip(s, w, r, strict=True)) / sum(s)
        )
        assert found.values()[0].n == len(w)
        given = {"weight_bound": 20.0, "reward_range": (-1.0, 1.0)}
        alone = replace(batch, unit=None)
        for mine, theirs in (
            (found.likelihood.interval(**given), cressie_read(alone)),
            (found.likelihood.gain_interval(**given), gain_over_logging(alone).interval),
        ):
            assert (mine.low, mine.high) == pytest.approx((theirs.low, theirs.high), rel=1e-8)
        assert found.design >= 1.0
        alone_width = found.likelihood.interval(**given).width
        assert found.interval((-1.0, 1.0)).width >= alone_width - 1e-9


def test_moments_are_the_reports_own_where_nothing_was_thinned(store: Store):
    rng, log = random.Random(4), LogMaker(store)
    for n in range(120):
        policy, p = rng.choice(["random", "vw"]), rng.uniform(0.1, 0.9)
        decision = log.decide(
            n * 60_000,
            unit=f"u{n % 9}",
            policy=policy,
            propensities=(p,),
            shadows={} if policy == "vw" else {"vw": (rng.choice([0.0, rng.random()]),)},
        )
        log.reward(decision, rng.choice([0.0, 0.5, 1.0]), name="click")
    log.deliver(times=2)
    scope = Scope(HOME, LATER)
    reports = Reports(store).weight_moments(scope)
    for kind in ("all", "others"):
        [got] = ope_moments(store, scope, ["vw"], log=kind, slice_n=60)  # type: ignore[arg-type]
        same(got.weights, reports["vw", kind].moments)  # type: ignore[index]


def test_every_decision_is_counted_or_left_out_for_one_reason(messy: Store):
    [(events_n,)] = messy._client.query("SELECT uniqExact(event_id) FROM decisions").result_rows
    found = ope_moments(messy, Scope(HOME, LATER), ["nobody", "vw"], log="others", slice_n=100)
    nobody, vw = found
    for one in found:
        assert one.weights.n + sum(one.excluded.values()) == events_n
    assert set(vw.excluded) == set(module.REASONS)
    assert nobody.values()[0].reasons == ("no_decisions",)


def test_more_units_than_groups_change_no_value(messy: Store, monkeypatch: pytest.MonkeyPatch):
    scope = Scope(HOME, LATER)
    [exact] = ope_moments(messy, scope, ["vw"])
    monkeypatch.setattr(module, "GROUPS_N", 5)
    for slice_n in (10**6, 80):
        [grouped] = ope_moments(messy, scope, ["vw"], slice_n=slice_n)
        assert exact.weights.units_n == 9
        assert grouped.weights.units_n <= 5
        assert grouped.values()[0].value == pytest.approx(exact.values()[0].value, rel=1e-12)
        assert grouped.weights.ess == pytest.approx(exact.weights.ess, rel=1e-12)


def test_an_event_of_two_slices_counts_where_it_was_first(store: Store):
    log = LogMaker(store)
    first = log.decide(HOUR - T0 % HOUR - 10, shadows={"vw": (0.5,)})
    log.put(first, "w2")
    again = log.decide(HOUR - T0 % HOUR + 10, shadows={"vw": (1.0,)}, event_id=first.event_id)
    assert again.event_id == first.event_id
    log.decide(2 * HOUR, shadows={"vw": (0.5,)})
    log.deliver()
    [found] = ope_moments(store, Scope(HOME, LATER), ["vw"], slice_n=1)
    assert (found.weights.n, found.weights.max_weight) == (2, 2.0)
    assert len(found.slices) == 2


def test_a_log_is_split_by_what_its_contexts_say(store: Store):
    log = LogMaker(store)
    for n, context in enumerate([b'{"a":{"b":"x"}}', b'{"a":{"b":7}}', b'{"a":1}', b"{}"]):
        decision = log.decide(n, shadows={"vw": (0.5,)})
        request = decision.request.replace(b'"actions"', b'"context":' + context + b',"actions"')
        log._entries["decisions", "w1"][-1] = log._entries["decisions", "w1"][-1]._replace(
            record=type(decision)(
                **{name: getattr(decision, name) for name in decision.__struct_fields__}
                | {"request": request}
            )
        )
    log.deliver()
    found = ope_moments(store, Scope(HOME, LATER), ["vw"], by="context", member="a.b")
    assert [(one.segment, one.weights.n) for one in found] == [("", 2), ("7", 1), ("x", 1)]


def test_only_the_wanted_log_is_read(messy: Store):
    scope = Scope(HOME, LATER)
    every, of_random, in_e = (
        ope_moments(messy, asked, ["vw"], logged_by=policy)[0]
        for asked, policy in ((scope, ""), (scope, "random"), (scope._replace(experiment="e"), ""))
    )
    assert 0 < of_random.weights.n < every.weights.n
    assert 0 < in_e.weights.n < every.weights.n
    assert "own" not in of_random.excluded
    assert ope_targets(messy, scope) == ["fixed", "random", "vw"]
    assert ope_targets(messy, scope._replace(at_ms=T0)) == []


def test_a_bound_is_known_where_every_decision_had_a_floor(store: Store):
    log = LogMaker(store)
    log.decide(0, floor=0.1, shadows={"vw": (0.5,)})
    log.deliver()
    ruled = Surface(key="home", policy="random", join_window_s=1.0, rules=Rules(least={"a1": 0.5}))
    assert bound(store, HOME) == pytest.approx(10.0)
    assert bound(store, ruled) == pytest.approx(20.0)  # a rule's least shrinks the floor
    log.decide(HOUR, floor=0.0, shadows={"vw": (0.5,)})
    log.deliver()
    assert bound(store, HOME) == math.inf


def bound(store: Store, surface: Surface) -> float:
    [found] = ope_moments(store, Scope(surface, LATER), ["vw"])
    assert isinstance(found, OpeMoments)
    return found.weight_bound
