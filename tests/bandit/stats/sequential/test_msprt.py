import math
from typing import Any

import pytest

from bandit.stats.sequential.msprt import log_likelihood_ratio, msprt_interval, msprt_p_value
from tests.bandit.stats.peers import cases, dataset, same


@cases("msprt")
def test_likelihood_ratios_are_the_peers(case: dict[str, Any]):
    rows, params = dataset(case), case["params"]
    got = {}
    for key in case["expected"]["likelihood_ratio_at"]:
        n = int(key)
        effect = rows["treatment"]["y"][:n].mean() - rows["control"]["y"][:n].mean()
        std_error = params["sigma"] * math.sqrt(2.0 / n)
        got[key] = math.exp(log_likelihood_ratio(float(effect), std_error, params["tau"]))
    same(got, case, case["expected"]["likelihood_ratio_at"])


def test_interval_and_p_value_say_the_same():
    for effect in (0.1, 0.5, 0.59, 0.6, 0.7, -0.8):
        low, high = msprt_interval(effect, 0.2, 0.4)
        assert (low > 0 or high < 0) == (msprt_p_value(effect, 0.2, 0.4) < 0.05)


def test_p_values_never_rise():
    assert msprt_p_value(0.0, 0.2, 0.4, earlier_p_value=0.03) == 0.03
    assert msprt_p_value(0.0, 0.2, 0.4) == 1.0


def test_a_huge_effect_does_not_overflow():
    assert msprt_p_value(1e6, 1.0, 1.0) == 0.0
    assert 0.0 < msprt_p_value(36.0, 1.0, 10.0) < 1e-250


@pytest.mark.parametrize("std_error", [0.0, -1.0, math.nan, math.inf])
def test_a_spread_that_is_none_is_refused(std_error: float):
    with pytest.raises(ValueError, match="std_error is"):
        log_likelihood_ratio(1.0, std_error, 1.0)
