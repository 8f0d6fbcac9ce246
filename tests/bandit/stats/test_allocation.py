import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bandit.errors import BadPropensity, RecordError
from bandit.stats.allocation import (
    Propensities,
    binomial_p_value,
    check_propensities,
    continuity_corrected_p_value,
    srm_exact,
)
from bandit.stats.srm import srm


@settings(deadline=None)
@given(st.integers(1, 400), st.floats(0.02, 0.98), st.data())
def test_binomial_equals_scipys(n: int, p: float, data: st.DataObject):
    x = data.draw(st.integers(0, n))
    theirs = stats.binomtest(x, n, p).pvalue
    assert binomial_p_value(x, n, p) == pytest.approx(theirs, rel=1e-6, abs=1e-290)


def test_binomial_of_huge_counts_is_quick_and_deep():
    theirs = stats.binomtest(5_100_000, 10_000_000, 0.5).pvalue
    assert binomial_p_value(5_100_000, 10_000_000, 0.5) == pytest.approx(theirs, rel=1e-6)
    assert 0.0 < binomial_p_value(518_000, 1_000_000, 0.5) < 1e-280


def test_multinomial_of_three_variants_is_the_sum_over_all_splits():
    # By hand for 3 units, shares 1/3: (3,0,0) has 1/27, the three such splits together 1/9.
    assert srm_exact({"a": 3, "b": 0, "c": 0}, {"a": 1, "b": 1, "c": 1}).p_value == pytest.approx(
        1 / 9
    )


def test_multinomial_of_two_variants_with_weights_is_the_binomial():
    got = srm_exact({"a": 4, "b": 9, "c": 0}, {"a": 2, "b": 1, "c": 1e-9})
    assert got.p_value == pytest.approx(binomial_p_value(4, 13, 2 / 3), rel=1e-4)


def test_exact_answers_where_chi_square_has_too_few_units():
    shares = {"a": 1, "b": 1}
    assert srm({"a": 0, "b": 9}, shares).reason == "few_units"
    got = srm_exact({"a": 0, "b": 9}, shares)
    assert (got.verdict, got.reason, got.p_value) == ("fine", None, pytest.approx(2 / 2**9))


def test_many_splits_are_left_to_chi_square():
    counts, shares = {"a": 4000, "b": 4100, "c": 4000}, {"a": 1, "b": 1, "c": 1}
    assert srm_exact(counts, shares) == srm(counts, shares)


@pytest.mark.parametrize(
    ("counts", "shares", "reason"),
    [
        ({}, {"a": 1, "b": 1}, "no_units"),
        ({"a": 9}, {"a": 1, "b": 0}, "one_variant"),
        ({"a": 9, "gone": 1}, {"a": 1, "b": 1}, "unallocated_units"),
    ],
)
def test_what_can_not_be_tested_exactly_has_a_reason(counts: dict, shares: dict, reason: str):
    got = srm_exact(counts, shares)
    assert (got.reason, got.p_value) == (reason, None)


def test_a_variant_without_a_share_is_not_tested():
    got = srm_exact({"a": 4, "b": 6, "c": 0}, {"a": 1, "b": 1, "c": 0})
    assert (got.df, got.p_value) == (1, pytest.approx(binomial_p_value(4, 10, 0.5)))


@pytest.mark.parametrize(("x", "n", "p"), [(5, 4, 0.5), (-1, 4, 0.5), (1, 4, 0.0), (1, 4, 1.0)])
def test_what_is_no_binomial_is_refused(x: int, n: int, p: float):
    with pytest.raises(RecordError, match="must be in"):
        binomial_p_value(x, n, p)


def test_the_mode_is_no_surprise():
    assert continuity_corrected_p_value(50, 100, 0.5) == 1.0
    assert binomial_p_value(50, 100, 0.5) == 1.0


def adaptive_run(rng: np.random.Generator, bias: float = 0.0) -> Propensities:
    """A greedy bandit: the propensity follows what was seen."""
    sums, wins = [], 1
    for t in range(400):
        p = min(max(wins / (t + 2), 0.1), 0.9)
        drawn = bool(rng.uniform() < p + bias)
        wins += drawn and bool(rng.uniform() < 0.8)
        sums.append((drawn, p))
    return Propensities.of(sums)


def test_a_healthy_bandit_does_not_alarm():
    rng = np.random.default_rng(12)
    runs = 1500
    p = np.array([check_propensities(adaptive_run(rng)).p_value for _ in range(runs)])
    for level in (0.05, 0.01):
        error = 4.4 * math.sqrt(level * (1 - level) / runs)
        assert abs((p < level).mean() - level) <= error + 0.1 * level


def test_draws_that_do_not_follow_their_propensities_alarm():
    rng = np.random.default_rng(12)
    assert check_propensities(adaptive_run(rng, bias=0.15)).verdict == "mismatch"


def test_propensities_add():
    decisions = [(True, 0.5), (False, 0.25), (True, 1.0), (False, 0.9)]
    added = Propensities.of(decisions[:1]) + Propensities.of(decisions[1:])
    assert added == Propensities.of(decisions)


def test_what_is_too_little_has_a_reason():
    assert check_propensities(Propensities.of([])).reason == "no_decisions"
    few = check_propensities(Propensities.of([(True, 0.5)] * 10))
    assert (few.verdict, few.reason, few.p_value) == ("unknown", "few_draws", None)


def test_what_was_impossible_is_a_mismatch():
    got = check_propensities(Propensities.of([(False, 1.0)]))
    assert (got.verdict, got.p_value) == ("mismatch", 0.0)


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_what_is_no_propensity_is_refused(p: float):
    with pytest.raises(BadPropensity):
        Propensities.of([(True, p)])
