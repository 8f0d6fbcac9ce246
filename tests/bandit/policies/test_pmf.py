import math
import sys
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit.errors import BadPmf
from bandit.policies import draw_ranking, propensities_of, seed_of, with_floor
from bandit.policies.pmf import uniform_of, with_bounds

U64 = 2**64
SEEDS = st.integers(0, U64 - 1)
WEIGHTS = st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1.0)), min_size=1, max_size=40)
PMFS = WEIGHTS.filter(lambda ws: sum(ws) > 0).map(lambda ws: [w / math.fsum(ws) for w in ws])


def splitmix64(seed: int) -> "list[int]":
    """Vigna's `splitmix64.c`, state and all: a second implementation."""
    state, outputs = seed, []
    for _ in range(5):
        state = (state + 0x9E3779B97F4A7C15) % U64
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % U64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % U64
        outputs.append(z ^ (z >> 31))
    return outputs


def seed_whose_first_output_is(output: int) -> int:
    """SplitMix64 backwards."""

    def unshift(z: int, by: int) -> int:
        found = z
        for _ in range(64 // by):
            found = z ^ (found >> by)
        return found

    z = unshift(output, 31)
    z = unshift(z * pow(0x94D049BB133111EB, -1, U64) % U64, 27)
    z = unshift(z * pow(0xBF58476D1CE4E5B9, -1, U64) % U64, 30)
    return (z - 0x9E3779B97F4A7C15) % U64


def test_floor_is_mixed_in():
    # By hand: 0.125 + (1 - 4 · 0.125) · p.
    assert with_floor([1.0, 0.0, 0.0, 0.0], 0.125) == [0.625, 0.125, 0.125, 0.125]


@given(PMFS, st.floats(0.0, 1.0))
def test_floor_survives_normalising(pmf, share):
    floor = share / len(pmf)
    mixed = with_floor(pmf, floor)
    assert min(mixed) >= floor
    assert math.fsum(mixed) == pytest.approx(1.0, abs=1e-12)
    assert all(
        mixed[i] <= mixed[j] for i in range(len(pmf)) for j in range(len(pmf)) if pmf[i] <= pmf[j]
    )


def test_the_highest_floor_is_uniform():
    for k in range(1, 300):  # 49 · (1/49) is below 1, 1/k may round either way
        mixed = with_floor([1.0] + [0.0] * (k - 1), 1 / k)
        assert mixed == pytest.approx([1 / k] * k, abs=1e-15)


def test_a_sum_that_float32_has_rounded_is_normalised():
    assert with_floor([0.5, 0.5 + 9e-7], 0.0) == pytest.approx([0.5, 0.5], abs=1e-6)
    assert math.fsum(with_floor([0.5, 0.5 + 9e-7], 0.0)) == pytest.approx(1.0, abs=1e-15)


def test_what_float32_loses_grows_with_the_number_of_actions():
    # VW's squarecb was 1.9e-6 off at 1,000 actions, and a decision would have failed for it.
    assert math.fsum(with_floor([(1 + 1e-4) / 1000] * 1000, 0.0)) == pytest.approx(1.0, abs=1e-12)
    with pytest.raises(BadPmf, match=r"must sum to 1 ± 0\.00012"):
        with_floor([(1 + 1.3e-4) / 1000] * 1000, 0.0)


@pytest.mark.parametrize(
    ("pmf", "reason"),
    [
        ([], "must hold at least one action"),
        ([0.5, 0.5 + 2e-6], "sums to 1.00000"),
        ([0.5, 0.4], "sums to 0.9"),
        ([0.0, 0.0], "sums to 0.0"),
        ([1.0, 1.0], "sums to 2.0"),  # --regcbopt on ties
        ([1.1, -0.1], r"pmf\[0\] is 1.1"),
        ([0.9, -0.1, 0.2], r"pmf\[1\] is -0.1"),
        ([math.nan, 1.0], r"pmf\[0\] is nan"),
        ([1.0, math.nan], r"pmf\[1\] is nan"),
        ([math.inf, -math.inf], r"pmf\[0\] is inf"),
        ([0.5, math.nan, -math.inf], r"pmf\[1\] is nan"),
        ([sys.float_info.max] * 3, r"pmf\[0\] is 1.79"),
    ],
)
def test_what_is_no_distribution_is_refused(pmf, reason):
    with pytest.raises(BadPmf, match=reason):
        with_floor(pmf, 0.0)


@pytest.mark.parametrize("floor", [-0.1, 0.51, 1.0, math.nan, math.inf])
def test_a_floor_that_can_not_hold_is_refused(floor):
    with pytest.raises(BadPmf, match="floor is"):
        with_floor([0.5, 0.5], floor)


def test_seed_is_keyed_blake2b():
    # OpenSSL 3.0: printf 0192… | openssl mac -macopt hexkey:706570706572 BLAKE2BMAC
    # gives 81BE48B3FE2A20CA… for the key `pepper`.
    assert seed_of("0192d6a1-7c5b-7abc-9def-0123456789ab", b"pepper") == 0x81BE48B3FE2A20CA


def test_seed_depends_on_every_part():
    seeds = {seed_of(event, salt) for event in ("a", "b") for salt in (b"x", b"y", b"y" * 64)}
    assert len(seeds) == 6


def test_uniforms_are_those_of_splitmix64():
    # Rosetta Code, "Pseudo-random numbers/Splitmix64", seed 1234567.
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert splitmix64(1234567) == published
    assert [uniform_of(1234567, s) for s in range(5)] == [(x >> 11) / 2**53 for x in published]


@given(SEEDS)
def test_uniforms_agree_with_a_second_implementation(seed):
    uniforms = [uniform_of(seed, slot) for slot in range(5)]
    assert uniforms == [(x >> 11) / 2**53 for x in splitmix64(seed)]
    assert all(0.0 <= u < 1.0 for u in uniforms)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=12).filter(any), SEEDS)
