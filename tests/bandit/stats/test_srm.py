import pytest
from scipy.stats import chisquare

from bandit.errors import RecordError
from bandit.stats import srm


@pytest.mark.parametrize(
    ("counts", "shares", "p_value"),
    [
        # gbstats 0.8.0 (repository @ 8f1db445), check_srm; the second also scipy 1.17.1, chisquare
        ([5300, 4700], [0.5, 0.5], 1.9731752900753933e-09),
        ([4100, 3950, 2250], [0.4, 0.4, 0.2], 4.470719657702669e-06),
    ],
)
def test_srm_gives_the_peers_numbers(counts: list[int], shares: list[float], p_value: float):
    keys = "abc"[: len(counts)]
    got = srm(dict(zip(keys, counts, strict=True)), dict(zip(keys, shares, strict=True)))
    assert got.p_value == pytest.approx(p_value, rel=1e-7)
    assert got.verdict == "mismatch"


def test_a_healthy_split_is_fine_and_equals_scipys():
    got = srm({"a": 5010, "b": 4990}, {"a": 5000, "b": 5000})
    assert got.p_value == pytest.approx(chisquare([5010, 4990]).pvalue, rel=1e-12)
    assert (got.verdict, got.df, got.expected) == ("fine", 1, {"a": 5000.0, "b": 5000.0})


def test_a_variant_that_nobody_reached_does_not_hide():
    got = srm({"a": 5000}, {"a": 1, "b": 1})
    assert (got.verdict, got.observed) == ("mismatch", {"a": 5000, "b": 0})


def test_a_variant_without_a_share_costs_no_degree_of_freedom():
    # gbstats 0.8.0 keeps df = 2 in this case.
    got = srm({"a": 1010, "b": 966, "c": 0}, {"a": 1, "b": 1, "c": 0})
    assert (got.df, got.verdict) == (1, "fine")
    assert got.p_value == pytest.approx(chisquare([1010, 966]).pvalue, rel=1e-12)


def test_units_where_no_bucket_was_allocated_are_a_mismatch():
    got = srm({"a": 50, "b": 50, "gone": 1}, {"a": 1, "b": 1})
    assert (got.verdict, got.reason, got.p_value) == ("mismatch", "unallocated_units", None)


@pytest.mark.parametrize(
    ("counts", "shares", "reason"),
    [
        ({}, {"a": 1, "b": 1}, "no_units"),
        ({"a": 4, "b": 5}, {"a": 1, "b": 1}, "few_units"),
        ({"a": 90}, {"a": 1, "b": 0}, "one_variant"),
    ],
)
def test_what_can_not_be_tested_has_a_reason(counts: dict, shares: dict, reason: str):
    got = srm(counts, shares)
    assert (got.verdict, got.reason, got.p_value) == ("unknown", reason, None)


@pytest.mark.parametrize("shares", [{"a": 0, "b": 0}, {"a": -1, "b": 2}, {}])
def test_shares_that_allocate_nothing_are_refused(shares: dict):
    with pytest.raises(RecordError, match="must be at least 0 and not all 0"):
        srm({"a": 1}, shares)
