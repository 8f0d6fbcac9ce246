import math
from typing import Any

import pytest

from bandit.stats import Moments
from bandit.stats.sequential.ahead import anytime_outlook, anytime_power
from bandit.stats.sequential.asymptotic import critical_value, mixture_precision
from tests.bandit.stats.peers import cases, dataset, same


@cases("power_mid_experiment")
def test_the_outlook_of_a_sequence_is_the_peers(case: dict[str, Any]):
    rows, params = dataset(case), case["params"]
    c, t = (Moments.of(rows[v]["y"].tolist()) for v in ("control", "treatment"))
    # The peer's relative scale: the delta method on the ratio.
    variance = t.variance / t.n / c.mean**2 + c.variance * t.mean**2 / c.n / c.mean**4
    error, effect, n = math.sqrt(variance), params["target_mde_relative"], c.n + t.n
    tuned_for = params["sequential_tuning_parameter"]
    found = anytime_outlook(error, effect, units=n, tuned_for=tuned_for, exact=False)
    rho2 = mixture_precision(tuned_for, 0.05, exact=False)
    double = anytime_power(effect, error / math.sqrt(2), critical_value(2 * n, 0.05, rho2))
    got = {
        "power_now": found.power_now,
        "power_double": double,
        "scaling_factor": found.growth - 1.0,  # the peer counts the additional users only
        "additional_users": found.units_more,
    }
    same(got, case, case["expected"])


def test_the_units_said_give_the_power_wanted():
    found = anytime_outlook(0.3, 0.4, units=800, power_wanted=0.9)
    again = anytime_outlook(0.3 / math.sqrt(found.growth), 0.4, units=800 * found.growth)
    assert again.power_now == pytest.approx(0.9, abs=1e-6)


def test_without_an_effect_power_is_below_alpha():
    assert anytime_outlook(0.3, 0.0, units=800).power_now < 0.05


@pytest.mark.parametrize(
    ("error", "effect", "reason"),
    [(None, 1.0, "no_estimate"), (0.0, 1.0, "no_estimate"), (1.0, 0.0, "no_effect")],
)
def test_what_can_not_be_foreseen_has_a_reason(error: float | None, effect: float, reason: str):
    assert anytime_outlook(error, effect, units=100).reason == reason
