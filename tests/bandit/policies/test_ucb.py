import math

import pytest

from bandit.policies.ucb import Ucb, UcbParameters, shared
from tests.bandit.policies.teaching import lesson, some


def test_untried_actions_come_first_with_equal_chances():
    policy = Ucb(UcbParameters())
    assert policy.pmf(b"{}", some("a", "b")) == [0.5, 0.5]
    policy.learn(lesson("a", 1.0))
    assert policy.pmf(b"{}", some("a", "b", "c")) == [0.0, 0.5, 0.5]


@pytest.mark.parametrize(("exploration", "chosen"), [(0.1, "a"), (1.0, "b")])
def test_the_index_is_mean_plus_radius(exploration, chosen):
    """After 9 lessons of a (mean 2/3) and 1 of b (mean 0): radii √(2·ln 10/n)."""
    policy = Ucb(UcbParameters(exploration=exploration))
    for reward in (1.0, 1.0, 0.0) * 3:
        policy.learn(lesson("a", reward))
    policy.learn(lesson("b", 0.0))
    radius = math.sqrt(2 * math.log(10))
    assert (2 / 3 + exploration * radius / 3 > exploration * radius) is (chosen == "a")
    expected = [1.0, 0.0] if chosen == "a" else [0.0, 1.0]
    assert policy.pmf(b"{}", some("a", "b")) == expected


def test_ties_are_shared():
    policy = Ucb(UcbParameters())
    for id_ in ("a", "b", "c"):
        policy.learn(lesson(id_, 0.25 * (id_ != "c")))
    assert policy.pmf(b"{}", some("a", "b", "c")) == [0.5, 0.5, 0.0]
    assert shared([math.inf, 0.0, math.inf]) == [0.5, 0.0, 0.5]


def test_every_action_is_tried_again_and_again():
    policy = Ucb(UcbParameters())
    tried = {"a": 0, "b": 0, "c": 0}
    worth = {"a": 0.9, "b": 0.5, "c": 0.1}
    for _ in range(1000):
        pmf = policy.pmf(b"{}", some(*tried))
        id_ = list(tried)[pmf.index(max(pmf))]
        tried[id_] += 1
        policy.learn(lesson(id_, worth[id_]))
    assert tried["a"] > 800
    assert min(tried.values()) >= 10
