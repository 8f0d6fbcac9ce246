"""Reward fraud in the small: what tokens are for, and that they hold."""

import pytest

from sims.fraud import Outcome, Scenario, found_of, run_fraud, scenarios

ROUNDS = 1500


@pytest.fixture(scope="module")
def baseline() -> list[Outcome]:
    return [run_fraud(Scenario(attack="none"), rounds_n=ROUNDS, seed=seed) for seed in (1, 2)]


def test_rewards_for_decisions_of_others_take_over_a_surface_that_is_not_signed(
    baseline: list[Outcome],
) -> None:
    """The contrast: if this attack did nothing, holding it would show nothing."""
    attack = Scenario(attack="posts", share=0.05)
    found = found_of([run_fraud(attack, rounds_n=ROUNDS, seed=s) for s in (1, 2)], baseline)
    assert found.points > 10.0
    assert found.refused == 0


def test_tokens_of_ones_own_decisions_open_no_other(baseline: list[Outcome]) -> None:
    attack = Scenario(attack="posts, tokens", share=0.05, signed=True)
    found = found_of([run_fraud(attack, rounds_n=ROUNDS, seed=s) for s in (1, 2)], baseline)
    assert found.accepted == 0
    assert found.refused > 1000
    assert abs(found.points) < 5.0


def test_cap_holds_one_unit_that_asks_for_many_and_touches_no_honest_one() -> None:
    attack = Scenario(attack="asks", share=0.2, signed=True, cap=10)
    outcome = run_fraud(attack, rounds_n=ROUNDS, seed=1)
    assert outcome.accepted == 10
    assert outcome.refused > 10
    assert outcome.honest_refused == 0


def test_equal_arguments_give_equal_outcomes() -> None:
    attack = Scenario(attack="asks, one segment", share=0.05, signed=True)
    first, second = (run_fraud(attack, rounds_n=300, seed=3) for _ in range(2))
    assert first == second


def test_every_attack_is_tried_with_tokens() -> None:
    signed = {one.attack for one in scenarios(0.02) if one.signed}
    assert signed == {one.attack for one in scenarios(0.02)} - {"none"}
