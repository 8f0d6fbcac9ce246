import math

import pytest
from scipy.stats import beta, norm

from bandit.stats.posterior import best_chances, chance_at_most, expected_losses


def test_two_normals_have_the_closed_forms():
    a, b = norm(0.3, 0.2), norm(0.1, 0.4)
    gap, sd = 0.2, math.hypot(0.2, 0.4)
    assert best_chances([a, b])[0] == pytest.approx(norm.cdf(gap / sd), abs=1e-10)
    loss = sd * norm.pdf(gap / sd) - gap * norm.sf(gap / sd)
    assert expected_losses([a, b])[0] == pytest.approx(loss, abs=1e-10)


def test_integer_betas_have_the_closed_form():
    # Evan Miller's sum for integer parameters.
    a, b, c, d = 5, 9, 7, 8
    lgamma = math.lgamma
    log_beta = lambda x, y: lgamma(x) + lgamma(y) - lgamma(x + y)  # noqa: E731
    wins = math.fsum(
        math.exp(log_beta(a + i, b + d) - math.log(d + i) - log_beta(1 + i, d) - log_beta(a, b))
        for i in range(c)
    )
    assert best_chances([beta(a, b), beta(c, d)])[1] == pytest.approx(wins, abs=1e-10)


def test_a_needle_beside_a_haystack_is_not_missed():
    chances = best_chances([norm(0.0, 1.0), norm(0.5, 1e-9)])
    assert chances[1] == pytest.approx(norm.cdf(0.5), abs=1e-7)
    moved = chance_at_most(norm(0, 1), norm(0, 1e-9), lambda x: x + 1.0, lambda x: x - 1.0)
    assert moved == pytest.approx(norm.cdf(1.0), abs=1e-7)


def test_chances_sum_to_1_and_equals_share():
    assert best_chances([beta(3, 4)] * 4) == pytest.approx([0.25] * 4)
    assert sum(best_chances([beta(1, 9), beta(2, 3), beta(40, 2)])) == pytest.approx(1.0)
