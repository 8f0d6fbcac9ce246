import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bandit.errors import RecordError
from bandit.stats.effect import Effect
from bandit.stats.estimate import Estimate, capped
from bandit.stats.fixed import Margin, compare, equivalence, non_inferiority, superiority, tail
from bandit.stats.joint import JointMoments
from bandit.stats.linear import mean_of
from bandit.stats.moments import Moments
from bandit.stats.welch import welch

RNG = np.random.default_rng(17)
C, T = RNG.normal(10.0, 2.0, 40), RNG.normal(11.0, 3.0, 60)
PAIR = mean_of().estimate(JointMoments.of_columns(C), JointMoments.of_columns(T))


@st.composite
def estimates(draw: st.DrawFn) -> Estimate:
    v_c, v_t = draw(st.floats(1e-4, 4.0)), draw(st.floats(1e-4, 4.0))
    v_ct = draw(st.floats(-0.9, 0.9)) * math.sqrt(v_c * v_t)
    return Estimate(
        n=(50, 60),
        values=(draw(st.floats(-50, 50)), draw(st.floats(-50, 50))),
        covariance=((v_c, v_ct), (v_ct, v_t)),
        dfs=(49.0, 59.0),
        kind="mean",
    )


def test_welch_of_an_estimate_is_welch_of_its_moments():
    got = compare(PAIR)
    old = welch(Moments.of(C.tolist()), Moments.of(T.tolist()))
    for name in ("effect", "effect_ci_low", "relative_ci_low", "relative_ci_high", "p_value", "df"):
        assert getattr(got, name) == pytest.approx(getattr(old, name), rel=1e-9), name


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize(("method", "equal"), [("welch", False), ("pooled_t", True)])
def test_t_tests_equal_scipys(alternative: str, method: str, equal: bool):
    theirs = stats.ttest_ind(T, C, equal_var=equal, alternative=alternative)
    interval = theirs.confidence_interval(0.95)
    got = compare(PAIR, method=method, alternative=alternative)
    assert got.statistic == pytest.approx(theirs.statistic)
    assert got.p_value == pytest.approx(theirs.pvalue)
    assert got.df == pytest.approx(theirs.df)
    for end, their_end in (
        (got.effect_ci_low, interval.low),
        (got.effect_ci_high, interval.high),
    ):
        assert (end is None) if math.isinf(their_end) else end == pytest.approx(their_end)


@settings(deadline=None)
@given(
    estimates(),
    st.sampled_from(["welch", "z", "pooled_t"]),
    st.sampled_from(["two-sided", "greater", "less"]),
)
def test_p_value_and_both_intervals_decide_alike(estimate: Estimate, method, alternative):
    got = compare(estimate, method=method, alternative=alternative)
    if got.reason is not None or abs(got.p_value - 0.05) < 1e-9:
        return
    rejected = got.p_value < 0.05
    assert leaves_out_zero(got.effect_ci_low, got.effect_ci_high) == rejected
    if got.relative_reason is None:
        assert leaves_out_zero(got.relative_ci_low, got.relative_ci_high) == rejected


def leaves_out_zero(low: float | None, high: float | None) -> bool:
    return (low is not None and low > 0.0) or (high is not None and high < 0.0)


@settings(deadline=None)
@given(estimates(), st.floats(0.0, 2.0), st.sampled_from(["absolute", "relative"]))
def test_non_inferiority_is_the_one_sided_interval_inside_the_margin(estimate, size, scale):
    if abs(estimate.values[0]) < 1e-3:
        return
    margin = Margin(size, scale)
    got = non_inferiority(estimate, margin, method="z")
    if got.p_value is None or abs(got.p_value - 0.05) < 1e-6:
        return
    if scale == "absolute":
        assert (got.effect_ci_low > -size) == (got.p_value < 0.05)
    elif got.relative_reason is None and got.control > 0.0:
        assert (got.relative_ci_low > -size) == (got.p_value < 0.05)
    elif got.relative_reason is None:
        # A share of a negative control: worse is further from 0, and the ratio turns round.
        assert (got.relative_ci_high < size) == (got.p_value < 0.05)


