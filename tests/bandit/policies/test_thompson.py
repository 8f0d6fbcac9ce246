import numpy as np
import pytest

from bandit.errors import BadSpec, RecordError
from bandit.policies.argmax import normal_argmax
from bandit.policies.parameters import read_parameters
from bandit.policies.thompson import Thompson, ThompsonParameters
from tests.bandit.policies.teaching import lesson, some


def taught(policy, *rewards):
    for id_, reward in rewards:
        policy.learn(lesson(id_, reward))
    return policy


def test_a_beta_has_its_closed_form():
    """P(Beta(3, 1) > Beta(1, 1)) = E[X] = 3/4, and of three uniforms each is the largest in 1/3."""
    policy = Thompson(ThompsonParameters())
    assert policy.pmf(b"{}", some("a", "b", "c")) == pytest.approx([1 / 3] * 3)
    taught(policy, ("a", 1.0), ("a", 1.0))
    assert policy.pmf(b"{}", some("a", "b")) == pytest.approx([0.75, 0.25], abs=1e-4)


def test_a_fraction_counts_in_part_for_both_sides():
    halves = taught(Thompson(ThompsonParameters()), ("a", 0.5), ("a", 0.5))
    whole = taught(Thompson(ThompsonParameters()), ("a", 1.0), ("a", 0.0))
    assert halves.pmf(b"{}", some("a", "b")) == whole.pmf(b"{}", some("a", "b"))


@pytest.mark.parametrize("reward", [-0.1, 1.1])
def test_a_beta_refuses_other_rewards_and_learns_nothing(reward):
    policy = Thompson(ThompsonParameters())
    before = policy.digest()
    with pytest.raises(RecordError, match=r"must be in \[0, 1\] for a Beta posterior"):
        policy.learn(lesson("a", reward))
    assert policy.digest() == before


def test_a_gaussian_is_the_conjugate_posterior():
    """Mean (w·m + s)/(w + n), sd noise/√(w + n), by hand: a = (1 + 6)/(2 + 2), b = 1/2."""
    parameters = ThompsonParameters(
        posterior="gaussian", prior_mean=0.5, prior_strength=2.0, noise=3.0
    )
    policy = taught(Thompson(parameters), ("a", 4.0), ("a", 2.0))
    assert policy.pmf(b"{}", some("a", "b")) == normal_argmax(
        np.array([7 / 4, 1 / 2]), np.array([3 / 2, 3 / np.sqrt(2)])
    )


def test_what_is_learned_is_soon_preferred_and_never_for_certain():
    policy = Thompson(ThompsonParameters())
    for turn in range(300):
        policy.learn(lesson("good", float(turn % 2 == 0)))
        policy.learn(lesson("bad", float(turn % 3 == 0)))
    good, bad = policy.pmf(b"{}", some("good", "bad"))
    assert 0.99 < good < 1.0
    assert bad > 0.0


@pytest.mark.parametrize(
    "given", [{"prior_mean": 0.01}, {"prior_mean": 1.5}, {"prior_strength": 1.0}]
)
def test_a_prior_that_piles_up_at_an_end_is_refused(given):
    with pytest.raises(BadSpec, match="must have both at least 1"):
        read_parameters(ThompsonParameters, given)
    read_parameters(ThompsonParameters, {**given, "posterior": "gaussian"})


def test_an_answer_can_be_changed_by_who_got_it():
    policy = Thompson(ThompsonParameters())
    policy.pmf(b"{}", some("a", "b"))[0] = 7.0
    assert policy.pmf(b"{}", some("a", "b")) == pytest.approx([0.5, 0.5])
