import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.stats.sequential.asymptotic import (
    always_valid_p_value,
    critical_value,
    mixture_precision,
)
from bandit.stats.sequential.boundary import iterated_logarithm_margin
from bandit.stats.sequential.comparison import anytime_comparison
from tests.bandit.stats.peers import cases, pairs, same


@cases("asymptotic_cs")
def test_sequences_are_the_peers(case: dict[str, Any]):
    inputs, params, expected = case["inputs"], case["params"], case["expected"]
    if "at" in expected:
        for n, values in expected["at"].items():
            same(_ratio_look(case, int(n)), case, values | {"ratios": values["ratios"]})
    elif "half_width" in expected:
        rho2 = mixture_precision(params["tuning"], params["alpha"], exact=False)
        critical = critical_value(inputs["n"], params["alpha"], rho2)
        width = critical * math.sqrt(inputs["variance"] / inputs["n"])
        same({"half_width": width, "rho": math.sqrt(rho2)}, case, expected)
    else:
        same(_margins(inputs["t"], inputs["t_opt"], params["alpha"]), case, expected)


def _margins(n: float, tuned_for: float, alpha: float) -> dict[str, float]:
    exact = mixture_precision(tuned_for, alpha)
    near = mixture_precision(tuned_for, alpha, exact=False)
    return {
        "rho2_exact": exact,
        "rho2_approx": near,
        "margin_exact": critical_value(n, alpha, exact) / math.sqrt(n),
        "margin_approx": critical_value(n, alpha, near) / math.sqrt(n),
        "lil_margin": iterated_logarithm_margin(n, alpha),
    }


def _ratio_look(case: dict[str, Any], n: int) -> dict[str, Any]:
    """A ratio metric by the delta method within each variant, then ours on both scales."""
    means, variances = {}, {}
    for variant, rows in pairs(case, n).items():
        ratio = rows["m"].mean() / rows["d"].mean()
        spread = (rows["m"] - ratio * rows["d"]).var(ddof=1)
        means[variant] = float(ratio)
        variances[variant] = float(spread / rows["d"].mean() ** 2 / len(rows["m"]))
    look = anytime_comparison(
        means["control"],
        means["treatment"],
        variances["control"],
        variances["treatment"],
        n,
        tuned_for=case["params"]["tuned_for"],
        first_look=0.0,
        relative="log",
        exact=False,
    )
    return {
        "ratios": [means["treatment"], means["control"]],
        "difference": look.effect,
        "lower": look.effect_ci_low,
        "upper": look.effect_ci_high,
        "lift": look.relative_effect,
        "lift_lower": look.relative_ci_low,
        "lift_upper": look.relative_ci_high,
    }


@pytest.mark.parametrize(
    ("share", "ratio"),
    # Measured with drconfseq 0.1.0, to two digits.
    [(1.0, 1.55), (0.2, 1.72), (0.02, 3.4), (10.0, 1.65)],
)
def test_the_sequence_is_at_most_so_much_wider_than_a_fixed_interval(share: float, ratio: float):
    critical = critical_value(5000 * share, 0.05, mixture_precision(5000, 0.05))
    assert critical / 1.959963985 == pytest.approx(ratio, abs=0.05)
    assert share != 1.0 or critical / 1.959963985 <= 1.55


@settings(deadline=None)
@given(
    st.floats(-30, 30),
    st.floats(1, 1e6),
    st.sampled_from([0.2, 0.05, 1e-4]),
    st.sampled_from(["two-sided", "greater", "less"]),
)
def test_the_p_value_is_below_alpha_exactly_when_the_interval_leaves_out_0(
    statistic: float, n: float, alpha: float, alternative: Any
):
    rho2 = mixture_precision(1000, alpha, alternative=alternative)
    critical = critical_value(n, alpha, rho2, alternative=alternative)
    p_value = always_valid_p_value(statistic, n, rho2, alternative=alternative)
    leaves_out = {
        "two-sided": abs(statistic) > critical,
        "greater": statistic > critical,
        "less": statistic < -critical,
    }[alternative]
    assert (p_value < alpha) == leaves_out or p_value == pytest.approx(alpha, rel=1e-9)


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_p_values_keep_their_order_down_to_1e_minus_300(alternative: Any):
    rho2 = mixture_precision(5000, 0.05, alternative=alternative)
    found = [always_valid_p_value(z, 1e6, rho2, alternative=alternative) for z in (8, 20, 30, 37)]
    assert found == sorted(found, reverse=True)
    assert 1e-300 < found[-1] < 1e-290


def test_a_one_sided_sequence_is_tighter_on_its_side():
    one = critical_value(
        5000, 0.05, mixture_precision(5000, 0.05, alternative="greater"), alternative="greater"
    )
    assert one < critical_value(5000, 0.05, mixture_precision(5000, 0.05))


@pytest.mark.parametrize("alpha", [0.2, 0.3, 0.5, 0.9, 0.999])
def test_a_one_sided_sequence_at_half_and_more_decides_as_its_p_value(alpha: float):
    # Was refused, so that a report with a guardrail and alpha=0.5 ended in a ValueError.
    rho2 = mixture_precision(1000, alpha, alternative="greater")
    critical = critical_value(2000, alpha, rho2, alternative="greater")
    assert 0.0 < critical < 2.2
    on_it = always_valid_p_value(critical, 2000, rho2, alternative="greater")
    assert on_it == pytest.approx(alpha, rel=1e-9)
