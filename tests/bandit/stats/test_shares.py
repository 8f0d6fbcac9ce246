import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta

from bandit.stats.proportions import Share
from bandit.stats.shares import share_posterior
from tests.bandit.stats.peers import cases, dataset, same


@cases("bayesian_beta")
def test_shares_posteriors_are_the_peers(case: dict[str, Any]):
    rows, column = dataset(case), case["params"]["column"]
    control, treatment = (
        Share(int(rows[v][column].sum()), len(rows[v][column])) for v in ("control", "treatment")
    )
    found = share_posterior(control, treatment, prior=tuple(case["params"]["prior"]))
    chances = [1.0 - found.chance_to_win, found.chance_to_win]
    losses = [found.control_loss, found.treatment_loss]
    same({"best_arm_probabilities": chances, "expected_loss": losses}, case, case["expected"])


def test_share_posteriors_agree_with_draws():
    rng, draws = np.random.default_rng(12), 400_000
    found = share_posterior(Share(3, 40), Share(9, 55))
    c, t = beta(4, 38).rvs(draws, random_state=rng), beta(10, 47).rvs(draws, random_state=rng)
    wins = float((t > c).mean())
    assert found.chance_to_win == pytest.approx(wins, abs=4.4 * 0.5 / math.sqrt(draws))
    assert found.treatment_loss == pytest.approx(float(np.maximum(c - t, 0).mean()), rel=0.02)
    ends = np.quantile(t - c, [0.025, 0.975])
    assert (found.effect_ci_low, found.effect_ci_high) == pytest.approx(tuple(ends), abs=2e-3)
    ratio = np.quantile(t / c - 1, [0.025, 0.5, 0.975])
    got = (found.relative_ci_low, found.relative_effect, found.relative_ci_high)
    assert got == pytest.approx(tuple(ratio), rel=0.03)


@pytest.mark.parametrize(
    ("control", "treatment"),
    [
        (Share(0, 10), Share(0, 10)),
        (Share(0, 5), Share(50_000, 1_000_000)),
        (Share(1_000_000, 1_000_000), Share(1, 1)),
    ],
)
def test_lopsided_shares_have_numbers(control: Share, treatment: Share):
    found = share_posterior(control, treatment)
    assert 0.0 <= found.chance_to_win <= 1.0
    assert found.effect_ci_low <= found.effect <= found.effect_ci_high
    assert all(math.isfinite(end) for end in (found.relative_ci_low, found.relative_ci_high))
    assert found.control_loss - found.treatment_loss == pytest.approx(found.effect, abs=1e-9)
