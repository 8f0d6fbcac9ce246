"""The draw in pools: pins, diversity, a prediction for each slot."""

import math
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bandit.errors import BadPmf, RecordError
from bandit.policies import draw_ranking
from bandit.records import Action
from bandit.service.drawing import Drawn, draw_in_pools, judge, pins_of, top_of
from bandit.service.probabilities import Asked
from bandit.specs import Diversity, PolicySpec, Rules
from bandit.wire import Pin, RankRequest
from tests.bandit.service.making import request

SHARED = PolicySpec(key="p", type="vw", surface="s")
BY_SLOT = replace(SHARED, slot_model="ccb")


class Weighed:
    """Probabilities in proportion to a weight of each action, turned round by one per slot."""

    def __init__(self, weights: Sequence[float]) -> None:
        self.weights = weights

    def pmf(self, context: bytes, actions: Sequence[Action], slot: bytes = b"") -> list[float]:
        turn = int(slot.split(b'"')[3]) if slot else 0
        n = len(self.weights)
        mine = [self.weights[(int(action.id[1:]) + turn) % n] for action in actions]
        total = math.fsum(mine)
        return [weight / total for weight in mine] if total else [1.0 / len(mine)] * len(mine)


def offered(topics: str) -> list[Action]:
    """One action per letter, which is its topic; `-` has none."""
    return [
        Action.of(f"a{index}", **({} if topic == "-" else {"topic": topic}))
        for index, topic in enumerate(topics)
    ]


def drawn(
    weights: Sequence[float],
    topics: str,
    *,
    slots: int,
    pins: dict[int, int] | None = None,
    most: int | None = None,
    seed: int = 1,
    spec: PolicySpec = SHARED,
) -> Drawn:
    actions = offered(topics)
    asked = Asked(Weighed(weights), spec, 0.0, b"{}", Rules())
    return draw_in_pools(
        asked,
        asked.pmf(actions),
        actions,
        slots=slots,
        seed=seed,
        pins=pins or {},
        diversity=[Diversity(feature="topic", most=most)] if most else [],
    )


def test_pinned_actions_sit_in_their_slots_and_in_no_other_pool() -> None:
    for seed in range(50):
        one = drawn([0.7, 0.1, 0.1, 0.1], "----", slots=4, pins={2: 0, 3: 1}, seed=seed)
        assert tuple(one.ranking[2:]) == (0, 1)
        assert one.propensities == pytest.approx([0.5, 1.0, 1.0, 1.0])
        assert (one.blocked, one.pinned) == (((0, 1), (0, 1), (), ()), (2, 3))


def test_a_ranking_ends_rather_than_be_too_much_alike() -> None:
    for seed in range(20):
        one = drawn([0.25] * 4, "ggch", slots=4, most=1, seed=seed)
        assert sorted("ggch"[index] for index in one.ranking) == ["c", "g", "h"]
        (slot,) = [slot for slot, index in enumerate(one.ranking) if index < 2]
        twin = (1 - one.ranking[slot],)
        assert one.blocked == (() if slot == 2 else tuple([()] * (slot + 1) + [twin] * (2 - slot)))


def test_an_action_without_the_feature_is_like_no_other() -> None:
    assert len(drawn([0.2] * 5, "---gg", slots=5, most=1).ranking) == 4


def test_a_list_has_all_of_its_values_and_a_number_is_one() -> None:
    actions = [
        Action.of("a0", tags=["x", "y"]),
        Action.of("a1", tags=["y"]),
        Action.of("a2", tags=["x"]),
        Action.of("a3", tags="z", depth={"m": 1}),
        Action.of("a4", depth={"m": 1}),
        Action.of("a5", depth={"m": 2}),
    ]
    asked = Asked(Weighed([1.0] * 6), SHARED, 0.0, b"{}", Rules())
    diversity = [Diversity(feature="tags", most=1), Diversity(feature="depth.m", most=1)]
    one = draw_in_pools(
        asked,
        asked.pmf(actions),
        actions,
        slots=6,
        seed=1,
        pins={0: 0, 1: 3},
        diversity=diversity,
    )
    assert (list(one.ranking), one.propensities[2]) == ([0, 3, 5], 1.0)
    assert one.blocked == ((), (), (1, 2, 4))


def test_pinned_actions_count_as_alike_also_above_their_slots() -> None:
    for seed in range(20):
        one = drawn([0.25] * 4, "gghh", slots=3, pins={1: 0}, most=1, seed=seed)
        assert one.ranking[0] in (2, 3)
        assert one.propensities[0] == 0.5
        assert one.blocked[0] == (0, 1)


def test_where_nothing_can_be_drawn_above_a_pin_the_pin_moves_up() -> None:
    one = drawn([0.5, 0.25, 0.25], "ggg", slots=3, pins={2: 1}, most=1)
    assert one == Drawn([1], [1.0], (), (0,))
    one = drawn([0.5, 0.5], "--", slots=5, pins={4: 0})
    assert one == Drawn([1, 0], [1.0, 1.0], ((0,), ()), (1,))


