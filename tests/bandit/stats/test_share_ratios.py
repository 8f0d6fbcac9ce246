import itertools

import pytest

from bandit.stats.proportions import Share, difference_interval, share_interval
from bandit.stats.share_ratios import odds_ratio_interval, ratio_interval

MANY = Share(105, 400), Share(100, 380)
FEW = Share(4, 30), Share(3, 25)


@pytest.mark.parametrize(
    ("shares", "interval", "kind", "expected"),
    [
        (MANY, ratio_interval, "log", (0.7924474455131689, 1.2682466432143966)),
        (MANY, ratio_interval, "log_adjusted", (0.7931559819119497, 1.2675477213661055)),
        (MANY, odds_ratio_interval, "logit", (0.7293704367131446, 1.3803881260654367)),
        (MANY, odds_ratio_interval, "logit_adjusted", (0.7299477481226603, 1.3797000193387816)),
        (MANY, difference_interval, "wald", (-0.0611435596279487, 0.06245934910163286)),
        (FEW, ratio_interval, "log", (0.2220051348395931, 3.6485642576927546)),
        (FEW, ratio_interval, "log_adjusted", (0.25503916241783214, 3.3933097544597812)),
        (FEW, odds_ratio_interval, "logit", (0.17877430034803132, 4.3945941577637955)),
        (FEW, odds_ratio_interval, "logit_adjusted", (0.20325154720915867, 4.12861049815734)),
        (FEW, difference_interval, "wald", (-0.18946695400501343, 0.16280028733834676)),
    ],
)
def test_intervals_by_logarithms_are_statsmodels(shares, interval, kind, expected):
    # statsmodels 0.15.0, confint_proportions_2indep(compare=…, method=…)
    assert interval(*shares, kind=kind) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (FEW[0], (0.011691521967737067, 0.25497514469892957)),
        (Share(1, 30), (0, 0.09756736890584528)),
    ],
)
def test_walds_interval_is_statsmodels(share, expected):
    # statsmodels 0.15.0, proportion_confint(method='normal')
    assert share_interval(share, kind="wald") == pytest.approx(expected, rel=1e-9)


def test_counts_of_0_leave_the_logarithms_with_nothing_to_say():
    none, some = Share(0, 10), Share(3, 12)
    assert ratio_interval(none, some, kind="log") == (0.0, None)
    assert odds_ratio_interval(some, Share(12, 12), kind="logit") == (0.0, None)
    low, high = odds_ratio_interval(none, some, kind="logit_adjusted")
    assert 0.0 < low < 1.0 < high


def test_an_odds_ratio_far_out_is_searched_without_a_division_by_zero():
    # Was a ZeroDivisionError: 1 − the control's likeliest share had rounded to 0.
    # statsmodels 0.15.0, confint_proportions_2indep(5, 11, 9, 11, 'score', 'odds-ratio').
    expected = 0.030469155429907187, 1.1784696329360764
    assert odds_ratio_interval(Share(9, 11), Share(5, 11)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [1, 2, 11, 10**6])
def test_every_table_has_an_odds_ratio_that_turns_round_with_the_variants(n: int):
    for k_c, k_t in itertools.product(sorted({0, 1, n // 2, n - 1, n}), repeat=2):
        control, treatment = Share(k_c, n), Share(k_t, n)
        low, high = odds_ratio_interval(control, treatment)
        other_low, other_high = odds_ratio_interval(treatment, control)
        assert (high is None) == (other_low == 0.0)
        assert low == pytest.approx(0.0 if other_high is None else 1.0 / other_high, rel=1e-6)
