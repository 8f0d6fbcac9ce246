"""Small counts: exact tests whose intervals agree with them, at one look and at any."""

import itertools

import numpy as np
import pytest

from bandit.stats import (
    Margin,
    Share,
    compare_shares,
    compare_shares_anytime,
    difference_interval,
    exact_p_value,
    is_small,
    score_statistic,
    shares_not_worse,
    shares_not_worse_anytime,
)

PAIRS = [(Share(x, 30), Share(y, 40)) for x, y in itertools.product((0, 1, 15, 30), (0, 12, 40))]


def leaves_out(low: float | None, high: float | None, value: float = 0.0) -> bool:
    return (low is not None and low > value) or (high is not None and high < value)


@pytest.mark.parametrize("compare", [compare_shares, compare_shares_anytime])
@pytest.mark.parametrize(("control", "treatment"), PAIRS)
def test_p_and_both_scales_decide_alike(compare, control: Share, treatment: Share):
    for alpha in (0.03,):
        found = compare(control, treatment, alpha=alpha)
        rejected = leaves_out(found.effect_ci_low, found.effect_ci_high)
        assert rejected == (found.p_value <= alpha)
        if found.relative_reason is None:
            assert leaves_out(found.relative_ci_low, found.relative_ci_high) == rejected
        assert found.effect_ci_low <= found.effect <= found.effect_ci_high


def test_exact_p_is_never_below_barnards_and_intervals_are_the_score_tests():
    control, treatment = Share(3, 60), Share(14, 70)
    found = compare_shares(control, treatment)
    assert found.p_value >= exact_p_value(control, treatment, "barnard")
    assert (found.effect_ci_low, found.effect_ci_high) == difference_interval(
        control, treatment, kind="score"
    )


def test_fisher_is_taken_where_barnard_would_take_too_long():
    assert compare_shares(Share(1, 5000), Share(9, 5000)).method == "fisher"
    assert compare_shares(Share(1, 50), Share(9, 50)).method == "barnard"


@pytest.mark.parametrize(
    ("control", "treatment", "small"),
    [
        (Share(5, 100), Share(5, 100), False),
        (Share(4, 100), Share(50, 100), True),
        (Share(97, 100), Share(50, 100), True),
    ],
)
def test_few_successes_or_failures_are_small(control: Share, treatment: Share, small: bool):
    assert is_small(control, treatment) == small


@pytest.mark.parametrize("not_worse", [shares_not_worse, shares_not_worse_anytime])
@pytest.mark.parametrize("scale", ["absolute", "relative"])
@pytest.mark.parametrize("better", ["higher", "lower"])
def test_not_worse_exactly_where_the_bad_end_is_inside_the_margin(not_worse, scale, better):
    alpha, size = 0.05, 0.05 if scale == "absolute" else 0.6
    answers = set()
    for x, y, n in itertools.product((2, 40), (1, 60), (60, 2000)):
        if max(x, y) > n:
            continue
        control, treatment = Share(x, n), Share(y, n)
        found = not_worse(control, treatment, Margin(size, scale), better=better, alpha=alpha)
        relative = scale == "relative"
        low = found.relative_ci_low if relative else found.effect_ci_low
        high = found.relative_ci_high if relative else found.effect_ci_high
        inside = low > -size if better == "higher" else high is not None and high < size
        assert (found.p_value <= alpha) == inside
        answers.add(inside)
    assert answers == {True, False}


def test_score_statistic_of_equal_shares_is_the_pooled_z():
    pooled = 12 / 100
    z = (9 / 60 - 3 / 40) / np.sqrt(pooled * (1 - pooled) * (1 / 60 + 1 / 40))
    assert score_statistic(Share(3, 40), Share(9, 60), 0.0) == pytest.approx(z)
    assert score_statistic(Share(3, 40), Share(9, 60), 0.0, "relative") == pytest.approx(z)
    with pytest.raises(ValueError, match="must be above -1"):
        score_statistic(Share(3, 40), Share(9, 60), -1.0, "relative")


def test_watched_after_every_pair_a_true_null_is_rejected_no_more_often_than_alpha():
    # Every path of five pairs of units with shares of ⅓, exactly: no draws.
    alpha, share = 0.5, 1 / 3
    going = {(0, 0): 1.0}
    for n in range(1, 6):
        after: dict[tuple[int, int], float] = {}
        for (x, y), chance in going.items():
            for i, j in itertools.product((0, 1), repeat=2):
                step = (share if i else 1 - share) * (share if j else 1 - share)
                after[x + i, y + j] = after.get((x + i, y + j), 0.0) + chance * step
        going = {
            (x, y): chance
            for (x, y), chance in after.items()
            if compare_shares_anytime(Share(x, n), Share(y, n)).p_value > alpha
        }
    assert 0.0 < 1.0 - sum(going.values()) <= alpha


def test_what_is_open_has_a_reason():
    none = compare_shares_anytime(Share(0, 50), Share(3, 50))
    assert (none.relative_effect, none.relative_ci_low) == (None, None)
    assert none.relative_reason == "control_is_zero"
    assert compare_shares(Share(0, 50), Share(3, 50)).relative_reason == "control_is_zero"