def test_an_order_that_nobody_draws_stays_one() -> None:
    one = drawn([1.0, 0.0, 0.0, 0.0, 0.0], "gghh-", slots=5, pins={1: 4}, most=1)
    assert (list(one.ranking), one.propensities) == ([0, 4, 2], [1.0, 1.0, 1.0])
    one = drawn([1.0, 0.0, 0.0, 0.0], "----", slots=4, pins={2: 0})
    assert list(one.ranking) == [1, 2, 0, 3]


def test_a_policy_that_gives_an_action_nothing_ends_the_ranking_before_it() -> None:
    one = drawn([0.5, 0.5, 0.0, 0.0], "----", slots=4, pins={0: 3})
    assert sorted(one.ranking) == [0, 1, 3]


def test_slots_of_a_policy_that_predicts_each_are_drawn_from_their_own_pools() -> None:
    weights = [0.5, 0.25, 0.125, 0.125]
    shown = Counter(
        tuple(drawn(weights, "----", slots=2, seed=seed, spec=BY_SLOT).ranking)
        for seed in range(4000)
    )
    # Slot 1 is turned by one: a0 .25, a1 .125, a2 .125, a3 .5; with a0 gone, of 0.75 in all.
    chance = 0.5 * 0.5 / 0.75
    assert abs(shown[0, 3] / 4000 - chance) <= 4.4 * math.sqrt(chance * (1 - chance) / 4000)


@pytest.mark.parametrize(
    ("pins", "exclude", "says"),
    [
        ([("a1", 2)], [], r"slot 2, must be below the 2 slots.*\$\.pins\[0\]\.slot"),
        ([("a1", 0), ("a0", 0)], [], r"slot 0 is pinned twice.*\$\.pins\[1\]\.slot"),
        ([("a1", 0), ("a1", 1)], [], r"'a1' is pinned twice.*\$\.pins\[1\]\.id"),
        ([("x", 0)], [], r"names 'x', must be an action that is offered.*\$\.pins\[0\]\.id"),
    ],
)
def test_a_pin_of_the_request_that_can_not_hold_is_refused(
    pins: list[tuple[str, int]], exclude: list[str], says: str
) -> None:
    asked = replace(
        request("a0", "a1", slots=2), pins=[Pin(id=id_, slot=slot) for id_, slot in pins]
    )
    with pytest.raises(RecordError, match=says):
        pins_of(asked, Rules(), asked.actions)


def test_pins_of_the_surface_come_after_the_requests_and_are_ignored_where_they_can_not_hold() -> (
    None
):
    given: RankRequest = replace(
        request("a0", "a1", "a2", "a3", slots=4), pins=[Pin(id="a0", slot=0)]
    )
    rules = Rules(
        pins=[
            Pin(id="a1", slot=0),
            Pin(id="a0", slot=1),
            Pin(id="x", slot=2),
            Pin(id="a2", slot=7),
            Pin(id="a3", slot=3),
        ]
    )
    assert pins_of(given, rules, given.actions) == {0: 0, 3: 3}


def test_a_shadow_is_asked_for_the_same_pools() -> None:
    actions = offered("gghh")
    shown = Drawn([0, 2, 3], [0.5, 1.0, 1.0], ((3,), (1, 3), ()), (2,))
    shared = Asked(Weighed([0.4, 0.3, 0.2, 0.1]), SHARED, 0.0, b"{}", Rules())
    pmf = shared.pmf(actions)
    assert judge(shared, pmf, actions, shown) == pytest.approx((0.4 / 0.9, 1.0, 1.0))
    each = Asked(Weighed([0.4, 0.3, 0.2, 0.1]), BY_SLOT, 0.0, b"{}", Rules())
    shown = Drawn([0, 2, 3], [0.5, 1.0, 1.0])
    assert judge(each, each.pmf(actions), actions, shown) == pytest.approx(
        # Turned by one: a1 .2, a2 .1, a3 .4; by two: a1 .1, a3 .3.
        (0.4, 0.1 / 0.7, 0.3 / 0.4)
    )


def test_a_shadow_that_could_not_go_on_is_told() -> None:
    asked = Asked(Weighed([0.5, 0.5, 0.0, 0.0]), SHARED, 0.0, b"{}", Rules())
    actions = offered("----")
    with pytest.raises(BadPmf, match="mass on 2 of 4"):
        judge(asked, asked.pmf(actions), actions, Drawn([2, 3], [0.5, 0.5], ((0, 1), ()), ()))


def test_the_top_is_the_likeliest_that_could_be_drawn_there() -> None:
    assert top_of([0.2, 0.4, 0.4], Drawn([0], [1.0])) == 1
    assert top_of([0.2, 0.4, 0.4], Drawn([0], [1.0], ((1,),))) == 2


