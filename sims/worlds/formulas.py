"""Worlds whose truth is a formula of numbers in the context: linear, quadratic, and by trees.

Each of `units_n` units has a profile, and what it is like in a round is 0.7 of that and 0.3 of the
moment; both are uniform in [−1, 1]. So is no context, and everything a policy needs is in it.

| truth | expected reward of action a in context x |
| --- | --- |
| `linear` | ½ + ½·w_a·x with Σ|w_a| = 1 |
| `quadratic` | ½ + ½·xᵀ·W_a·x with Σ|W_a| = 1, of two products: no linear model sees them |
| `trees` | a leaf of a's own tree, which splits three times at a feature's random place |
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from bandit.errors import RecordError
from bandit.records import Action
from sims.worlds.base import Batch, Floats, Round, Whole, rounds_of, streams

Truth = Literal["linear", "quadratic", "trees"]
TRUTHS: tuple[Truth, ...] = ("linear", "quadratic", "trees")
DEPTH = 3
_OWN = 0.7  # of a context is the unit's


class FormulaWorld:
    """Units whose worth of each action is a formula of their context.

    Args:
        truth: Which formula.
        seed: Makes the formula and the units; rounds have a generator of their own.
        actions_n: Size of the catalogue, all of which is offered.
        features_n: Numbers in a context.
        units_n: How many units there are; each asks as often as any other.
        rewards: `bernoulli` = 1 with the expected reward's chance, else 0; `exact` = the expected
            reward itself.
    """

    def __init__(
        self,
        truth: Truth = "linear",
        *,
        seed: int = 1,
        actions_n: int = 10,
        features_n: int = 8,
        units_n: int = 500,
        rewards: Literal["bernoulli", "exact"] = "bernoulli",
    ) -> None:
        if truth not in TRUTHS:
            raise RecordError(f"truth is {truth!r}, must be one of {', '.join(TRUTHS)}")
        if min(actions_n, features_n, units_n) < 1:
            raise RecordError(
                f"world has {actions_n} actions, {features_n} features and {units_n} units, "
                "must have at least one of each"
            )
        rng = np.random.default_rng(seed)
        self.truth: Truth = truth
        self.name = _name(truth, seed, actions_n, features_n, units_n, rewards)
        self.about = f"Synthetic: expected rewards are {truth} in {features_n} numbers, exactly."
        self.actions = tuple(Action.of(f"a{n}") for n in range(actions_n))
        self.features = tuple(f"x{n}" for n in range(features_n))
        self._exact = rewards == "exact"
        self._profiles = rng.uniform(-1.0, 1.0, size=(units_n, features_n))
        if truth == "linear":
            self._weights = _share(rng.normal(size=(actions_n, features_n)))
        elif truth == "quadratic":
            self._weights = _share(_few(rng, actions_n, features_n))
        else:
            shape = (actions_n, 2**DEPTH - 1)
            self._splits = rng.integers(features_n, size=shape)
            self._places = rng.uniform(-0.5, 0.5, size=shape)
            self._leaves = rng.uniform(0.05, 0.95, size=(actions_n, 2**DEPTH))

    def expected(self, contexts: Floats) -> Floats:
        """Expected reward of each action, `(n, k)`, in contexts `(n, d)`."""
        if self.truth == "linear":
            return np.asarray(0.5 + 0.5 * np.einsum("nd,kd->nk", contexts, self._weights))
        if self.truth == "quadratic":
            seen = np.einsum("nd,kde->nke", contexts, self._weights)
            return np.asarray(0.5 + 0.5 * np.einsum("nke,ne->nk", seen, contexts))
        return self._leaf(contexts)

    def batches(self, rng: np.random.Generator, n: int) -> Iterator[Batch]:
        """Batches of n rounds without end."""
        for_units, for_moments, for_luck = streams(rng, 3)
        units_n, d = self._profiles.shape
        while True:
            units: Whole = for_units.integers(units_n, size=n)
            moment = for_moments.uniform(-1.0, 1.0, size=(n, d))
            contexts = _OWN * self._profiles[units] + (1.0 - _OWN) * moment
            expected = self.expected(contexts)
            luck = for_luck.random((n, len(self.actions)))
            rewards = expected if self._exact else (luck < expected).astype(np.float64)
            yield Batch.of(contexts, expected, rewards, units)

    def rounds(self, rng: np.random.Generator) -> Iterator[Round]:
        """Rounds without end."""
        return rounds_of(self, rng)

    def _leaf(self, contexts: Floats) -> Floats:
        """Walk every action's tree; a node's children are at 2·node + 1 and 2·node + 2."""
        n, k = len(contexts), len(self.actions)
        node = np.zeros((n, k), dtype=np.intp)
        trees = np.arange(k)[None, :]
        for _ in range(DEPTH):
            value = np.take_along_axis(contexts, self._splits[trees, node], axis=1)
            node = 2 * node + 1 + (value >= self._places[trees, node])
        return np.asarray(self._leaves[trees, node - (2**DEPTH - 1)])


def _share(weights: Floats) -> Floats:
    """Weights of each action whose sizes sum to 1, so that no reward leaves [0, 1]."""
    sizes = np.abs(weights).reshape(len(weights), -1).sum(axis=1)
    return np.asarray(weights / sizes.reshape(-1, *[1] * (weights.ndim - 1)))


def _few(rng: np.random.Generator, actions_n: int, features_n: int) -> Floats:
    """Two products of features for each action, at random."""
    weights = np.zeros((actions_n, features_n**2))
    for row in weights:
        places = rng.choice(features_n**2, size=min(2, features_n**2), replace=False)
        row[places] = rng.choice([-1.0, 1.0], size=len(places)) * rng.uniform(0.5, 1.0)
    return weights.reshape(actions_n, features_n, features_n)


def _name(
    truth: str, seed: int, actions_n: int, features_n: int, units_n: int, rewards: str
) -> str:
    """The truth alone if all else is as by default."""
    given = {"seed": seed, "actions": actions_n, "features": features_n, "units": units_n}
    usual = {"seed": 1, "actions": 10, "features": 8, "units": 500}
    parts = [f"{name}={value}" for name, value in given.items() if value != usual[name]]
    parts += [rewards] * (rewards != "bernoulli")
    return f"{truth}({', '.join(parts)})" if parts else truth
