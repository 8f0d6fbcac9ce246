"""A target against what was logged, from sums over units."""

import math

import numpy as np
import pytest

from bandit.errors import RecordError
from bandit.ope import WeightMoments, snips
from bandit.ope.paired_moments import Measured, PairedMoments
from bandit.stats import Moments, welch


def log(
    n: int = 600, units_n: int = 60, seed: int = 1
) -> tuple[list[str], list[float], list[float]]:
    rng = np.random.default_rng(seed)
    units = [f"u{i}" for i in rng.integers(0, units_n, n)]
    return units, rng.uniform(0.0, 2.0, n).tolist(), rng.random(n).tolist()


def test_target_is_what_snips_says() -> None:
    units, weights, rewards = log()
    moments = PairedMoments.of(units, weights, rewards)
    value = snips(WeightMoments.of(units, weights, rewards), policy="p")
    found = moments.target()
    assert found is not None
    assert (found.value, found.std_error) == pytest.approx((value.value, value.std_error))
    assert found.interval(0.05) == pytest.approx((value.ci_low, value.ci_high))
    assert snips(moments.of_target, policy="p") == value


def test_gain_has_the_error_of_a_jackknife_over_units() -> None:
    """A second implementation: leave one unit out after another."""
    units, weights, rewards = log()
    found = PairedMoments.of(units, weights, rewards).gain()
    assert found is not None
    u, w, r = np.asarray(units), np.asarray(weights), np.asarray(rewards)

    def gain(keep: np.ndarray) -> float:
        return float((w[keep] @ r[keep]) / w[keep].sum() - r[keep].mean())

    left = np.array([gain(u != one) for one in np.unique(u)])
    m = len(left)
    assert found.value == pytest.approx(gain(np.ones(len(u), dtype=bool)))
    jackknife = math.sqrt((m - 1) / m * float(((left - left.mean()) ** 2).sum()))
    assert found.std_error == pytest.approx(jackknife, rel=0.05)


def test_logs_of_other_units_add() -> None:
    units, weights, rewards = log()
    here = [one < "u3" for one in units]

    def part(*, inside: bool) -> PairedMoments:
        rows = [i for i, one in enumerate(here) if one is inside]
        return PairedMoments.of(
            *([column[i] for i in rows] for column in (units, weights, rewards))
        )

    both = part(inside=True) + part(inside=False) + PairedMoments()
    whole = PairedMoments.of(units, weights, rewards)
    assert both.means == pytest.approx(whole.means)
    assert both.comoments == pytest.approx(whole.comoments)
    assert (both.units_n, both.n, both.max_weight) == (whole.units_n, whole.n, whole.max_weight)


def test_difference_of_logs_without_a_common_unit_is_welch() -> None:
    first, second = [0.1, 0.5, 0.4, 0.9], [0.7, 0.8, 0.6, 1.0, 0.2]
    found = [
        PairedMoments.of([str(i) for i in range(len(rewards))], [1.0] * len(rewards), rewards)
        for rewards in (first, second)
    ]
    gaps = [one.logged() for one in found]
    assert gaps[0] is not None
    assert gaps[1] is not None
    difference = gaps[1] - gaps[0]
    expected = welch(Moments.of(first), Moments.of(second))
    assert difference.value == pytest.approx(expected.effect)
    assert difference.p_value == pytest.approx(expected.p_value)
    assert difference.df == pytest.approx(expected.df)


def test_nothing_is_measured_without_units_or_overlap() -> None:
    assert PairedMoments().gain() is None
    assert PairedMoments.of(["a"], [1.0], [1.0]).logged() is None
    never = PairedMoments.of(["a", "b"], [0.0, 0.0], [1.0, 0.0])
    assert never.target() is None
    assert never.logged() is not None
    assert Measured(value=1.0, std_error=0.0, df=3.0).p_value is None


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(RecordError, match="1 units, 2 weights and 1 rewards"):
        PairedMoments.of(["a"], [1.0, 1.0], [1.0])
    for weights, rewards in (([math.nan], [1.0]), ([-1.0], [1.0]), ([1.0], [math.inf])):
        with pytest.raises(RecordError, match="must be finite, weights at least 0"):
            PairedMoments.of(["a"], weights, rewards)
