import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.stats.fieller import relative_interval
from bandit.stats.sequential.asymptotic import critical_value, mixture_precision
from bandit.stats.sequential.comparison import anytime_comparison
from bandit.stats.sequential.pair import log_ratio_interval

SPREADS = st.floats(1e-6, 10.0)


@settings(deadline=None)
@given(
    st.floats(-50, 50).filter(lambda x: abs(x) > 1e-3),
    st.floats(-50, 50),
    SPREADS,
    SPREADS,
    st.floats(-0.9, 0.9),
    st.sampled_from(["two-sided", "greater", "less"]),
)
def test_both_scales_decide_alike(
    control: float, treatment: float, v_c: float, v_t: float, correlation: float, side: Any
):
    covariance = correlation * math.sqrt(v_c * v_t)
    look = anytime_comparison(
        control, treatment, v_c, v_t, 2000, covariance=covariance, alternative=side
    )
    absolute = (look.effect_ci_low or -1) > 0 or (look.effect_ci_high or 1) < 0
    assert absolute == (look.p_value < 0.05)
    if look.relative_reason is not None:
        assert look.relative_ci_low is look.relative_ci_high is None
        return
    ends = [end for end in (look.relative_ci_low, look.relative_ci_high) if end is not None]
    assert len(ends) == (2 if side == "two-sided" else 1)
    relative = (look.relative_ci_low or -1) > 0 or (look.relative_ci_high or 1) < 0
    margin = min(abs(end) for end in ends)
    assert relative == absolute or margin < 1e-6


def test_the_relative_interval_of_covarying_estimates_holds_what_the_test_does_not_reject():
    # The definition: at each end, treatment − (1 + δ)·control is just rejected.
    c, t, v_c, v_t, k, q = 5.0, 6.0, 0.2, 0.3, 0.1, 2.5
    for delta in relative_interval(c, t, v_c, v_t, q, k):
        variance = v_t + (1 + delta) ** 2 * v_c - 2 * (1 + delta) * k
        assert abs(t - (1 + delta) * c) == pytest.approx(q * math.sqrt(variance), rel=1e-10)


@pytest.mark.parametrize(
    ("arguments", "reason", "relative_reason"),
    [
        ((1.0, 2.0, 0.1, 0.1, 50), "few_units", "few_units"),
        ((1.0, 2.0, 0.0, 0.0, 500), "no_variance", "no_variance"),
        ((0.0, 2.0, 0.1, 0.1, 500), None, "control_is_zero"),
        ((0.1, 2.0, 0.1, 0.1, 500), None, "control_near_zero"),
        ((0.0, 0.0, 0.0, 0.0, 500), "no_variance", "control_is_zero"),
    ],
)
def test_what_can_not_be_given_has_a_reason(
    arguments: tuple, reason: str | None, relative_reason: str
):
    look = anytime_comparison(*arguments)
    assert (look.reason, look.relative_reason) == (reason, relative_reason)
    assert (look.effect_ci_low is None) == (reason is not None)
    assert look.relative_ci_low is None


def test_a_huge_mean_keeps_its_digits():
    near, far = (anytime_comparison(m, m + 0.5, 0.01, 0.01, 2000) for m in (0.0, 1e9))
    assert far.effect_ci_low == pytest.approx(near.effect_ci_low, rel=1e-6)
    assert far.relative_ci_low == pytest.approx(near.effect_ci_low / 1e9, rel=1e-6)


def test_p_values_never_rise_between_looks():
    first = anytime_comparison(10.0, 11.0, 0.02, 0.02, 1000)
    second = anytime_comparison(10.0, 10.0, 0.01, 0.01, 2000, earlier_p_value=first.p_value)
    assert second.p_value == first.p_value < 0.05


@pytest.mark.parametrize(
    "bad",
    [
        {"n": 0},
        {"alpha": 1.0},
        {"control_variance": -1.0},
        {"treatment": math.nan},
        {"covariance": math.inf},
    ],
)
def test_numbers_that_no_estimate_has_are_refused(bad: dict):
    fine = {"control": 1.0, "treatment": 1.0, "control_variance": 1.0, "treatment_variance": 1.0}
    with pytest.raises(ValueError, match="must be"):
        anytime_comparison(**fine | {"n": 100} | bad)


def revenue(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Zero-inflated: one in ten pays, log-normally."""
    pays = rng.random(size) < 0.1
    return np.where(pays, rng.lognormal(3.0, 1.0, size), 0.0)


def conversion(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    return (rng.random(size) < 0.05).astype(float)


def normal(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    return 10.0 + 3.0 * rng.standard_normal(size)


DRAWS = {f.__name__: f for f in (normal, conversion, revenue)}
PAIRS = 5000
LOOKS = np.arange(100, PAIRS + 1)


def false_alarms(draw: Any, runs: int, seed: int, batch: int = 100) -> dict[str, float]:
    """Share of A/A runs that any look after any pair from 100 to 5,000 calls different."""
    rng = np.random.default_rng(seed)
    n = LOOKS.astype(float)
    rho2 = mixture_precision(5000, 0.05)
    q = np.array([critical_value(2 * k, 0.05, rho2) for k in n])
    alarms = {"absolute": 0, "log": 0, "delta": 0, "fieller": 0}
    for _ in range(runs // batch):
        means, variances = [], []
        for _ in range(2):
            rows = draw(rng, (batch, PAIRS))
            total = np.cumsum(rows, axis=1)[:, 99:]
            squares = np.cumsum(rows**2, axis=1)[:, 99:]
            means.append(total / n)
            variances.append((squares - total**2 / n) / (n - 1) / n)
        (c, t), (v_c, v_t) = means, variances
        with np.errstate(divide="ignore", invalid="ignore"):
            absolute = np.abs(t - c) > q * np.sqrt(v_c + v_t)
            # Fieller: 0 is outside, and the set has two ends only where c² > q²v_c.
            fieller = absolute & (c**2 > q**2 * v_c)
            alarms["log"] += int(
                (np.abs(np.log(t / c)) > q * np.sqrt(v_t / t**2 + v_c / c**2)).any(axis=1).sum()
            )
            alarms["delta"] += int(
                (np.abs(t / c - 1) > q * np.sqrt(v_t / c**2 + v_c * t**2 / c**4)).any(axis=1).sum()
            )
        alarms["absolute"] += int(absolute.any(axis=1).sum())
        alarms["fieller"] += int(fieller.any(axis=1).sum())
    return {name: count / runs for name, count in alarms.items()}


def test_peeking_after_every_pair_keeps_its_level_on_both_scales_where_the_delta_method_does_not():
    runs = 300
    found = false_alarms(revenue, runs, seed=20)
    slack = 4.4 * math.sqrt(0.05 * 0.95 / runs)
    assert max(found["absolute"], found["fieller"], found["log"]) <= 0.05 + slack
    assert found["delta"] > 0.05 + slack


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWS)
def test_peeking_after_every_pair_keeps_its_level_in_the_long_run(name: str):
    runs = 2000
    found = false_alarms(DRAWS[name], runs, seed=21)
    slack = 4.4 * math.sqrt(0.05 * 0.95 / runs)
    assert max(found["absolute"], found["fieller"]) <= 0.05
    assert found["log"] <= 0.05 + slack
    assert name != "revenue" or found["delta"] > 0.1


def test_the_log_interval_does_not_collapse_when_the_treatment_is_low_by_chance():
    low, high = log_ratio_interval(10.0, 2.0, 4.0, 1.0, 3.0)
    assert low > -1.0
    assert high > 0.0
    assert log_ratio_interval(10.0, -2.0, 4.0, 1.0, 3.0) is None