PLANS = st.integers(1, 8).flatmap(
    lambda k: st.fixed_dictionaries(
        {
            "weights": st.lists(st.floats(1e-3, 1.0), min_size=k, max_size=k),
            "topics": st.text("ghc-", min_size=k, max_size=k),
            "slots": st.integers(1, 10),
            "pins": st.dictionaries(st.integers(0, 9), st.integers(0, k - 1), max_size=3),
            "most": st.none() | st.integers(1, 3),
            "seed": st.integers(0, 2**64 - 1),
            "spec": st.sampled_from([SHARED, BY_SLOT]),
        }
    )
)


@given(PLANS)
@settings(deadline=None, max_examples=200)
def test_pools_are_consistent_whatever_the_rules(plan: dict[str, object]) -> None:
    slots, topics, most = plan["slots"], plan["topics"], plan["most"]
    pins = {s: i for s, i in plan["pins"].items() if s < slots}  # type: ignore[attr-defined, operator]
    pins = {s: i for s, i in pins.items() if list(pins.values()).count(i) == 1}
    one = drawn(**{**plan, "pins": pins})  # type: ignore[arg-type]
    assert 1 <= len(one.ranking) <= slots  # type: ignore[operator]
    assert len(set(one.ranking)) == len(one.ranking)
    assert set(pins.values()) >= {one.ranking[slot] for slot in one.pinned}
    for slot, index in enumerate(one.ranking):
        above, barred = set(one.ranking[:slot]), one.blocked[slot] if one.blocked else ()
        assert index not in barred
        assert not above.intersection(barred)
        if slot in one.pinned:
            assert (one.propensities[slot], barred) == (1.0, ())
        else:
            assert 0.0 < one.propensities[slot] <= 1.0
            pins_below = {i for i in pins.values() if i not in above}
            assert pins_below <= set(barred)
    if most and not pins:
        held = Counter(topics[i] for i in one.ranking if topics[i] != "-")  # type: ignore[index]
        assert max(held.values(), default=0) <= most  # type: ignore[operator]


@given(PLANS.filter(lambda plan: plan["spec"] is SHARED))
@settings(deadline=None, max_examples=200)
def test_the_published_formula_draws_the_same_from_what_is_logged(plan: dict[str, object]) -> None:
    plan["pins"] = {s: i for s, i in list(plan["pins"].items())[:1] if s < plan["slots"]}  # type: ignore[attr-defined, operator]
    one = drawn(**plan)  # type: ignore[arg-type]
    actions = offered(plan["topics"])  # type: ignore[arg-type]
    pmf = Asked(Weighed(plan["weights"]), SHARED, 0.0, b"{}", Rules()).pmf(actions)  # type: ignore[arg-type]
    given_ = {slot: one.ranking[slot] for slot in one.pinned}
    again = draw_ranking(pmf, len(one.ranking), plan["seed"], one.blocked, given_)  # type: ignore[arg-type]
    assert again == (list(one.ranking), list(one.propensities))


@pytest.mark.parametrize("spec", [SHARED, BY_SLOT])
def test_actions_come_as_often_as_their_logged_propensities_say(spec: PolicySpec) -> None:
    """Per slot and pool: Σ (drawn − propensity) over the draws of an action is 0 ± 4.4 σ."""
    weights, topics, n = [0.4, 0.3, 0.2, 0.1, 0.25], "gghh-", 3000
    actions = offered(topics)
    excess: Counter[tuple[int, int]] = Counter()
    variance: Counter[tuple[int, int]] = Counter()
    asked = Asked(Weighed(weights), spec, 0.0, b"{}", Rules())
    pmf = asked.pmf(actions)
    for seed in range(n):
        one = drawn(weights, topics, slots=3, pins={1: 4}, most=1, seed=seed, spec=spec)
        for slot, index in enumerate(one.ranking):
            if slot in one.pinned:
                continue
            gone = {*one.ranking[:slot], *(one.blocked[slot] if one.blocked else ())}
            pool = [i for i in range(5) if i not in gone]
            for other in pool:
                seen = replace_at(one, slot, other)
                p = judge(asked, pmf, actions, seen)[slot]
                excess[slot, other] += (other == index) - p  # type: ignore[assignment]
                variance[slot, other] += p * (1 - p)  # type: ignore[assignment]
    assert len(excess) >= 6
    for key, off in excess.items():
        assert abs(off) <= 4.4 * math.sqrt(variance[key]) + 1e-9, key


def replace_at(one: Drawn, slot: int, index: int) -> Drawn:
    """The ranking up to a slot, with another action there."""
    return Drawn(
        [*one.ranking[:slot], index], one.propensities[: slot + 1], one.blocked, one.pinned
    )
