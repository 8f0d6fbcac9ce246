import itertools
import math
from typing import Any

import pytest

from bandit.stats.exact import LARGEST, exact_p_value, small_counts
from bandit.stats.proportions import Share


def test_fishers_p_value_is_the_hypergeometric_sum():
    # The lady tasting tea, Fisher (1935): 3 of 4 right is 17/35 + 17/35.
    assert exact_p_value(Share(1, 4), Share(3, 4), "fisher") == pytest.approx(34 / 70)
    greater = exact_p_value(Share(1, 4), Share(3, 4), "fisher", "greater")
    assert greater == pytest.approx(17 / 70)


def test_barnards_p_value_is_the_papers():
    # Barnard (1945) as in Mehta & Senchaudhuri (2003): 7 of 15 against 12 of 15, p = 0.034 of
    # the one-sided Wald-pooled statistic.
    found = exact_p_value(Share(7, 15), Share(12, 15), "barnard", "greater")
    assert found == pytest.approx(0.0341, abs=5e-4)
    fisher = exact_p_value(Share(7, 15), Share(12, 15), "fisher", "greater")
    assert fisher == pytest.approx(0.06406, abs=5e-5)


@pytest.mark.parametrize("method", ["fisher", "barnard", "boschloo"])
def test_exact_tests_reject_a_true_null_at_most_at_alpha(method: Any):
    # Exactly, by summing over all tables of 6 and 7 units.
    n, m, alpha = 6, 7, 0.05
    rejected = [
        (k, j)
        for k, j in itertools.product(range(n + 1), range(m + 1))
        if exact_p_value(Share(k, n), Share(j, m), method) < alpha
    ]
    for p in (0.1, 0.3, 0.5, 0.8):
        level = math.fsum(
            math.comb(n, k) * math.comb(m, j) * p ** (k + j) * (1 - p) ** (n + m - k - j)
            for k, j in rejected
        )
        assert level <= alpha + 1e-9


@pytest.mark.parametrize(
    ("control", "treatment"),
    [
        (Share(0, 10), Share(0, 12)),
        (Share(10, 10), Share(12, 12)),
        (Share(0, 1), Share(1, 1)),
        (Share(0, 25), Share(25, 25)),
    ],
)
def test_the_edges_of_the_table_have_numbers(control: Share, treatment: Share):
    found = small_counts(control, treatment)
    assert 0.0 < found.p_value <= 1.0
    assert -1.0 <= found.effect_ci_low <= found.effect <= found.effect_ci_high <= 1.0
    assert (found.relative_effect is None) == (control.successes == 0)
    assert found.relative_reason == ("control_is_zero" if control.successes == 0 else None)


def test_the_alternatives_face_the_treatment():
    control, treatment = Share(2, 20), Share(9, 20)
    for method in ("fisher", "barnard", "boschloo"):
        p = {
            side: exact_p_value(control, treatment, method, side)  # type: ignore[arg-type]
            for side in ("greater", "less", "two-sided")
        }
        assert p["greater"] < p["two-sided"] < p["less"]


def test_tables_too_large_for_barnard_are_refused_and_fishers_are_not():
    control, treatment = Share(10, LARGEST), Share(20, LARGEST)
    with pytest.raises(ValueError, match=f"must be at most {LARGEST}"):
        small_counts(control, treatment)
    assert small_counts(control, treatment, method="fisher").p_value < 0.1