@settings(deadline=None)
@given(estimates(), st.floats(0.01, 20.0))
def test_equivalence_is_the_interval_inside_both_margins(estimate: Estimate, size: float):
    got = equivalence(estimate, Margin(size))
    if abs(got.p_value - 0.05) < 1e-9:
        return
    inside = -size < got.effect_ci_low and got.effect_ci_high < size
    assert inside == (got.p_value < 0.05)


def test_one_side_is_the_other_mirrored():
    mirrored = msgspec.structs.replace(PAIR, values=tuple(-v for v in PAIR.values))
    lower = non_inferiority(mirrored, Margin(0.5), better="lower")
    higher = non_inferiority(PAIR, Margin(0.5), better="higher")
    assert lower.p_value == pytest.approx(higher.p_value)
    assert lower.effect_ci_high == pytest.approx(-higher.effect_ci_low)
    assert (lower.effect_ci_low, lower.alternative, lower.null_value) == (None, "less", 0.5)


def test_superiority_by_nothing_is_the_one_sided_test():
    plain = compare(PAIR, alternative="greater")
    assert superiority(PAIR, Margin(0.0)).p_value == pytest.approx(plain.p_value)
    assert superiority(PAIR, Margin(0.5)).p_value > plain.p_value


def test_a_relative_margin_carries_the_controls_own_error():
    # By hand: T - 0.9·C has variance V_t + 0.81·V_c.
    got = non_inferiority(PAIR, Margin(0.1, "relative"), method="z")
    (v_c, _), (_, v_t) = PAIR.covariance
    c, t = PAIR.values
    assert got.statistic == pytest.approx((t - 0.9 * c) / math.sqrt(v_t + 0.81 * v_c))
    assert got.null_value == pytest.approx(-0.1 * c)


def test_the_level_holds_under_the_null():
    # Skewed, unequal arms; 4.4 Monte Carlo errors.
    runs, hits = 4000, 0
    control, treatment = RNG.exponential(size=(runs, 200)), RNG.exponential(size=(runs, 100))
    for c, t in zip(control, treatment, strict=True):
        estimate = mean_of().estimate(JointMoments.of_columns(c), JointMoments.of_columns(t))
        got = compare(estimate)
        hits += leaves_out_zero(got.relative_ci_low, got.relative_ci_high)
    assert abs(hits / runs - 0.05) <= 4.4 * math.sqrt(0.05 * 0.95 / runs) + 0.005


def test_p_values_reach_1e_300():
    # Known: log10 of the normal's two tails beyond 37 is -299.0...
    far = Estimate(
        n=(10, 10), values=(1.0, 38.0), covariance=((0.5, 0), (0, 0.5)), dfs=(9, 9), kind="mean"
    )
    got = compare(far, method="z")
    assert math.log10(got.p_value) == pytest.approx(stats.norm.logsf(37) / math.log(10) + 0.30103)
    assert tail(37.0, math.inf) == pytest.approx(math.exp(stats.norm.logsf(37)))
    assert tail(37.0, 1e6) > 0.0


def test_means_of_1e9_keep_their_digits_on_both_scales():
    control, treatment = RNG.normal(size=500) + 1e9, RNG.normal(0.3, 1, 500) + 1e9
    arms = [JointMoments.of_columns(x) for x in (control, treatment)]
    got = compare(mean_of().estimate(*arms))
    exact = stats.ttest_ind(treatment - 1e9, control - 1e9, equal_var=False)
    assert got.statistic == pytest.approx(exact.statistic, rel=1e-5)
    assert got.relative_ci_low == pytest.approx(got.effect_ci_low / 1e9, rel=1e-6)


NOBODY, ONE = JointMoments.none(1), JointMoments.of_columns([2.0])
FLAT, SPREAD = JointMoments.of_columns([1.0] * 3), JointMoments.of_columns([1.0, 2.0, 6.0])


