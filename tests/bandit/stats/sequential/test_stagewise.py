import math

import numpy as np
import pytest
from scipy.stats import norm

from bandit.stats.sequential.group import spending_design
from bandit.stats.sequential.spending import Spending
from bandit.stats.sequential.stagewise import stagewise_interval, stagewise_p_value

LOOKS = (0.25, 0.5, 0.75, 1.0)
DESIGN = spending_design(LOOKS, spending=Spending(kind="pocock"))


def test_a_single_look_gives_the_fixed_tests_answers():
    assert stagewise_p_value(2.2, (1.0,), (1.96,)) == pytest.approx(2 * norm.sf(2.2), rel=1e-10)
    found = stagewise_interval(2.2, (1.0,), (1.96,))
    assert found == pytest.approx((2.2 - 1.959964, 2.2, 2.2 + 1.959964), abs=1e-5)


@pytest.mark.parametrize("look", [1, 2, 3, 4])
@pytest.mark.parametrize("sides", [1, 2])
def test_on_the_bound_the_p_value_is_what_was_spent(look: int, sides: int):
    design = spending_design(LOOKS, sides=sides)
    p_value = stagewise_p_value(
        design.bounds[look - 1], LOOKS[:look], design.bounds[:look], sides=sides
    )
    assert p_value == pytest.approx(design.alpha_spent[look - 1], rel=1e-7)


def test_results_of_both_signs_mirror_each_other():
    up = stagewise_interval(2.5, LOOKS[:3], DESIGN.bounds[:3])
    down = stagewise_interval(-2.5, LOOKS[:3], DESIGN.bounds[:3])
    assert (down.low, down.middle, down.high) == pytest.approx(
        (-up.high, -up.middle, -up.low), abs=1e-8
    )


def test_an_early_stop_is_shrunk_towards_0():
    z = 3.0
    found = stagewise_interval(z, LOOKS[:2], DESIGN.bounds[:2])
    assert found.low < found.middle < z / math.sqrt(0.5)
    assert found.low > 0.0


def test_huge_statistics_have_intervals_too():
    found = stagewise_interval(60.0, LOOKS[:2], DESIGN.bounds[:2])
    assert found.low < found.middle < found.high
    assert all(math.isfinite(end) for end in found)


@pytest.mark.parametrize(
    ("drift", "runs"),
    [
        (2.5, 150),
        pytest.param(0.0, 1500, marks=pytest.mark.slow),
        pytest.param(-4.0, 1500, marks=pytest.mark.slow),
    ],
)
def test_after_the_stop_the_interval_covers_and_the_middle_is_unbiased(drift: float, runs: int):
    rng = np.random.default_rng(5)
    steps = rng.standard_normal((runs, 4)) * 0.5 + drift * 0.25
    z = np.cumsum(steps, axis=1) / np.sqrt(LOOKS)
    covered = above = 0
    for row in z:
        look = next((k for k in range(4) if abs(row[k]) >= DESIGN.bounds[k]), 3)
        found = stagewise_interval(
            float(row[look]), LOOKS[: look + 1], DESIGN.bounds[: look + 1], alpha=0.1
        )
        covered += found.low <= drift <= found.high
        above += found.middle > drift
    assert abs(covered / runs - 0.9) <= 4.4 * math.sqrt(0.09 / runs)
    assert abs(above / runs - 0.5) <= 4.4 * math.sqrt(0.25 / runs)
