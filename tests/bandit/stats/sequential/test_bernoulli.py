import math
from typing import Any

import numpy as np
import pytest

from bandit.stats.sequential.bernoulli import (
    bernoulli_sequence,
    log_beta_binomial,
    quantile_count_bound,
    quantile_sequence,
)
from tests.bandit.stats.peers import cases, same


@cases("bernoulli_cs")
def test_share_sequences_are_the_peers(case: dict[str, Any]):
    low, high = bernoulli_sequence(
        case["inputs"]["successes"],
        case["inputs"]["n"],
        alpha=case["params"]["alpha"],
        tuned_for=case["params"]["t_opt"],
    )
    same({"ci_low": low, "ci_high": high}, case, case["expected"])


@cases("quantile_cs")
def test_quantile_bounds_are_the_peers(case: dict[str, Any]):
    inputs = case["inputs"]
    bound = quantile_count_bound(inputs["p"], inputs["t"], inputs["alpha"], inputs["t_opt"])
    same({"bound": bound}, case, case["expected"])


def test_the_martingale_has_mean_1_under_its_share():
    mean = math.fsum(
        math.comb(30, k) * 0.2**k * 0.8 ** (30 - k) * math.exp(log_beta_binomial(k, 30, 0.2, 3.0))
        for k in range(31)
    )
    assert mean == pytest.approx(1.0, rel=1e-10)


@pytest.mark.parametrize(("k", "n"), [(0, 20), (20, 20), (0, 0), (1, 1), (0, 10**6), (7, 10**6)])
def test_extreme_counts_have_intervals(k: int, n: int):
    low, high = bernoulli_sequence(k, n)
    assert 0.0 <= low <= (k / n if n else 1.0) <= high <= 1.0 or n == 0
    assert (low == 0.0) == (k == 0 or n < 5)
    assert n < 10**6 or high < 1e-4


def test_an_interval_ends_where_the_martingale_is_one_over_alpha():
    low, high = bernoulli_sequence(40, 500, alpha=0.01)
    mirrored = bernoulli_sequence(460, 500, alpha=0.01)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), rel=1e-9)
    assert low < 0.08 < high


def test_more_successes_than_trials_are_refused():
    with pytest.raises(ValueError, match="must be 0 to n"):
        bernoulli_sequence(5, 4)


def test_peeking_at_a_rare_share_leaves_it_out_at_most_at_alpha():
    rng, runs, share = np.random.default_rng(2), 400, 0.05
    looks = range(20, 1001, 20)
    hits = rng.random((runs, 1000)) < share
    counts = hits.cumsum(axis=1)
    seen = {
        (k, n): not (lambda ends: ends[0] <= share <= ends[1])(
            bernoulli_sequence(k, n, alpha=0.1, tuned_for=300)
        )
        for n in looks
        for k in set(counts[:, n - 1].tolist())
    }
    missed = sum(any(seen[int(run[n - 1]), n] for n in looks) for run in counts)
    assert missed / runs <= 0.1 + 4.4 * math.sqrt(0.09 / runs)


def test_peeking_at_a_quantile_leaves_it_out_at_most_at_alpha():
    rng, runs, level = np.random.default_rng(4), 200, 0.9
    truth = -math.log(1 - level)  # of the exponential
    missed = 0
    for _ in range(runs):
        values = rng.exponential(size=1000)
        for n in range(50, 1001, 50):
            low, high = quantile_sequence(np.sort(values[:n]).tolist(), level, alpha=0.1)
            if (low is not None and truth < low) or (high is not None and truth > high):
                missed += 1
                break
    assert missed / runs <= 0.1 + 4.4 * math.sqrt(0.09 / runs)


def test_a_quantile_of_equal_values_is_that_value():
    assert quantile_sequence([3.0] * 500, 0.5) == (3.0, 3.0)
    assert quantile_sequence([], 0.5) == (None, None)


@pytest.mark.parametrize("level", [0.0, 1.0, math.nan])
def test_levels_that_are_no_quantile_are_refused(level: float):
    with pytest.raises(ValueError, match="level is"):
        quantile_sequence([1.0], level)
