import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from bandit.stats.ranks import mann_whitney
from tests.bandit.stats.peers import cases, dataset, same

VALUES = st.lists(st.integers(0, 6), min_size=2, max_size=30)


@cases("rank_test")
def test_mann_whitney_is_the_peers(case: dict[str, Any]):
    rows = dataset(case)
    found = mann_whitney(
        rows["control"]["y"], rows["treatment"]["y"], continuity=case["params"]["continuity"]
    )
    # ClickHouse gives the U of the first sample, the control.
    u = found.control_n * found.treatment_n - found.u
    same({"statistic": u, "p_value": found.p_value}, case, case["expected"])


@settings(deadline=None)
@given(VALUES, VALUES, st.sampled_from(["two-sided", "greater", "less"]), st.booleans())
def test_mann_whitney_equals_scipys(control: list, treatment: list, side: Any, continuity: bool):
    found = mann_whitney(control, treatment, alternative=side, continuity=continuity)
    if found.reason is not None:
        assert len({*control, *treatment}) == 1
        return
    theirs = mannwhitneyu(
        treatment, control, use_continuity=continuity, alternative=side, method="asymptotic"
    )
    assert found.u == theirs.statistic
    if side == "two-sided" or abs(found.statistic) > 1e-12:
        assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert 0.0 <= found.ci_low <= found.superiority <= found.ci_high <= 1.0


def test_superiority_is_the_share_of_pairs_by_counting():
    control, treatment = [1.0, 2.0, 2.0, 7.0], [2.0, 5.0, 9.0]
    wins = sum((t > c) + 0.5 * (t == c) for t in treatment for c in control)
    assert mann_whitney(control, treatment).superiority == pytest.approx(wins / 12)


def test_samples_that_do_not_overlap_have_an_interval():
    found = mann_whitney([1, 2, 3, 4], [5, 6, 7, 8])
    assert (found.superiority, found.ci_high) == (1.0, 1.0)
    assert 0.4 < found.ci_low < 0.9
    mirrored = mann_whitney([5, 6, 7, 8], [1, 2, 3, 4])
    assert mirrored.ci_high == pytest.approx(1.0 - found.ci_low)


@pytest.mark.parametrize(
    ("control", "treatment", "reason"),
    [([], [1.0], "empty_variant"), ([1.0], [], "empty_variant"), ([2.0] * 3, [2.0], "no_variance")],
)
def test_what_can_not_be_given_has_a_reason(control: list, treatment: list, reason: str):
    found = mann_whitney(control, treatment)
    assert (found.reason, found.p_value, found.ci_low) == (reason, None, None)


def test_one_unit_each_has_numbers():
    found = mann_whitney([1.0], [2.0])
    assert found.p_value == 1.0
    assert found.ci_low < 0.5


def test_values_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="must be finite"):
        mann_whitney([math.nan], [1.0])


def test_the_interval_covers_on_a_skewed_metric():
    # Truth by symmetry of log-normals shifted by ½: Φ(½/√2).
    rng, runs, covered = np.random.default_rng(8), 600, 0
    truth = 0.5 * (1 + math.erf(0.5 / 2))
    for _ in range(runs):
        found = mann_whitney(rng.lognormal(0, 1, 60), rng.lognormal(0.5, 1, 40))
        covered += found.ci_low <= truth <= found.ci_high
    assert abs(covered / runs - 0.95) <= 4.4 * math.sqrt(0.95 * 0.05 / runs)
