"""The peers' cases that are not in the two files: reproduced here, or not ours and why.

Not ours, of 135: `bootstrap_mean_tt` (resampling draws, and needs unit rows; Fieller's interval is
the one from sums), `bandit_bounded_sa` (another bet: ours, `bounded_sequence`, is exact too). The
four of the family `off_policy` are `bandit.ope`'s. `bandit/stats/PEERS.md` says which of our
functions answers what, family by family.
"""

import json
import math
from pathlib import Path

import pytest
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from bandit.errors import RecordError
from bandit.stats import (
    Design,
    JointMoments,
    Margin,
    Share,
    delta,
    difference_interval,
    e_lond,
    mean_of,
    outlook,
    score_statistic,
    shares_not_worse,
)
from bandit.stats.sequential import spending_design

PEERS = json.loads((Path(__file__).parents[2] / "data" / "ab_cases_a.json").read_text())

CONTROL, TREATMENT = Share(12_500, 250_000), Share(12_950, 250_100)


def test_online_false_discoveries_are_those_of_sequential_analysis():
    # online_fdr_elond_sa: sequential-analysis 0.4.0, OnlineFDR(.05).
    found = e_lond([120.0, 2.0, 900.0, 40.0, 5000.0, 700.0, 3.0, 20000.0])
    levels = [
        0.002675838545630043, 0.0005819102891470871, 0.0004956249397230357,
        0.0004121803029483666, 0.00034944348546739925, 0.0006045900341664855,
        0.0005319444218588295, 0.00047452254313193673,
    ]  # fmt: skip
    assert [one.level for one in found] == pytest.approx(levels, rel=1e-8)
    assert [t for t, one in enumerate(found, 1) if one.rejected] == [5, 8]


def test_online_levels_sum_to_at_most_alpha_and_what_has_no_e_value_spends_nothing():
    assert 0.01 < sum(one.level for one in e_lond([0.0] * 5000)) <= 0.05
    assert [one and one.rejected for one in e_lond([None, 1e9, None])] == [None, True, None]
    with pytest.raises(RecordError, match="must be at least 0"):
        e_lond([-1.0])


def test_power_with_a_prior_is_growthbooks():
    # midpower_prior_gbh: gbstats 0.8.0 @ 8f1db4456915, MidExperimentPower with variance .09.
    data = PEERS["datasets"]["revenue"]["data"]
    rows = [JointMoments.of_columns(data[arm]["y"]) for arm in ("control", "treatment")]
    _, error = delta(mean_of().estimate(*rows))
    units, z = sum(row.n for row in rows), Design(distribution="z")
    now = outlook(error, 0.25, units=units, design=z, prior_sd=0.3)
    double = outlook(error / math.sqrt(2), 0.25, units=2 * units, design=z, prior_sd=0.3)
    assert now.power_now == pytest.approx(0.07822385575400913, rel=1e-8)
    assert double.power_now == pytest.approx(0.2332342509371187, rel=1e-8)
    assert now.growth - 1.0 == pytest.approx(6.2841796875, rel=1e-3)
    assert now.units_more == pytest.approx(4901.66015625, rel=1e-3)
    with pytest.raises(ValueError, match="prior_sd is 0"):
        outlook(error, 0.25, units=units, prior_sd=0.0)


def test_size_of_a_group_sequential_design_is_rpacts():
    # rpact_n_means_0.3: rpact 3.3.4, getSampleSizeMeans(asOF 4 looks, .3, stDev = 3).
    design = spending_design((0.25, 0.5, 0.75, 1.0))
    fixed = 4 * ((ndtri(0.975) + ndtri(0.8)) * 3 / 0.3) ** 2
    assert design.inflation(0.8) * fixed == pytest.approx(3201.20431176305, rel=1e-4)
    assert design.expected_size(0.8) * fixed == pytest.approx(2633.27469915733, rel=1e-4)


def likeliest(at: float) -> float:
    """The control's share that is likeliest if the treatment's is higher by `at`, by its slope."""
    (x0, n0), (x1, n1) = CONTROL, TREATMENT
    return float(
        brentq(
            lambda r: x0 / r - (n0 - x0) / (1 - r) + x1 / (r + at) - (n1 - x1) / (1 - r - at),
            max(0.0, -at) + 1e-9,
            1.0 - max(0.0, at) - 1e-9,
            xtol=1e-16,
        )
    )


def z_of(r0: float, at: float) -> float:
    variance = r0 * (1 - r0) / CONTROL.n + (r0 + at) * (1 - r0 - at) / TREATMENT.n
    return (TREATMENT.rate - CONTROL.rate - at) / math.sqrt(variance)


def statsmodels_share(at: float) -> float:
    """The same by the closed form of statsmodels 0.15: `count0` stands where `nobs0` should."""
    (x0, n0), (x1, n1) = CONTROL, TREATMENT
    n, x = n0 + n1, x0 + x1
    l2 = ((n1 + 2 * n0) * at - n - x) / (3 * n)
    l1 = ((x0 * at - n - 2 * x0) * at + x) / n
    q = l2**3 - l1 * l2 / 2 + x0 * at * (1 - at) / n / 2
    p = math.copysign(math.sqrt(l2**2 - l1 / 3), q)
    return 2 * p * math.cos((math.pi + math.acos(q / p**3)) / 3) - l2


def test_score_test_against_a_margin_is_the_likelihoods_where_statsmodels_is_not():
    # prop_noninf_big_sm expects z = 34.52757885606683, p = 1.547e-261: its share is not likeliest.
    assert z_of(statsmodels_share(-0.02), -0.02) == pytest.approx(34.52757885606683, rel=1e-9)
    ours = score_statistic(CONTROL, TREATMENT, -0.02)
    assert ours == pytest.approx(z_of(likeliest(-0.02), -0.02), rel=1e-10)
    found = shares_not_worse(CONTROL, TREATMENT, Margin(0.02))
    assert found.p_value == pytest.approx(ndtr(-ours), rel=1e-9)
    assert 1e-261 < found.p_value < 1e-259


def test_score_interval_is_the_likelihoods_where_statsmodels_is_not():
    # prop_ci_diff_score_big_sm expects [0.00056111470674, 0.00299760963063].
    for end, value in zip((0.0005611147067406147, 0.0029976096306331434), (1, -1), strict=True):
        assert z_of(statsmodels_share(end), end) == pytest.approx(value * 1.959964, abs=2e-6)
    for end, value in zip(
        difference_interval(CONTROL, TREATMENT, kind="score"), (1, -1), strict=True
    ):
        assert z_of(likeliest(end), end) == pytest.approx(value * 1.959963984540054, rel=1e-8)
