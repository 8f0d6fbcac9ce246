"""The batched path beside the one that serves, on the same rounds and draws."""

from pathlib import Path

import numpy as np
import pytest

from bandit.errors import BadPmf
from bandit.policies import argmax as one_by_one
from bandit.specs import NumericFeature, PolicySpec
from sims.learners import SURFACE, Declared
from sims.running.argmax import BetaArgmax, normal_argmax
from sims.running.batched import can_be_batched, seated
from sims.running.playing import Game, Timing, play
from sims.running.together import play_together
from sims.worlds import open_world
from sims.worlds.base import BatchWorld
from sims.worlds.formulas import FormulaWorld

SEEDS = (3, 1, 4)
NATIVE = {
    "uniform": ("uniform", {}),
    "linear": ("linear", {"scale": 0.2, "prior_mean": 0.5}),
    "beta": ("thompson", {}),
    "gaussian": ("thompson", {"posterior": "gaussian"}),
    "ucb": ("ucb", {"exploration": 0.3}),
    "greedy": ("popularity", {}),
    "softmax": ("popularity", {"choice": "softmax"}),
}


def declared(name: str, floor: float = 0.002) -> Declared:
    kind, parameters = NATIVE[name]
    fields = {"surface": SURFACE} if kind != "uniform" else {}
    return Declared(PolicySpec(key=name, type=kind, parameters=parameters, floor=floor, **fields))


def batch_world(text: str) -> BatchWorld:
    world = open_world(text, Path())
    assert isinstance(world, BatchWorld)
    return world


@pytest.mark.parametrize("name", NATIVE)
def test_batched_policy_does_what_the_served_one_does(name: str) -> None:
    worlds = {
        "linear": Timing(),
        "trees+growing:9+late:5+twice:0.2+lost:0.1+lies:0.1": Timing(delay_n=2),
    }
    for text, timing in worlds.items():
        world, contender = batch_world(text), declared(name)
        assert can_be_batched(contender, world)
        one = [play(Game(world, contender, seed, timing), 120) for seed in SEEDS]
        many = play_together(world, seated(contender, world, SEEDS), SEEDS, 120, timing)
        np.testing.assert_allclose(many, one, rtol=1e-12, atol=1e-12)


def test_batched_policy_waits_for_the_join_window_as_the_game_does() -> None:
    world, timing = batch_world("linear+late:20+lost:0.2"), Timing(delay_n=1, join_n=15)
    contender = declared("linear")
    one = [play(Game(world, contender, seed, timing), 150) for seed in SEEDS]
    many = play_together(world, seated(contender, world, SEEDS), SEEDS, 150, timing)
    np.testing.assert_allclose(many, one, rtol=1e-12, atol=1e-12)


def test_seed_comes_to_the_same_whoever_else_is_in_its_block() -> None:
    world, contender = FormulaWorld(), declared("linear")
    block, alone = (
        play_together(world, seated(contender, world, seeds), seeds, 300, Timing())
        for seeds in ((7, 8, 9), (8,))
    )
    assert np.array_equal(block[1], alone[0])


def test_beta_tables_are_made_again_when_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, contender = FormulaWorld(), declared("beta")
    usual = play_together(world, seated(contender, world, SEEDS), SEEDS, 200, Timing())
    monkeypatch.setattr(BetaArgmax, "full", lambda self: len(self._rows) > 40)
    assert np.array_equal(
        play_together(world, seated(contender, world, SEEDS), SEEDS, 200, Timing()), usual
    )


def test_floor_that_no_pmf_can_hold_is_refused_in_both_ways() -> None:
    world, contender = FormulaWorld(), declared("uniform", floor=0.2)
    with pytest.raises(BadPmf, match="for 10 actions"):
        Game(world, contender, 1, Timing()).step()
    with pytest.raises(BadPmf, match="for 10 actions"):
        play_together(world, seated(contender, world, SEEDS), SEEDS, 5, Timing())


@pytest.mark.parametrize(
    "spec",
    [
        PolicySpec(key="w", type="ucb", surface=SURFACE, floor=0.01, window=100),
        PolicySpec(
            key="n",
            type="linear",
            surface=SURFACE,
            floor=0.01,
            numeric={"context.x0": NumericFeature(encoding="bucket")},
        ),
        PolicySpec(
            key="f", type="linear", surface=SURFACE, floor=0.01, parameters={"forgetting": 0.9}
        ),
        PolicySpec(
            key="d", type="linear", surface=SURFACE, floor=0.01, parameters={"dimensions": 8}
        ),
        PolicySpec(key="i", type="thompson", surface=SURFACE, floor=0.01, parameters={"ids": 9}),
        PolicySpec(key="v", type="vw", surface=SURFACE),
    ],
    ids=lambda spec: spec.key,
)
def test_policy_that_does_more_than_its_batched_form_is_not_batched(spec: PolicySpec) -> None:
    assert not can_be_batched(Declared(spec), FormulaWorld())


def test_argmax_of_rows_is_the_argmax_of_each_row() -> None:
    rng = np.random.default_rng(1)
    means, sds = rng.normal(size=(60, 7)), np.exp(rng.normal(size=(60, 7)) * 2.0)
    each = [one_by_one.normal_argmax(m, s) for m, s in zip(means, sds, strict=True)]
    np.testing.assert_allclose(normal_argmax(means, sds), each, atol=1e-14)
    alphas, betas = rng.integers(1, 60, size=(2, 20, 5)).astype(float)
    of_beta = BetaArgmax()
    rows = of_beta.rows_of(alphas.ravel(), betas.ravel()).reshape(alphas.shape)
    each = [
        one_by_one.beta_argmax(a, b) for a, b in zip(alphas.tolist(), betas.tolist(), strict=True)
    ]
    np.testing.assert_allclose(of_beta(rows, None), each, atol=1e-14)


def test_what_is_not_offered_has_no_chance_to_be_the_largest() -> None:
    means = np.array([[0.0, -np.inf, 0.0]])
    np.testing.assert_allclose(normal_argmax(means, np.ones((1, 3))), [[0.5, 0.0, 0.5]])