def test_draws_agree_with_exact_arithmetic(counts, seed):
    # Whole numbers and their sums are exact in floats, so only the last division rounds.
    left = dict(enumerate(counts))
    ranking, propensities = [], []
    for x in [*splitmix64(seed), *splitmix64(seed + 5 * 0x9E3779B97F4A7C15)]:
        total = sum(left.values())
        if not total:
            break
        target = Fraction(x >> 11, 2**53) * total
        sums = zip(left, accumulate(left.values()), strict=True)
        ranking.append(index := next(index for index, running in sums if running > target))
        propensities.append(left.pop(index) / total)
    assert draw_ranking([float(c) for c in counts], len(ranking), seed) == (ranking, propensities)


@given(PMFS, SEEDS, st.integers(1, 50))
def test_a_ranking_is_without_repetition_and_its_propensities_can_be_computed_again(
    pmf, seed, slots
):
    slots = min(slots, sum(p > 0 for p in pmf))
    ranking, propensities = draw_ranking(pmf, slots, seed)
    assert len(set(ranking)) == len(ranking) == len(propensities) == slots
    assert all(pmf[index] > 0.0 for index in ranking)
    assert all(0.0 < propensity <= 1.0 for propensity in propensities)
    assert propensities_of(pmf, ranking) == propensities


@given(PMFS, SEEDS)
def test_a_longer_ranking_begins_like_a_shorter_one(pmf, seed):
    whole = draw_ranking(pmf, sum(p > 0 for p in pmf), seed)
    top = draw_ranking(pmf, 1, seed)
    assert [part[:1] for part in whole] == list(top)


@pytest.mark.parametrize("output", [0, U64 - 1])
@pytest.mark.parametrize(
    "pmf",
    [
        [1.0],
        [0.0, 0.5, 0.5, 0.0],
        [0.1] * 10,
        [0.7, 0.2, 0.1, 0.0],
        [0.0, 5e-324, 0.0],
        [1 / 3] * 3,
    ],
)
def test_the_smallest_and_the_largest_uniform_reach_an_action_with_probability(output, pmf):
    seed = seed_whose_first_output_is(output)
    assert splitmix64(seed)[0] == output
    positive = [index for index, p in enumerate(pmf) if p > 0]
    (drawn,), (propensity,) = draw_ranking(pmf, 1, seed)
    assert drawn == positive[0 if output == 0 else -1]
    assert propensity > 0.0


def test_the_last_action_left_has_propensity_one():
    assert draw_ranking([0.5, 0.3, 0.2], 3, seed=9)[1][-1] == 1.0
    assert draw_ranking([0.5, 0.5, 0.0], 3, seed=9)[1][-1] == 1.0


