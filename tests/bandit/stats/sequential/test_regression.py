import math
from typing import Any

import numpy as np
import pytest

from bandit.stats.estimate import Estimate
from bandit.stats.sandwich import regression_of
from bandit.stats.sequential.regression import (
    anytime_coefficient,
    log_bayes_factor_t,
    t_radius,
    z_radius,
)
from tests.bandit.stats.peers import cases, dataset, same


def ols(case: dict[str, Any]) -> tuple[Estimate, int, int]:
    """What the case regresses, its units and its coefficients."""
    names = ["y", *case["params"]["covariates"]]
    rows = [np.column_stack([arm[x] for x in names]) for arm in dataset(case).values()]
    errors = case["params"]["cov_type"] or "classical"
    return regression_of(*rows, errors=errors), sum(map(len, rows)), len(names) + 1


@cases("anytime_linear_model")
def test_anytime_regressions_are_the_peers(case: dict[str, Any]):
    params = case["params"]
    if case["dataset"] is None:
        n, k = case["inputs"]["n"], case["inputs"]["coefficients"]
        got = {
            "t_radius": t_radius(n, n - k, params["alpha"], params["g"]),
            "z_radius": z_radius(n, params["alpha"], params["g"]),
        }
        same(got, case, case["expected"])
        return
    estimate, n, k = ols(case)
    found = anytime_coefficient(
        estimate.effect, estimate.std_error, n, k, alpha=params["alpha"], g=params["g"]
    )
    got = {key: getattr(found, key) for key in ("estimate", "statistic", "p_value")}
    got |= {"se": found.std_error, "ci_low": found.ci_low, "ci_high": found.ci_high}
    same(got, case, case["expected"])


@pytest.mark.parametrize("g", [0.5, 1.0, 100.0])
@pytest.mark.parametrize("n", [1000, 10**5, 10**8])
def test_the_martingale_is_one_over_alpha_on_the_radius(n: int, g: float):
    radius = t_radius(n, n - 3, 0.05, g)
    if radius is not None:
        assert log_bayes_factor_t(radius, n, n - 3, g) == pytest.approx(-math.log(0.05), rel=1e-6)
        assert radius == pytest.approx(z_radius(n, 0.05, g), rel=3.0 / math.sqrt(n))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((1.0, 0.1, 3, 3), "too_few_units"),
        ((1.0, 0.1, 4, 3), "too_few_units"),
        ((1.0, 0.0, 100, 3), "no_variance"),
    ],
)
def test_what_can_not_be_given_has_a_reason(arguments: tuple, reason: str):
    found = anytime_coefficient(*arguments, g=100.0)
    assert found.reason == reason
    assert found.ci_low is found.ci_high is None


def test_peeking_at_a_normal_mean_rejects_at_most_at_alpha():
    rng, runs, steps = np.random.default_rng(6), 1000, 500
    rows = rng.standard_normal((runs, steps))
    n = np.arange(1, steps + 1)
    mean = rows.cumsum(axis=1) / n
    variance = ((rows**2).cumsum(axis=1) - n * mean**2)[:, 4:] / (n[4:] - 1)
    t = mean[:, 4:] / np.sqrt(variance / n[4:])
    radius = [t_radius(int(k), int(k) - 1, 0.1, 30.0) for k in n[4:]]
    crossed = np.abs(t) > [math.inf if r is None else r for r in radius]
    assert 0.01 < crossed.any(axis=1).mean() <= 0.1 + 4.4 * math.sqrt(0.09 / runs)
