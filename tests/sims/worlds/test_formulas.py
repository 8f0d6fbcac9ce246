from collections.abc import Sequence
from itertools import islice

import msgspec
import numpy as np
import pytest

from bandit.errors import RecordError
from sims.worlds.base import BATCH_N, Batch, BatchWorld
from sims.worlds.formulas import TRUTHS, FormulaWorld, Truth
from sims.worlds.multiclass import from_arrays

N = 20_000


def batch(world: BatchWorld, n: int, seed: int = 1) -> Batch:
    return next(world.batches(np.random.default_rng(seed), n))


def error_of(x: np.ndarray, y: np.ndarray) -> float:
    """Largest residual of a least-squares fit with a constant."""
    design = np.column_stack([np.ones(len(x)), x])
    return float(np.abs(y - design @ np.linalg.lstsq(design, y, rcond=None)[0]).max())


def products(x: np.ndarray) -> np.ndarray:
    return np.einsum("ni,nj->nij", x, x).reshape(len(x), -1)


@pytest.mark.parametrize("truth", TRUTHS)
def test_rewards_are_drawn_with_the_expected_chance(truth: Truth) -> None:
    found = batch(FormulaWorld(truth), N)
    assert found.expected.min() >= 0.0
    assert found.expected.max() <= 1.0
    assert set(np.unique(found.rewards)) == {0.0, 1.0}
    errors = (found.rewards - found.expected).mean(axis=0)
    assert np.abs(errors).max() < 4.4 * 0.5 / N**0.5


def test_each_truth_is_what_its_name_says_and_no_less() -> None:
    linear, quadratic, trees = (batch(FormulaWorld(truth), 3_000) for truth in TRUTHS)
    assert error_of(linear.contexts, linear.expected) < 1e-12
    assert error_of(quadratic.contexts, quadratic.expected) > 0.1
    assert error_of(products(quadratic.contexts), quadratic.expected) < 1e-12
    assert error_of(products(trees.contexts), trees.expected) > 0.1
    # Depth three: eight leaves, so at most eight values of each action.
    assert max(len(np.unique(column)) for column in trees.expected.T) == 8


def test_units_keep_a_profile_from_round_to_round() -> None:
    found = batch(FormulaWorld(units_n=3), 3_000)
    spread = [found.contexts[found.units == unit].std(axis=0).max() for unit in range(3)]
    assert max(spread) < 0.3 / 3**0.5 * 1.1  # of the moment: uniform in ±0.3
    assert found.contexts.std(axis=0).min() > 0.0


def test_exact_rewards_are_the_expected_ones() -> None:
    found = batch(FormulaWorld(rewards="exact"), 10)
    assert np.array_equal(found.rewards, found.expected)


@pytest.mark.parametrize(
    "world", [FormulaWorld(), from_arrays(np.eye(5), list("aabbc"))], ids=lambda world: world.name
)
def test_rounds_are_those_of_the_batches_however_many_are_made_at_a_time(
    world: BatchWorld,
) -> None:
    n = BATCH_N + 40
    whole = batch(world, n)
    parts = list(islice(world.batches(np.random.default_rng(1), 8), n // 8))
    for name in ("contexts", "expected", "rewards", "units"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        assert np.array_equal(joined, getattr(whole, name))
    rounds = list(islice(world.rounds(np.random.default_rng(1)), n))
    assert np.array_equal([this.rewards for this in rounds], whole.rewards)
    contexts = [list(msgspec.json.decode(this.context).values()) for this in rounds]
    assert np.array_equal(contexts, whole.contexts)


def test_worlds_of_other_sizes_have_other_names() -> None:
    assert FormulaWorld().name == "linear"
    assert FormulaWorld("trees", seed=3, actions_n=2).name == "trees(seed=3, actions=2)"


def test_unknown_truth_and_empty_world_are_refused() -> None:
    with pytest.raises(RecordError, match="truth is 'cubic'"):
        FormulaWorld("cubic")  # type: ignore[arg-type]
    with pytest.raises(RecordError, match="at least one of each"):
        FormulaWorld(actions_n=0)


def test_every_row_of_a_data_set_comes_once_before_any_comes_again() -> None:
    found = batch(from_arrays(np.arange(12.0).reshape(6, 2), list("abcabc")), 18)
    for epoch in range(3):
        assert sorted(found.units[6 * epoch : 6 * epoch + 6]) == list(range(6))
    assert not np.array_equal(found.units[:6], found.units[6:12])


def test_right_class_pays_and_clicks_come_at_their_rates() -> None:
    x, y = np.zeros((300, 1)), np.repeat([7, 8, 9], 100)
    clean = batch(from_arrays(x, y), 600)
    assert np.array_equal(clean.rewards, clean.expected)
    assert np.array_equal(clean.rewards.argmax(axis=1), y[clean.units] - 7)
    clicks = batch(from_arrays(x, y, rewards="clicks"), N)
    right = clicks.expected == 0.1
    assert (right.sum(axis=1) == 1).all()
    for rate, which in ((0.1, right), (0.02, ~right)):
        n = int(which.sum())
        assert abs(clicks.rewards[which].mean() - rate) < 4.4 * (rate * (1 - rate) / n) ** 0.5


@pytest.mark.parametrize(
    ("x", "y", "features", "said"),
    [
        ([[1.0], [2.0]], [1], None, r"x has shape \(2, 1\) and y \(1,\)"),
        ([1.0, 2.0], [1, 2], None, r"must be \(n, d\)"),
        ([[1.0], [np.nan]], [1, 2], None, "numbers that are not in"),
        ([[1.0], [1e12]], [1, 2], None, "numbers that are not in"),
        ([[1.0], [2.0]], [1, 1], None, "y has 1 class"),
        ([[1.0, 2.0], [2.0, 1.0]], [1, 2], ["a", "a"], "one for each column"),
        (np.zeros((2, 1001)), [1, 2], None, "must have at most 1000"),
    ],
)
def test_arrays_that_make_no_world_are_refused(
    x: object, y: object, features: Sequence[str] | None, said: str
) -> None:
    with pytest.raises(RecordError, match=said):
        from_arrays(x, y, features=features)  # type: ignore[arg-type]
