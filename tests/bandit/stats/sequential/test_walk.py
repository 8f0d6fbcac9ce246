import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bandit.stats.sequential.walk import Walk


def test_two_looks_have_the_bivariate_normals_chances():
    # Second implementation: scipy's bivariate normal with correlation √(t1/t2).
    t1, t2, c1, c2, drift = 0.3, 1.0, 2.4, 2.1, 1.5
    walk = Walk.start((t1, t2), drift)
    corr = math.sqrt(t1 / t2)
    joint = multivariate_normal([0, 0], [[1, corr], [corr, 1]])
    m1, m2 = drift * math.sqrt(t1), drift * math.sqrt(t2)

    def below_both(first: float, second: float) -> float:
        return float(joint.cdf([first - m1, second - m2]))

    inside = (below_both(c1, 40) - below_both(-c1, 40)) - (below_both(c1, c2) - below_both(-c1, c2))
    assert walk.step(t1, -c1, c1).above(t2, c2) == pytest.approx(inside, abs=1e-7)


def test_runs_are_neither_lost_nor_made():
    fractions = tuple((k / 40) ** 1.7 for k in range(1, 41))
    walk, gone = Walk.start(fractions, 2.0), 0.0
    for t in fractions:
        gone += walk.above(t, 2.8) + walk.below(t, -1.9)
        walk = walk.step(t, -1.9, 2.8)
        assert gone + walk.masses.sum() == pytest.approx(1.0, abs=1e-10)


def test_a_walk_that_everyone_left_stays_empty():
    walk = Walk.start((0.5, 1.0), 40.0).step(0.5, -1.0, 1.0)
    assert walk.masses.sum() == 0.0
    assert walk.above(1.0, 0.0) == 0.0


@pytest.mark.parametrize("fractions", [(), (0.0, 1.0), (0.5, 0.5), (0.5, 0.4), (0.5, np.inf)])
def test_looks_that_do_not_rise_are_refused(fractions: tuple):
    with pytest.raises(ValueError, match="must be finite and rise from 0"):
        Walk.start(fractions)
