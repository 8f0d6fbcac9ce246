import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from bandit.errors import RecordError
from bandit.stats.sequential.mismatch import log_dirichlet_factor, sequential_srm
from tests.bandit.stats.peers import cases, dataset, same

HALVES = {"a": 1, "b": 1}


@cases("srm_sequential")
def test_bayes_factors_are_the_peers(case: dict[str, Any]):
    x = dataset(case)["x"]
    arms = (np.resize(x, 2000) < 0.53).astype(int)
    p_value, found = 1.0, {}
    for n in range(1, 2001):
        ones = int(arms[:n].sum())
        got = sequential_srm(
            {"a": n - ones, "b": ones},
            HALVES,
            concentration=case["params"]["concentration"],
            earlier_p_value=p_value,
        )
        p_value = got.p_value
        found[str(n)] = {"log_e_value": got.log_bayes_factor, "p_value": got.p_value}
    for n, values in case["expected"]["at"].items():
        same(found[n], case, values)


def test_the_factor_has_mean_1_when_units_arrive_as_allocated():
    # By summing over every count: the definition of an e-value.
    allocated = {"a": 0.3, "b": 0.7}
    mean = math.fsum(
        math.comb(40, k)
        * 0.3**k
        * 0.7 ** (40 - k)
        * math.exp(log_dirichlet_factor({"a": k, "b": 40 - k}, allocated, 10.0))
        for k in range(41)
    )
    assert mean == pytest.approx(1.0, rel=1e-10)


def daily(rng: np.random.Generator, share: float, per_day: int, runs: int) -> np.ndarray:
    """Units in the first variant after each of 28 days, `(runs, 28)`."""
    return rng.binomial(per_day, share, size=(runs, 28)).cumsum(axis=1)


def found_by_day_28(counts: np.ndarray, per_day: int) -> tuple[int, int]:
    """Runs in which the sequence at .05, and chi-square at .001, alarm on some day."""
    ours = theirs = 0
    for run in counts:
        totals = per_day * np.arange(1, 29)
        ours += any(
            sequential_srm({"a": int(k), "b": int(n - k)}, HALVES).verdict == "mismatch"
            for k, n in zip(run, totals, strict=True)
        )
        z = np.abs(2 * run - totals) / np.sqrt(totals)
        theirs += bool((z > 3.2905).any())  # chi-square at .001
    return ours, theirs


def test_daily_looks_rarely_alarm_and_find_as_much_as_chi_square_at_a_thousandth():
    rng, runs = np.random.default_rng(28), 400
    healthy, _ = found_by_day_28(daily(rng, 0.5, 500, runs), 500)
    assert healthy / runs <= 0.015 + 4.4 * math.sqrt(0.015 * 0.985 / runs)
    ours, theirs = found_by_day_28(daily(rng, 0.51, 500, runs), 500)
    assert ours >= theirs > 0
    assert ours / runs == pytest.approx(0.348, abs=4.4 * math.sqrt(0.348 * 0.652 / runs))


def test_a_large_mismatch_agrees_with_chi_square():
    got = sequential_srm({"a": 5600, "b": 4400}, HALVES)
    assert got.p_value < 1e-25
    assert chisquare([5600, 4400]).pvalue < got.p_value
    assert got.shares == {"a": 0.56, "b": 0.44}


@pytest.mark.parametrize(
    ("counts", "weights", "verdict", "reason"),
    [
        ({}, HALVES, "unknown", "no_units"),
        ({"a": 90}, {"a": 1, "b": 0}, "unknown", "one_variant"),
        ({"a": 50, "gone": 1}, HALVES, "mismatch", "unallocated_units"),
        ({"a": 500}, HALVES, "mismatch", None),
        ({"a": 3, "b": 3, "c": 0}, {"a": 1, "b": 1, "c": 0}, "fine", None),
    ],
)
def test_every_count_has_a_verdict(counts: dict, weights: dict, verdict: str, reason: Any):
    got = sequential_srm(counts, weights)
    assert (got.verdict, got.reason) == (verdict, reason)


def test_a_million_units_keep_their_digits():
    got = sequential_srm({"a": 10_000_000, "b": 10_000_000}, HALVES)
    # Stirling by hand: ½·log(c/(c + n)) for an exact split.
    assert got.log_bayes_factor == pytest.approx(0.5 * math.log(1000 / 20_001_000), abs=1e-3)


@pytest.mark.parametrize("weights", [{"a": 0, "b": 0}, {"a": -1, "b": 2}, {}])
def test_weights_that_allocate_nothing_are_refused(weights: dict):
    with pytest.raises(RecordError, match="must be at least 0 and not all 0"):
        sequential_srm({"a": 1}, weights)
