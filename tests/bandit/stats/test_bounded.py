import math
from typing import Any

import numpy as np
import pytest

from bandit.stats.bounded import betting_interval, bounded_sequence
from tests.bandit.stats.peers import cases, dataset, same


@cases("bounded_cs")
def test_bounded_sequences_are_the_peers(case: dict[str, Any]):
    kind: Any = "hoeffding" if "hoeff" in case["id"] else "empirical_bernstein"
    low, high = bounded_sequence(dataset(case)["x"], alpha=case["params"]["alpha"], kind=kind)
    at = np.array(case["expected"]["t"]) - 1
    same({"t": at + 1, "low": low[at], "high": high[at]}, case, case["expected"])


def test_betting_is_narrower_than_bernstein_and_bernstein_than_hoeffding_on_narrow_values():
    x = np.random.default_rng(1).beta(20, 20, size=800)
    lower, upper = betting_interval(x)
    widths = [upper - lower]
    for kind in ("empirical_bernstein", "hoeffding"):
        lows, highs = bounded_sequence(x, kind=kind)
        widths.append(highs[-1] - lows[-1])
    assert widths == sorted(widths)


def test_other_bounds_are_a_change_of_scale():
    x = np.random.default_rng(2).random(100)
    lows, highs = bounded_sequence(x)
    wide = bounded_sequence(10 * x - 3, low=-3, high=7)
    np.testing.assert_allclose(wide[0], 10 * lows - 3)
    np.testing.assert_allclose(wide[1], 10 * highs - 3)
    ends = betting_interval(x)
    assert betting_interval(10 * x - 3, low=-3, high=7) == pytest.approx(
        (10 * ends[0] - 3, 10 * ends[1] - 3), abs=1e-6
    )


def test_running_intervals_only_shrink_and_stay_in_bounds():
    lows, highs = bounded_sequence(np.random.default_rng(3).random(300), running=True)
    assert np.all(np.diff(lows) >= 0)
    assert np.all(np.diff(highs) <= 0)
    assert lows[0] >= 0.0
    assert highs[0] <= 1.0


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_equal_values_have_an_interval_around_them(value: float):
    lower, upper = betting_interval([value] * 200)
    assert 0.0 <= lower <= value <= upper <= 1.0
    assert upper - lower < 0.1


@pytest.mark.parametrize("method", ["betting", "empirical_bernstein", "hoeffding"])
def test_peeking_leaves_out_the_mean_at_most_at_alpha(method: Any):
    rng, runs, p = np.random.default_rng(9), 250, 0.1
    missed = 0
    for _ in range(runs):
        x = (rng.random(400) < p).astype(float)
        if method == "betting":
            ends = [betting_interval(x[:n], alpha=0.2) for n in range(40, 401, 40)]
            missed += any(not low <= p <= high for low, high in ends)
        else:
            lows, highs = bounded_sequence(x, alpha=0.2, kind=method)
            missed += bool(((lows > p) | (highs < p)).any())
    assert missed / runs <= 0.2 + 4.4 * math.sqrt(0.16 / runs)


@pytest.mark.parametrize("values", [[], [1.5], [-0.1], [math.nan], [[0.5]]])
def test_values_outside_their_bounds_are_refused(values: list):
    with pytest.raises(ValueError, match="must"):
        bounded_sequence(values)
