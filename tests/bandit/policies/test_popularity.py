import math

import pytest

from bandit.policies.popularity import Popularity, PopularityParameters
from tests.bandit.policies.teaching import lesson, some


def taught(parameters, *rewards):
    policy = Popularity(parameters)
    for id_, reward in rewards:
        policy.learn(lesson(id_, reward))
    return policy


def test_the_prior_keeps_one_lucky_lesson_from_being_popular():
    """a: (10·0.1 + 1)/(10 + 1) = 0.18; b: (10·0.1 + 10)/(10 + 40) = 0.22."""
    rewards = [("a", 1.0)] + [("b", float(turn % 4 == 0)) for turn in range(40)]
    smoothed = taught(PopularityParameters(prior_mean=0.1), *rewards)
    assert smoothed.pmf(b"{}", some("a", "b")) == [0.0, 1.0]
    hasty = taught(PopularityParameters(prior_mean=0.1, prior_strength=1e-3), *rewards)
    assert hasty.pmf(b"{}", some("a", "b")) == [1.0, 0.0]


def test_ties_are_shared_and_new_actions_have_the_prior_mean():
    policy = taught(PopularityParameters(prior_mean=0.5), ("bad", 0.0))
    assert policy.pmf(b"{}", some("bad", "new", "newer")) == [0.0, 0.5, 0.5]


def test_softmax_is_by_rate_over_temperature():
    """Rates by hand: (2·0 + 3)/(2 + 4) = 1/2 and 0."""
    parameters = PopularityParameters(choice="softmax", temperature=0.5, prior_strength=2.0)
    policy = taught(parameters, ("a", 1.0), ("a", 1.0), ("a", 1.0), ("a", 0.0))
    expected = math.e / (math.e + 1)
    assert policy.pmf(b"{}", some("a", "b")) == pytest.approx([expected, 1 - expected])


def test_softmax_of_rates_far_apart_is_still_a_distribution():
    parameters = PopularityParameters(choice="softmax", temperature=1e-6, prior_strength=1e-3)
    policy = taught(parameters, ("a", 1e6), ("b", -1e6))
    assert policy.pmf(b"{}", some("a", "b")) == [1.0, 0.0]
