import math
from typing import Any

import numpy as np
import pytest

from bandit.stats.sequential.boundary import (
    log_normal_mixture,
    normal_mixture_bound,
    optimal_rho,
    stitched_bound,
)
from tests.bandit.stats.peers import cases, same


@cases("uniform_boundary")
def test_boundaries_are_the_peers(case: dict[str, Any]):
    inputs, params = case["inputs"], case["params"]
    if "log_mixture" in case["expected"]:
        rho = optimal_rho(params["v_opt"], params["alpha_opt"])
        got = {"log_mixture": log_normal_mixture(inputs["s"], inputs["v"], rho)}
    elif "v_opt" in params:
        rho = optimal_rho(params["v_opt"], params["alpha"])
        got = {"bound": normal_mixture_bound(inputs["v"], params["alpha"], rho)}
    else:
        got = {"bound": stitched_bound(inputs["v"], params["alpha"], params["v_min"])}
    same(got, case, case["expected"])


@pytest.mark.parametrize("one_sided", [False, True])
@pytest.mark.parametrize("alpha", [0.3, 0.05, 1e-6, 1e-300])
def test_the_mixture_is_one_over_alpha_on_its_boundary(alpha: float, one_sided: bool):
    bound = normal_mixture_bound(40.0, alpha, 7.0, one_sided=one_sided)
    reached = log_normal_mixture(bound, 40.0, 7.0, one_sided=one_sided)
    assert reached == pytest.approx(-math.log(alpha), rel=1e-9)


@pytest.mark.parametrize("alpha", [0.2, 0.05, 1e-9, 1e-200])
def test_exact_tuning_is_the_minimum_of_the_boundary(alpha: float):
    best = optimal_rho(100.0, alpha, exact=True)
    around = [normal_mixture_bound(100.0, alpha, best * k) for k in (0.99, 1.0, 1.01)]
    assert around[1] == min(around)


def test_the_approximate_tuning_costs_less_than_a_ten_thousandth():
    exact, near = (optimal_rho(100.0, 0.05, exact=e) for e in (True, False))
    widths = normal_mixture_bound(100.0, 0.05, near) / normal_mixture_bound(100.0, 0.05, exact)
    assert 1.0 < widths < 1.0001 * 1.01


@pytest.mark.parametrize("one_sided", [False, True])
def test_walks_cross_with_at_most_alpha(one_sided: bool):
    rng = np.random.default_rng(7)
    runs, steps, alpha = 2000, 2000, 0.1
    rho = optimal_rho(300.0, 0.2 if one_sided else 0.1)
    bound = np.array(
        [normal_mixture_bound(v, alpha, rho, one_sided=one_sided) for v in range(1, steps + 1)]
    )
    walks = np.cumsum(rng.standard_normal((runs, steps)), axis=1)
    crossed = ((walks if one_sided else np.abs(walks)) >= bound).any(axis=1).mean()
    assert 0.02 < crossed < alpha + 4.4 * math.sqrt(alpha * (1 - alpha) / runs)


@pytest.mark.parametrize(("v_opt", "alpha"), [(0.0, 0.05), (1.0, 0.0), (1.0, 1.0), (math.nan, 0.5)])
def test_tuning_refuses_what_has_no_optimum(v_opt: float, alpha: float):
    with pytest.raises(ValueError, match="must be"):
        optimal_rho(v_opt, alpha)
