import bisect
import math
import operator
from collections.abc import Callable

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


def ends_n(z: np.ndarray, look: int, end: str, passes: Callable[[float], bool]) -> int:
    """How many of ascending statistics of a look have an end that does not pass, as none below."""
    end_of = operator.attrgetter(end)
    return bisect.bisect_left(
        z,
        True,
        key=lambda at: passes(
            end_of(stagewise_interval(float(at), LOOKS[:look], DESIGN.bounds[:look], alpha=0.1))
        ),
    )


@pytest.mark.parametrize("drift", [2.5, 0.0, -4.0])
def test_after_the_stop_the_interval_covers_and_the_middle_is_unbiased(drift: float):
    # Among runs that stop at one look a larger statistic has a higher interval, so the ones that
    # cover lie together: a few dozen intervals tell of all.
    runs, rng = 10_000, np.random.default_rng(5)
    steps = rng.standard_normal((runs, 4)) * 0.5 + drift * 0.25
    z = np.cumsum(steps, axis=1) / np.sqrt(LOOKS)
    stops = np.abs(z) >= DESIGN.bounds
    looks = np.where(stops.any(axis=1), stops.argmax(axis=1), 3) + 1
    covered = above = 0
    covered = above = 0
    for look in range(1, 5):
        stopped = np.sort(z[looks == look, look - 1])
        covered += ends_n(stopped, look, "low", lambda low: low > drift)
        covered -= ends_n(stopped, look, "high", lambda high: high >= drift)
        above += stopped.size - ends_n(stopped, look, "middle", lambda middle: middle > drift)
    assert abs(covered / runs - 0.9) <= 4.4 * math.sqrt(0.09 / runs)
    assert abs(above / runs - 0.5) <= 4.4 * math.sqrt(0.25 / runs)


@pytest.mark.parametrize("look", [1, 2, 3, 4])
def test_a_larger_statistic_at_one_look_has_a_higher_interval(look: int):
    bound = DESIGN.bounds[look - 1] if look < 4 else 0.0
    found = [
        stagewise_interval(z, LOOKS[:look], DESIGN.bounds[:look], alpha=0.1)
        for z in (-bound - 1.0, -bound - 0.1, bound + 0.1, bound + 1.0)
    ]
    for ends in zip(*found, strict=True):
        assert list(ends) == sorted(set(ends))
