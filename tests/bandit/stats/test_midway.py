import math

import pytest

from bandit.stats.joint import JointMoments
from bandit.stats.linear import mean_of
from bandit.stats.midway import outlook, outlook_of


def test_outlook_doubles_as_the_square_root():
    now, double = outlook(0.2, 0.5, units=10**9), outlook(0.2 / math.sqrt(2), 0.5, units=10**9)
    assert now.growth == pytest.approx(2 * double.growth) or double.growth == 1.0
    grown = outlook(0.2 / math.sqrt(now.growth), 0.5, units=10**9)
    assert grown.power_now == pytest.approx(0.8, abs=1e-6)
    assert outlook(0.01, 0.5, units=100).units_more == 0.0


def test_an_outlook_needs_an_estimate_and_an_effect():
    flat = JointMoments.of_columns([1.0, 1.0])
    assert outlook_of(mean_of().estimate(flat, flat), 0.1).reason == "no_estimate"
    assert outlook(0.2, 0.0, units=100).reason == "no_effect"
