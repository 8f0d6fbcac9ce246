"""Hedged capital beside confseq's own, and how often it misses."""

import numpy as np
import pytest

from bandit.errors import NotEnoughData
from bandit.ope import anytime_betting, contribution_span
from tests.bandit.ope.worlds import batch_of, world_a, world_b


def test_interval_is_confseqs_on_the_same_contributions():
    # confseq 0.0.11, betting_cs of w·r ÷ 20 at alpha 0.05, of world A: [0.36, 0.78] at n = 500,
    # read off a grid of 1,000 means (reference tolerance 0.04).
    log = batch_of(world_a(500, 4, 11, 1.0, 3.0))
    [found] = anytime_betting(log.weights * log.reward, (0.0, 20.0))
    assert (found.low, found.high) == (pytest.approx(0.36, abs=0.04), pytest.approx(0.78, abs=0.04))
    assert found.anytime


def test_sixty_looks_miss_at_most_as_often_as_promised():
    looks, missed = list(range(20, 1220, 20)), 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values = 50.0 * (rng.random(1200) < 0.02) * (rng.random(1200) < 0.3)
        missed += any(
            not one.low <= 0.3 <= one.high
            for one in anytime_betting(values, (0.0, 50.0), looks=looks)
        )
    assert missed <= 3  # 5 % of 20, plus what chance allows once in 500 seeds


def test_it_stays_in_the_span_and_says_where_nothing_is_known():
    log = batch_of(world_b(300, 10, 3, 0.2), reward_range=(0.0, 1.0))
    span = contribution_span(log)
    first, last = anytime_betting(log.weights * log.reward, span, looks=[1, 300])
    assert span[0] <= first.low <= last.low <= last.high <= first.high <= span[1]
    with pytest.raises(NotEnoughData):
        anytime_betting(np.zeros(0), (0.0, 1.0))
    with pytest.raises(ValueError, match="span is"):
        anytime_betting(np.array([2.0]), (0.0, 1.0))
