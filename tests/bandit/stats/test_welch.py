import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_ind_from_stats

from bandit.stats import Effect, Moments, welch

PEERS = json.loads((Path(__file__).parents[2] / "data" / "ab_welch.json").read_text())
MOMENTS = st.builds(
    lambda n, mean, sd: Moments(n=n, mean=mean, m2=sd**2 * (n - 1)),
    st.integers(2, 5000),
    st.floats(-100, 100),
    st.floats(0.01, 50),
)


@pytest.mark.parametrize("case", PEERS["cases"], ids=lambda case: case["id"])
def test_welch_gives_the_peers_numbers(case: dict):
    data = PEERS["datasets"][case["dataset"]]
    got = welch(Moments.of(data["control"]), Moments.of(data["treatment"]))
    expected = dict(case["expected"])
    if case["peer"].startswith("ClickHouse"):  # it takes control - treatment
        low, high = expected["effect_ci_low"], expected["effect_ci_high"]
        expected |= {"effect_ci_low": -high, "effect_ci_high": -low}
        expected["statistic"] = -expected["statistic"]
    for name, value in expected.items():
        assert getattr(got, name) == pytest.approx(value, rel=case["rtol"], abs=1e-10), name


@settings(deadline=None)
@given(MOMENTS, MOMENTS, st.sampled_from([0.01, 0.05, 0.2]))
def test_welch_equals_scipys(control: Moments, treatment: Moments, alpha: float):
    theirs = ttest_ind_from_stats(
        treatment.mean,
        math.sqrt(treatment.variance),
        treatment.n,
        control.mean,
        math.sqrt(control.variance),
        control.n,
        equal_var=False,
    )
    ours = welch(control, treatment, alpha)
    assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-9, abs=1e-12)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-300)
    assert (ours.effect_ci_low > 0 or ours.effect_ci_high < 0) == (ours.p_value < alpha)


@settings(deadline=None)
@given(MOMENTS, MOMENTS)
def test_both_scales_decide_alike(control: Moments, treatment: Moments):
    got = welch(control, treatment)
    if got.relative_ci_low is None:
        assert got.relative_reason in ("control_near_zero", "control_is_zero")
        return
    assert got.relative_ci_low <= got.relative_effect <= got.relative_ci_high
    absolute = got.effect_ci_low > 0 or got.effect_ci_high < 0
    assert (got.relative_ci_low > 0 or got.relative_ci_high < 0) == absolute


def test_relative_interval_holds_exactly_what_the_test_does_not_reject():
    # The definition itself: at each end, treatment − (1 + δ)·control is just rejected.
    control, treatment = Moments(n=50, mean=4.0, m2=300.0), Moments(n=70, mean=5.0, m2=500.0)
    got = welch(control, treatment)
    critical = (got.effect_ci_high - got.effect) / got.std_error
    for delta in (got.relative_ci_low, got.relative_ci_high):
        gap = treatment.mean - (1 + delta) * control.mean
        variance = treatment.variance / 70 + (1 + delta) ** 2 * control.variance / 50
        assert abs(gap) == pytest.approx(critical * math.sqrt(variance), rel=1e-12)


def test_relative_interval_keeps_its_digits_when_the_means_are_huge():
    # By hand: se = sqrt(2/100), q(198 df) = 1.9720175; relative to 1e9 the ends are ± that / 1e9.
    same = Moments(n=100, mean=1e9, m2=99.0)
    got = welch(same, same)
    assert got.relative_ci_high == pytest.approx(1.9720175 * math.sqrt(0.02) / 1e9, rel=1e-7)
    assert got.relative_ci_low == pytest.approx(-got.relative_ci_high, rel=1e-7)


def test_p_value_of_a_huge_statistic_is_not_zero():
    got = welch(Moments(n=5001, mean=0.0, m2=5000.0), Moments(n=5001, mean=0.74, m2=5000.0))
    # 37 standard errors; 1 − cdf is exactly 0 from about 8 on.
    assert got.statistic == pytest.approx(37.0, rel=1e-3)
    assert 1e-290 < got.p_value < 1e-270


NOBODY, ONE = Moments.of([]), Moments.of([2.0])
SAME, SPREAD = Moments.of([1.0, 1.0, 1.0]), Moments.of([1.0, 2.0, 6.0])


@pytest.mark.parametrize(
    ("control", "treatment", "reason", "effect"),
    [
        (NOBODY, SPREAD, "empty_variant", None),
        (SPREAD, NOBODY, "empty_variant", None),
        (NOBODY, NOBODY, "empty_variant", None),
        (ONE, SPREAD, "one_unit", 1.0),
        (SPREAD, ONE, "one_unit", -1.0),
        (SAME, SAME, "no_variance", 0.0),
    ],
)
def test_a_missing_interval_has_a_reason(
    control: Moments, treatment: Moments, reason: str, effect: float | None
):
    got = welch(control, treatment)
    assert (got.reason, got.relative_reason, got.effect) == (reason, reason, effect)
    assert (got.effect_ci_low, got.effect_ci_high, got.p_value, got.std_error) == (None,) * 4
    assert no_number_is_nan(got)


def test_one_constant_variant_still_gives_an_interval():
    got = welch(SAME, SPREAD)
    assert got.reason is None
    assert got.df == pytest.approx(2.0)  # by hand: only the spread one's n − 1 is left


def test_relative_effect_of_a_zero_control_has_a_reason():
    got = welch(Moments.of([-1.0, 1.0]), SPREAD)
    assert got.effect == pytest.approx(3.0)
    assert (got.relative_effect, got.relative_ci_low) == (None, None)
    assert got.relative_reason == "control_is_zero"


def test_relative_interval_of_a_control_that_may_be_zero_has_a_reason():
    got = welch(Moments.of([-1.0, 1.5, 0.3]), SPREAD)
    assert got.relative_effect is not None
    assert (got.relative_ci_low, got.relative_ci_high) == (None, None)
    assert got.relative_reason == "control_near_zero"


def test_a_negative_control_is_warned_of():
    assert welch(Moments.of([-3.0, -2.0]), SPREAD).warnings == ("control_is_negative",)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, math.nan])
def test_alpha_outside_its_range_is_refused(alpha: float):
    with pytest.raises(ValueError, match=r"must be in \(0, 1\)"):
        welch(SPREAD, SPREAD, alpha)


def no_number_is_nan(effect: Effect) -> bool:
    values = (getattr(effect, name) for name in effect.__struct_fields__)
    return all(math.isfinite(value) for value in values if isinstance(value, float))
