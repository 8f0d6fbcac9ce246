import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.stats.sequential.planned import planned_comparison
from bandit.stats.sequential.spending import Spending


@settings(deadline=None, max_examples=60)
@given(
    st.floats(-5, 5).filter(lambda x: abs(x) > 1e-2),
    st.floats(-5, 5),
    st.floats(1e-3, 1.0),
    st.sampled_from([(0.3,), (0.3, 0.6), (0.3, 0.6, 1.0)]),
    st.sampled_from(["two-sided", "greater", "less"]),
)
def test_bound_interval_p_value_and_both_scales_decide_alike(
    control: float, treatment: float, variance: float, fractions: tuple, side: Any
):
    look = planned_comparison(
        control,
        treatment,
        variance,
        variance,
        fractions,
        alternative=side,
        spending=Spending(kind="pocock"),
    )
    leaves_out = (look.effect_ci_low or -1) > 0 or (look.effect_ci_high or 1) < 0
    assert leaves_out == look.crossed
    gap = abs(look.p_value - look.alpha_spent)
    assert look.crossed == (look.p_value < look.alpha_spent) or gap < 1e-9
    if look.relative_reason is None:
        relative = (look.relative_ci_low or -1) > 0 or (look.relative_ci_high or 1) < 0
        assert relative == look.crossed
    assert look.finished == (look.crossed or fractions[-1] == 1.0)
    assert (look.final_effect is not None) == look.finished


def test_a_less_design_mirrors_a_greater_one():
    up = planned_comparison(5.0, 6.0, 0.05, 0.05, (0.4, 0.8), alternative="greater")
    down = planned_comparison(5.0, 4.0, 0.05, 0.05, (0.4, 0.8), alternative="less")
    assert (up.crossed, down.crossed) == (True, True)
    assert down.p_value == pytest.approx(up.p_value)
    assert down.final_effect == pytest.approx(-up.final_effect)
    assert down.final_ci_high == pytest.approx(-up.final_ci_low)
    assert down.final_ci_low is up.final_ci_high is None


@pytest.mark.parametrize(
    ("arguments", "reason", "relative_reason"),
    [
        ((1.0, 2.0, 0.0, 0.0, (0.5,)), "no_variance", "no_variance"),
        ((1.0, 2.0, 0.1, 0.1, (0.001,)), "nothing_to_spend", "nothing_to_spend"),
        ((0.0, 2.0, 0.1, 0.1, (0.5,)), None, "control_is_zero"),
        ((0.1, 2.0, 0.1, 0.1, (0.5,)), None, "control_near_zero"),
    ],
)
def test_what_can_not_be_given_has_a_reason(arguments: tuple, reason: Any, relative_reason: str):
    look = planned_comparison(*arguments)
    assert (look.reason, look.relative_reason) == (reason, relative_reason)
    assert (look.effect_ci_low is None) == (reason is not None)
    assert look.relative_ci_low is None
    assert not look.crossed or reason is None


def test_an_experiment_that_ends_early_spends_what_is_left():
    cut = planned_comparison(5.0, 5.4, 0.02, 0.02, (0.4, 0.7), last_look=True)
    going = planned_comparison(5.0, 5.4, 0.02, 0.02, (0.4, 0.7))
    assert cut.bound < going.bound
    assert (cut.finished, going.finished) == (True, False)


def test_looks_at_a_skewed_metric_alarm_at_most_as_planned():
    # Ten looks at 5,000 zero-inflated units per variant, no effect: on both scales ≤ 5 %.
    rng, runs, per_look = np.random.default_rng(11), 1500, 500
    alarms = 0
    fractions = tuple(k / 10 for k in range(1, 11))
    bounds = [planned_comparison(1.0, 1.0, 1.0, 1.0, fractions[:k]).bound for k in range(1, 11)]
    for _ in range(runs // 100):
        rows = np.where(
            rng.random((2, 100, 5000)) < 0.1, rng.lognormal(3.0, 1.0, (2, 100, 5000)), 0.0
        )
        n = np.arange(per_look, 5001, per_look)
        total = np.cumsum(rows, axis=2)[:, :, n - 1]
        squares = np.cumsum(rows**2, axis=2)[:, :, n - 1]
        variance = ((squares - total**2 / n) / (n - 1) / n).sum(axis=0)
        z = np.abs((total[1] - total[0]) / n) / np.sqrt(variance)
        alarms += int((z >= np.array(bounds)).any(axis=1).sum())
    assert alarms / runs <= 0.05 + 4.4 * math.sqrt(0.05 * 0.95 / runs)
