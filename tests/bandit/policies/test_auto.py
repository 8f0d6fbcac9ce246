"""What every policy must hold is in tests/contracts/test_policies.py."""

import math
import random
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from bandit.errors import BadSpec, RecordError
from bandit.policies import Lesson, build, check_spec
from bandit.policies.auto import Auto, AutoParameters
from bandit.policies.interactions import interactions_of
from bandit.records import Action
from bandit.specs import PolicySpec

ACTIONS = (Action(id="a"), Action(id="b"), Action(id="c"))
SMALL = AutoParameters(waves=16)


def play(
    policy: Auto,
    worth: Callable[[float, int], float],
    *,
    rounds_n: int,
    scale: float = 1.0,
    offset: float = 0.0,
    seed: int = 3,
) -> list[int]:
    """Draw as the policy says; what was drawn."""
    rng = random.Random(seed)
    drawn = []
    for _ in range(rounds_n):
        x = rng.uniform(-1.0, 1.0)
        context = msgspec.json.encode({"x": offset + scale * x})
        pmf = policy.pmf(context, ACTIONS)
        place = rng.choices(range(3), pmf)[0]
        drawn.append(place)
        policy.learn(
            Lesson(
                context=context,
                actions=ACTIONS,
                drawn=place,
                propensity=pmf[place],
                reward=worth(x, place),
            )
        )
    return drawn


def best_is_inside(x: float, place: int) -> float:
    """No line through x says it: b is right in the middle, a and c are worth less anywhere."""
    inside = abs(x) < 0.5
    return (0.3, 1.0 if inside else 0.0, 0.2)[place]


def test_a_worth_that_is_no_line_is_learned():
    policy = Auto(AutoParameters())
    play(policy, best_is_inside, rounds_n=600)
    asked = {x: policy.pmf(msgspec.json.encode({"x": x}), ACTIONS) for x in (-0.9, 0.0, 0.9)}
    assert asked[0.0][1] > 0.8
    assert asked[-0.9][0] > 0.8
    assert asked[0.9][0] > 0.8


def test_neither_the_unit_nor_an_offset_of_a_number_matters():
    """It did to Vowpal Wabbit alone: an offset of +10 took a data set from .5 to .2."""
    plain, moved = Auto(SMALL), Auto(SMALL)
    play(plain, best_is_inside, rounds_n=400)
    play(moved, best_is_inside, rounds_n=400, scale=1024.0, offset=2.0**20)
    for x in (-0.875, 0.0, 0.875):
        [one] = [plain.pmf(msgspec.json.encode({"x": x}), ACTIONS)]
        other = moved.pmf(msgspec.json.encode({"x": 2.0**20 + 1024.0 * x}), ACTIONS)
        assert int(np.argmax(one)) == int(np.argmax(other))


def test_the_unit_of_the_rewards_does_not_matter_to_the_ridge_regressions():
    def of(unit: float) -> list[float]:
        policy = Auto(SMALL)
        rng = random.Random(5)
        for _ in range(300):
            x, place = rng.uniform(-1, 1), rng.randrange(3)
            policy.learn(
                Lesson(
                    context=msgspec.json.encode({"x": x}),
                    actions=ACTIONS,
                    drawn=place,
                    propensity=1 / 3,
                    reward=unit * best_is_inside(x, place),
                )
            )
        return policy.pmf(b'{"x":0.0}', ACTIONS)

    assert of(1024.0) == pytest.approx(of(1.0), abs=1e-6)
    assert of(1.0 / 1024.0) == pytest.approx(of(1.0), abs=0.05)  # Vowpal Wabbit's have a share here


def test_noise_makes_it_explore_for_longer():
    rng = random.Random(9)

    def noisy(x: float, place: int) -> float:
        return float(rng.random() < (0.10 if place == 1 else 0.05))

    clean, clicks = Auto(SMALL), Auto(SMALL)
    play(clean, lambda x, place: float(place == 1), rounds_n=200)
    play(clicks, noisy, rounds_n=200)
    assert max(clicks.pmf(b'{"x":0.1}', ACTIONS)) < max(clean.pmf(b'{"x":0.1}', ACTIONS))


def test_with_too_many_ids_it_goes_on_with_vowpal_wabbit_alone():
    policy = Auto(AutoParameters(waves=16, ids=2))
    lesson = Lesson(context=b"{}", actions=ACTIONS, drawn=0, propensity=0.5, reward=1.0)
    policy.learn(lesson)
    full = len(policy.save())
    for drawn in (1, 2):
        policy.learn(msgspec.structs.replace(lesson, drawn=drawn, reward=0.0))
    assert len(policy.save()) < full
    for _ in range(30):
        policy.learn(lesson)
    assert int(np.argmax(policy.pmf(b"{}", ACTIONS))) == 0
    again = Auto(policy.parameters, policy.save())
    assert again.pmf(b"{}", ACTIONS) == policy.pmf(b"{}", ACTIONS)