@pytest.mark.parametrize(
    ("control", "treatment", "reason"),
    [
        (NOBODY, SPREAD, "empty_variant"),
        (SPREAD, NOBODY, "empty_variant"),
        (ONE, SPREAD, "one_unit"),
        (FLAT, FLAT, "no_variance"),
    ],
)
@pytest.mark.parametrize("method", ["welch", "pooled_t", "z"])
def test_a_missing_number_has_a_reason_in_every_test(control, treatment, reason, method):
    estimate = mean_of().estimate(control, treatment)
    margin = Margin(0.1, "relative")
    for got in (
        compare(estimate, method=method),
        non_inferiority(estimate, margin, method=method),
        equivalence(estimate, margin, method=method),
    ):
        assert (got.reason, got.relative_reason) == (reason, reason)
        assert (got.effect_ci_low, got.p_value, got.std_error) == (None,) * 3
        assert no_number_is_nan(got)


@pytest.mark.parametrize("relative", ["fieller", "log", "delta"])
def test_a_control_of_zero_has_no_relative_effect(relative: str):
    zero = JointMoments.of_columns([-1.0, 1.0])
    got = compare(mean_of().estimate(zero, SPREAD), relative=relative)
    assert (got.relative_effect, got.relative_ci_low) == (None, None)
    assert got.relative_reason == "control_is_zero"
    assert got.p_value is not None


def test_a_log_of_what_is_below_zero_has_a_reason():
    below = JointMoments.of_columns([-3.0, -2.0, -2.5])
    got = compare(mean_of().estimate(below, SPREAD), relative="log")
    assert (got.relative_reason, got.relative_ci_low) == ("not_positive", None)
    assert got.warnings == ("control_is_negative",)


@pytest.mark.parametrize("relative", ["fieller", "log", "delta"])
@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_a_relative_interval_of_a_negative_control_holds_its_effect(relative, alternative):
    # By delta it was that of the effect over |control|: −4 % had the interval [−1.5 %, +9.5 %].
    e = Estimate(
        n=(100, 100),
        values=(-5.0, -4.8),
        covariance=((0.01, 0.0), (0.0, 0.01)),
        dfs=(99.0, 99.0),
        kind="mean",
    )
    got = compare(e, relative=relative, alternative=alternative)
    low = -math.inf if got.relative_ci_low is None else got.relative_ci_low
    high = math.inf if got.relative_ci_high is None else got.relative_ci_high
    assert got.relative_effect == pytest.approx(-0.04)
    assert low < got.relative_effect < high
    # What is greater is relatively less: nearer to 0.
    assert (high < math.inf) == (alternative != "less")


def test_scales_that_disagree_are_warned_of():
    # The log interval leaves out 0 where the absolute one holds it.
    estimate = Estimate(
        n=(20, 20), values=(2.0, 8.0), covariance=((0.05, 0), (0, 9.5)), dfs=(19, 19), kind="mean"
    )
    got = compare(estimate, relative="log", method="z")
    assert leaves_out_zero(got.relative_ci_low, got.relative_ci_high)
    assert not leaves_out_zero(got.effect_ci_low, got.effect_ci_high)
    assert got.warnings == ("scales_disagree",)


def test_what_is_beside_the_estimate_is_tested_alike():
    got = compare(capped(PAIR, PAIR.scaled(4.0), cap=13.0), alternative="greater", alpha=0.1)
    assert got.unadjusted == compare(PAIR.scaled(4.0), alternative="greater", alpha=0.1)
    assert (got.cap, got.variance_reduction) == (13.0, pytest.approx(0.75))
    assert msgspec.json.decode(msgspec.json.encode(got), type=Effect) == got


def test_a_test_takes_one_pair():
    three = mean_of().estimate(SPREAD, SPREAD, SPREAD)
    with pytest.raises(RecordError, match="must be a pair"):
        compare(three)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, math.nan])
def test_alpha_outside_its_range_is_refused(alpha: float):
    with pytest.raises(ValueError, match=r"must be in \(0, 1\)"):
        compare(PAIR, alpha=alpha)


@pytest.mark.parametrize("size", [-0.1, math.inf, math.nan])
def test_a_margin_below_zero_is_refused(size: float):
    with pytest.raises(ValueError, match="at least 0"):
        non_inferiority(PAIR, Margin(size))


def no_number_is_nan(effect: Effect) -> bool:
    values = (getattr(effect, name) for name in effect.__struct_fields__)
    return all(math.isfinite(value) for value in values if isinstance(value, float))