def test_a_pmf_with_all_mass_on_one_action_keeps_the_offered_order():
    assert draw_ranking([0.0, 0.0, 1.0, 0.0], 4, seed=5) == ([2, 0, 1, 3], [1.0] * 4)
    assert propensities_of([0.0, 0.0, 1.0, 0.0], [2, 0, 1, 3]) == [1.0] * 4
    assert propensities_of([0.0, 0.0, 1.0, 0.0], [2, 1, 0]) == [1.0, 0.0, 1.0]


def test_no_slot_is_drawn_from_nothing():
    with pytest.raises(BadPmf, match="mass on 2 of 4 actions"):
        draw_ranking([0.5, 0.5, 0.0, 0.0], 3, seed=9)
    with pytest.raises(BadPmf, match="mass on 2 of 4 actions"):
        propensities_of([0.5, 0.5, 0.0, 0.0], [0, 1, 2])


def test_there_are_never_more_slots_than_actions():
    assert sorted(draw_ranking([0.5, 0.5], 9, seed=1)[0]) == [0, 1]


def test_another_policy_may_give_a_drawn_action_no_probability():
    assert propensities_of([0.0, 1.0], [0, 1]) == [0.0, 1.0]


@pytest.mark.parametrize("ranking", [[0, 0], [3], [-1]])
def test_a_ranking_of_other_actions_is_a_mistake(ranking):
    with pytest.raises(ValueError, match="not in list"):
        propensities_of([0.5, 0.3, 0.2], ranking)


BOUNDED = PMFS.flatmap(
    lambda pmf: st.tuples(
        st.just(pmf),
        st.lists(st.floats(0.0, 1.0 / len(pmf)), min_size=len(pmf), max_size=len(pmf)),
        st.lists(st.floats(0.0, 1.0), min_size=len(pmf), max_size=len(pmf)),
    )
)


@given(BOUNDED)
def test_bounds_hold_and_probability_is_conserved(given_):
    pmf, least, slack = given_
    most = [min(1.0, max(low, 1e-3) + more) for low, more in zip(least, slack, strict=True)]
    bounded = with_bounds(pmf, least, most)
    assert math.fsum(bounded) == pytest.approx(1.0, abs=1e-12)
    assert all(p >= low - 1e-12 for p, low in zip(bounded, least, strict=True))
    if math.fsum(most) >= 1.0:
        assert all(p <= high + 1e-9 for p, high in zip(bounded, most, strict=True))
    else:  # no distribution holds every cap: lifted in proportion
        assert bounded == pytest.approx([high / math.fsum(most) for high in most])
    assert with_bounds(pmf, least, most) == bounded


def test_bounds_keep_those_between_them_in_proportion():
    # By hand: the excess of 0.3 goes to 0.3 : 0.1; 0.525 is above 0.45, so 0.075 more to the last.
    bounded = with_bounds([0.6, 0.3, 0.1], [0.0] * 3, [0.3, 0.45, 1.0])
    assert bounded == pytest.approx([0.3, 0.45, 0.25])
    # What had nothing shares evenly.
    assert with_bounds([1.0, 0.0, 0.0], [0.0] * 3, [0.5, 1.0, 1.0]) == [0.5, 0.25, 0.25]


@given(PMFS, SEEDS, st.data())
def test_propensities_in_pools_are_those_of_the_draw(pmf, seed, data):
    indices = st.integers(0, len(pmf) - 1)
    blocked = data.draw(st.lists(st.sets(indices, max_size=3), max_size=4))
    mixed = with_floor(pmf, 0.5 / len(pmf))
    ranking, propensities = draw_ranking(mixed, 6, seed, blocked)
    assert propensities_of(mixed, ranking, blocked) == propensities
    for slot, index in enumerate(ranking[: len(blocked)]):
        assert index not in blocked[slot]
    pinned = {0: ranking[0]} if ranking else {}
    again, given_ = draw_ranking(mixed, 6, seed, blocked, pinned)
    assert not pinned or (again[0], given_[0]) == (ranking[0], 1.0)
    assert propensities_of(mixed, again, blocked, pinned) == given_


def test_nothing_blocked_is_the_plain_formula():
    pmf = with_floor([0.5, 0.2, 0.2, 0.1], 0.01)
    for seed in range(50):
        plain = draw_ranking(pmf, 4, seed)
        assert draw_ranking(pmf, 4, seed, [(), ()]) == plain
        assert propensities_of(pmf, plain[0], [(), ()]) == plain[1]


def test_a_blocked_action_in_a_ranking_is_refused():
    with pytest.raises(ValueError, match="not in list"):
        propensities_of([0.5, 0.5], [0], [{0}])
