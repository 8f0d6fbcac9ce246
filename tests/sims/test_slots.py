import itertools
import math

import msgspec
import numpy as np
import pytest

from bandit.policies import build
from sims.slots import (
    MODELS,
    UNIFORM,
    Tilted,
    asked_of,
    chances_of,
    compare,
    draw,
    lessons_of,
    run_slots,
    small_worlds,
    spec_of,
    true_values,
    unbiasedness,
)
from sims.worlds.slots import ByPosition, Cascade, SlotWorld, slot_worlds


@pytest.mark.parametrize("model", [ByPosition((1.0, 0.5)), Cascade(0.8)], ids=str)
def test_clicks_come_as_often_as_expected(model: ByPosition | Cascade) -> None:
    rng, n = np.random.default_rng(3), 20_000
    appeals = [0.3, 0.5]
    found = np.array([model.clicks(appeals, rng) for _ in range(n)]).mean(axis=0)
    for seen, p in zip(found, model.expected(appeals), strict=True):
        assert abs(seen - p) <= 4.4 * math.sqrt(p * (1 - p) / n)


def test_click_models_by_hand() -> None:
    assert ByPosition((1.0, 0.5)).expected([0.25, 0.5]) == [0.25, 0.25]
    # Looks on with probability (1 − 0.25) · 0.8, then clicks with 0.5.
    assert Cascade(0.8).expected([0.25, 0.5]) == [0.25, pytest.approx(0.3)]


@pytest.mark.parametrize("world", slot_worlds(), ids=lambda world: world.name)
def test_no_ranking_is_better_than_the_best(world: SlotWorld) -> None:
    this = next(world.rounds(np.random.default_rng(1)))
    values = [
        sum(this.expected(ranking)) for ranking in itertools.permutations(range(8), world.slots_n)
    ]
    assert this.best() == pytest.approx(max(values))


@pytest.mark.parametrize("mode", MODELS)
def test_chances_of_all_rankings_sum_to_one_and_are_what_is_drawn(mode: str) -> None:
    world, spec = small_worlds()[0], spec_of(mode)  # type: ignore[arg-type]
    this, target = world.every_round()[0], Tilted()
    asked = asked_of(target, spec, this)
    rankings = itertools.permutations(range(5), world.slots_n)
    assert math.fsum(math.prod(chances_of(asked, this, r)) for r in rankings) == pytest.approx(1.0)
    for seed in range(50):
        drawn = draw(asked, this, world.slots_n, seed)
        assert chances_of(asked, this, drawn.ranking) == pytest.approx(tuple(drawn.propensities))


def test_true_value_of_chance_is_the_mean_over_rankings() -> None:
    world = small_worlds()[1]
    values = [
        this.expected(ranking)
        for this in world.every_round()
        for ranking in itertools.permutations(range(5), world.slots_n)
    ]
    truth = true_values(world, UNIFORM, build(UNIFORM))
    assert truth == pytest.approx(np.array(values).mean(axis=0))


def test_lessons_are_over_the_actions_left_and_carry_the_slot() -> None:
    world, spec = small_worlds()[0], spec_of("ccb")
    this = world.every_round()[0]
    drawn = draw(asked_of(Tilted(), spec, this), this, 3, seed=9)
    lessons = lessons_of(spec, this, drawn, [0.0, 1.0, 0.0])
    assert [len(lesson.actions) for lesson in lessons] == [5, 4, 3]
    assert [lesson.actions[lesson.drawn] for lesson in lessons] == [
        this.actions[index] for index in drawn.ranking
    ]
    assert lessons[1].reward == 1.0
    assert msgspec.json.decode(lessons[1].slot) == {"position": "1", "given": {"format": "text"}}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["shared", "ccb"])
@pytest.mark.parametrize("world", small_worlds(), ids=lambda world: world.name)
def test_policy_is_judged_without_bias_by_what_we_log(world: SlotWorld, mode: str) -> None:
    found = unbiasedness(world, mode, runs_n=40, rounds_n=200, seed=11)  # type: ignore[arg-type]
    assert [one.what for one in found] == ["slot 0", "slot 1", "slot 2", "rips", "sips"]
    for one in found:
        assert abs(one.z) < 4.0, one


def test_one_seed_gives_the_same_run_and_another_does_not() -> None:
    world = slot_worlds()[0]
    first, again, other = (
        run_slots(world, spec_of("position"), rounds_n=60, seed=seed) for seed in (2, 2, 3)
    )
    assert first == again
    assert first.reward != other.reward


def test_runs_are_compared_pairwise_by_seed() -> None:
    runs = [
        run_slots(slot_worlds()[1], spec, rounds_n=100, seed=seed)
        for spec in (spec_of("shared"), UNIFORM)
        for seed in (1, 2, 3)
    ]
    reference, other = compare(runs)
    assert (reference.gain, reference.gain_low, reference.gain_high) == (0.0, 0.0, 0.0)
    assert other.gain == pytest.approx(other.reward - reference.reward)
    assert other.gain_low < other.gain < other.gain_high
    assert 0.0 < other.share < 1.0


@pytest.mark.slow
def test_every_slot_model_learns() -> None:
    world = slot_worlds()[0]
    chance = run_slots(world, UNIFORM, rounds_n=1000, seed=5)
    for model in MODELS:
        learned = run_slots(world, spec_of(model), rounds_n=1000, seed=5)
        assert learned.late_reward > 1.15 * chance.late_reward, model
