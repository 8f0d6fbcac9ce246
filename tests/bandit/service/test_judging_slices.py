"""Segments and days: nothing is claimed that the test of all of them does not bear."""

import numpy as np
import pytest

from bandit.service.judging import Judged, judge
from bandit.stats import heterogeneity, mean_of
from bandit.store.numbers import SliceNumbers
from tests.bandit.service.making_numbers import (
    counts_of,
    exactly,
    experiment_of,
    metric_of,
    moments_of,
    numbers_of,
    slice_of,
)


def segment(value: str, gain: float, n: int = 1000, by: str = "country") -> SliceNumbers:
    rows = {"c": [exactly(n, 10.0, 2.0)], "t": [exactly(n, 10.0 + gain, 2.0)]}
    return slice_of(by, value, moments_of("reward", rows))


def judged(*slices: SliceNumbers, sequential: str = "anytime", alpha: float = 0.05) -> Judged:
    whole = moments_of("reward", {key: [exactly(2000, 10.0, 2.0)] for key in "ct"})
    experiment = experiment_of(segments=sorted({one.by for one in slices} - {"first_day"}))
    return judge(
        numbers_of(whole, slices=slices), experiment, [metric_of()], alpha=alpha,
        sequential=sequential,
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["anytime", "fixed"])
def test_segments_that_differ_are_told_with_the_test_that_bears_it(mode: str):
    cut = [segment('"DE"', 0.0), segment('"US"', 0.0), segment('"FR"', 1.0)]
    [found] = judged(*cut, sequential=mode).segments
    assert found.differs
    # Each differs from the two others together; France the most.
    assert {row.value for row in found.rows if row.differs} >= {'"FR"'}
    assert found.method == {"fixed": "cochran_q", "anytime": "anytime_contrasts"}[mode]
    estimates = {one.value: mean_of().estimate(*one.numbers.by_variant.values()) for one in cut}
    expected = heterogeneity(estimates)
    assert (found.q, found.df, found.i2) == (expected.q, expected.df, expected.i2)
    if mode == "fixed":
        assert found.p_value == expected.p_value
    row = next(row for row in found.rows if row.value == '"FR"')
    assert row.shrunk == expected.segments['"FR"'].shrunk
    assert 0.0 < row.shrunk < row.effect.effect == pytest.approx(1.0)


def test_a_segment_that_stands_out_by_chance_is_not_claimed():
    # 20 segments without any difference: the best has p < 0.05 by itself in two runs of three.
    rng = np.random.default_rng(11)
    claimed = alone = 0
    for _ in range(60):
        cut = [
            segment(str(i), float(rng.normal(0.0, 2.0 * (2 / 60) ** 0.5)), 60) for i in range(20)
        ]
        [found] = judged(*cut, sequential="fixed").segments
        claimed += any(row.differs for row in found.rows)
        alone += any(row.effect.p_value < 0.05 for row in found.rows)
    assert claimed <= 6
    assert alone >= 30


def test_several_members_share_the_level():
    cut = [segment("1", 0.0, by=by) for by in "ab"] + [segment("2", 0.28, by=by) for by in "ab"]
    one, other = judged(*cut, sequential="fixed").segments
    assert one.p_value_adjusted == pytest.approx(2 * one.p_value)
    assert one.p_value < 0.05 <= one.p_value_adjusted
    assert not one.differs
    assert not any(row.differs for row in one.rows)
    assert other.by == "b"


def test_effects_of_values_are_corrected_for_one_another():
    [found] = judged(segment("1", 0.0), segment("2", 0.3), sequential="fixed").segments
    for row in found.rows:
        assert row.effect.alpha_adjusted == 0.025
        assert row.effect.p_value_adjusted >= row.effect.p_value


def test_values_with_few_units_are_shown_and_not_compared():
    [found] = judged(segment("1", 0.0), segment("2", 0.3), segment("3", 9.0, 10)).segments
    assert found.left_out == ("3",)
    assert [row.value for row in found.rows] == ["1", "2", "3"]
    assert found.rows[2].p_value is None
    [alone] = judged(segment("1", 0.0)).segments
    assert (alone.p_value, alone.reason, alone.differs) == (None, "few_segments", False)


def test_small_shares_of_a_segment_are_exact_and_not_compared():
    cut = [slice_of("country", v, counts_of("reward", c=(2, 90), t=(9, 90))) for v in ("1", "2")]
    whole = counts_of("reward", c=(40, 900), t=(60, 900))
    experiment = experiment_of(segments=["country"])
    [found] = judge(
        numbers_of(whole, slices=cut), experiment, [metric_of(type="proportion")], alpha=0.05,
        sequential="fixed",
    ).segments  # fmt: skip
    assert found.left_out == ("1", "2")
    assert {row.effect.method for row in found.rows} == {"barnard"}


def test_an_effect_that_wears_off_is_told():
    days = [segment(f"2026-11-0{i}", 2.0 / i, by="first_day") for i in range(1, 8)]
    got = judged(*days)
    assert got.effects[0].trend.verdict == "novelty"
    assert got.segments == ()
    steady = [segment(f"2026-11-0{i}", 0.5, by="first_day") for i in range(1, 8)]
    assert judged(*steady).effects[0].trend.verdict == "steady"
    assert judged(*steady[:2]).effects[0].trend.reason == "few_days"


def test_units_that_had_more_time_have_larger_sums_and_no_other_effect():
    def cohort(i: int) -> SliceNumbers:
        time = 8 - i
        rows = {"c": [exactly(900, 10.0 * time, 2.0)], "t": [exactly(900, 11.0 * time, 2.0)]}
        return slice_of("first_day", f"2026-11-0{i}", moments_of("reward", rows))

    assert judged(*(cohort(i) for i in range(1, 8))).effects[0].trend.verdict == "steady"
