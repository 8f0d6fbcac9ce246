import math

import numpy as np
import pytest

from bandit.errors import RecordError
from bandit.stats.joint import JointMoments
from bandit.stats.linear import mean_of
from bandit.stats.strata import post_stratify

RNG = np.random.default_rng(8)


def stratum(n_c: int, n_t: int, level: float, effect: float):
    control = JointMoments.of_columns(RNG.normal(level, 1.0, n_c))
    treatment = JointMoments.of_columns(RNG.normal(level + effect, 1.0, n_t))
    return control, treatment


CELLS = [stratum(60, 40, 0.0, 0.5), stratum(30, 70, 10.0, 0.5)]
STRATA = [mean_of().estimate(*cell) for cell in CELLS]


def test_an_uneven_mix_does_not_pass_for_an_effect():
    raw = mean_of().estimate(CELLS[0][0] + CELLS[1][0], CELLS[0][1] + CELLS[1][1])
    got = post_stratify(STRATA, unadjusted=raw)
    assert abs(raw.effect) > 2.0
    assert abs(got.effect - 0.5) < 4.4 * got.std_error
    assert got.variance_reduction > 0.9
    assert got.unadjusted == raw


def test_known_weights_have_no_error_of_their_own():
    # By hand: Σ w²·V.
    got = post_stratify(STRATA, weights=[3, 1])
    assert got.effect == pytest.approx(0.75 * STRATA[0].effect + 0.25 * STRATA[1].effect)
    expected = 0.75**2 * STRATA[0].variance + 0.25**2 * STRATA[1].variance
    assert got.variance == pytest.approx(expected)


def test_estimated_weights_add_the_spread_of_effects_over_n():
    known = post_stratify(STRATA, weights=[100, 100])
    got = post_stratify(STRATA)
    effects = [s.effect for s in STRATA]
    assert got.variance - known.variance == pytest.approx(np.var(effects) / 200)


def test_one_stratum_is_the_plain_estimate():
    got = post_stratify(STRATA[:1])
    assert got.effect == pytest.approx(STRATA[0].effect)
    assert got.welch_df == pytest.approx(STRATA[0].welch_df)


def test_a_stratum_without_a_variant_is_not_identified():
    gap = mean_of().estimate(JointMoments.none(1), CELLS[0][1])
    assert post_stratify([STRATA[0], gap]).reason == "not_identified"
    assert post_stratify([gap]).reason == "empty_variant"


def test_a_stratum_that_does_not_count_may_be_empty():
    gap = mean_of().estimate(JointMoments.none(1), JointMoments.none(1))
    assert post_stratify([*STRATA, gap]).effect == pytest.approx(post_stratify(STRATA).effect)


def test_a_stratum_without_spread_is_certain_of_its_value():
    flat = JointMoments.of_columns([2.0] * 10)
    even = mean_of().estimate(flat, flat)
    got = post_stratify([STRATA[0], even], weights=[0.5, 0.5])
    assert got.std_error == pytest.approx(0.5 * STRATA[0].std_error)
    assert post_stratify([even]).reason == "no_variance"
    assert all(math.isfinite(df) for df in got.dfs)


@pytest.mark.parametrize("weights", [[1.0], [0.0, 0.0], [-1.0, 2.0]])
def test_weights_that_do_not_fit_are_refused(weights: list[float]):
    with pytest.raises(RecordError, match="must be 2 numbers"):
        post_stratify(STRATA, weights=weights)


def test_no_strata_are_refused():
    with pytest.raises(RecordError, match="at least one"):
        post_stratify([])