def test_actions_with_features_of_their_own_are_told_apart_by_them():
    """One id at two prices: the ridge regressions see what the action brings."""
    policy = Auto(SMALL)
    rng = random.Random(2)
    for _ in range(300):
        price = rng.uniform(1, 9)
        offered = (Action.of("a", price=price), Action(id="b"))
        drawn = rng.randrange(2)
        reward = (1.0 if price < 5 else 0.0) if drawn == 0 else 0.5
        policy.learn(
            Lesson(context=b"{}", actions=offered, drawn=drawn, propensity=0.5, reward=reward)
        )
    cheap, dear = (policy.pmf(b"{}", (Action.of("a", price=p), Action(id="b"))) for p in (2, 8))
    assert cheap[0] > 0.8
    assert dear[0] < 0.2


def items_of_one_round(rng: random.Random, turn: int) -> tuple[Action, ...]:
    """Ids that never come again, with a price whose tail is long, far from 0."""
    return tuple(
        Action.of(f"item-{turn}-{place}", price=50_000 + math.exp(rng.gauss(0.0, 3.0)))
        for place in range(4)
    )


def test_items_that_come_and_go_are_told_apart_by_a_number_with_a_long_tail():
    """Only their numbers' fifths say it: no id comes twice, and no line through prices does.

    It was as good as chance here before.
    """
    policy, rng = Auto(SMALL), random.Random(8)
    hits = []
    for turn in range(700):
        offered = items_of_one_round(rng, turn)
        prices = [msgspec.json.decode(bytes(action.features))["price"] for action in offered]
        best = prices.index(min(prices))
        pmf = policy.pmf(b"{}", offered)
        hits.append(pmf[best])
        drawn = rng.choices(range(4), pmf)[0]
        policy.learn(
            Lesson(
                context=b"{}",
                actions=offered,
                drawn=drawn,
                propensity=pmf[drawn],
                reward=float(drawn == best),
            )
        )
    assert sum(hits[:100]) / 100 < 0.35
    assert sum(hits[-200:]) / 200 > 0.5


@pytest.mark.parametrize("stops", [1, 30, 199, 230])
def test_whenever_it_is_saved_and_whenever_numbers_come_it_goes_on_to_the_bit(stops: int):
    policy = Auto(SMALL)
    for turn in range(240):
        number = b"" if turn < 20 else b',"x":%d' % (turn % 17)
        lesson = Lesson(
            context=b'{"user":"u%d"%b}' % (turn % 3, number),
            actions=ACTIONS,
            drawn=turn % 3,
            propensity=1 / 3,
            reward=float(turn % 17 > 8),
        )
        policy.learn(lesson)
        if turn == stops:
            again = Auto(SMALL, policy.save())
            assert again.digest() == policy.digest()
        if turn > stops:
            again.learn(lesson)
            assert again.pmf(lesson.context, ACTIONS) == policy.pmf(lesson.context, ACTIONS)
    assert again.digest() == policy.digest()


def test_a_refused_lesson_changes_nothing():
    policy = Auto(SMALL)
    digest = policy.digest()
    twice = (Action(id="a"), Action(id="a"))
    with pytest.raises(RecordError, match="must have different ids"):
        policy.learn(Lesson(context=b"{}", actions=twice, drawn=0, propensity=0.5, reward=1.0))
    assert policy.digest() == digest


def test_probabilities_stay_above_zero_however_sure_it_is():
    policy = Auto(SMALL)
    for turn in range(300):
        drawn = turn % 3
        policy.learn(
            Lesson(
                context=b"{}",
                actions=ACTIONS,
                drawn=drawn,
                propensity=1 / 3,
                reward=1e6 * float(drawn == 1),
            )
        )
    pmf = policy.pmf(b"{}", ACTIONS)
    assert min(pmf) > 0.0
    assert math.fsum(pmf) == pytest.approx(1.0, abs=1e-12)


def test_state_is_bounded():
    with pytest.raises(BadSpec, match=r"must need at most 4194304: with 256 waves, at most 7 ids"):
        build(PolicySpec(key="p", type="auto", surface="s", parameters={"waves": 256, "ids": 64}))


def test_it_needs_no_floor_and_its_interactions_are_counted():
    spec = PolicySpec(key="p", type="auto", surface="s")
    check_spec(spec)
    [interaction] = interactions_of(spec)
    assert (interaction.context, interaction.action, interaction.slot) == (1, 1, 0)
