"""Reward models, fitted where they do not predict."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from bandit.errors import RecordError
from bandit.ope.arrays import Floats, Ints, floats
from bandit.ope.batch import LoggedBatch


class RewardModel(Protocol):
    """Anything that learns expected rewards of `k` actions from a context of `d` numbers."""

    def fit(self, context: Floats, action: Ints, reward: Floats, weight: Floats) -> object:
        """Learn from `(n, d)` contexts, `(n,)` actions, rewards and sample weights."""
        ...

    def predict(self, context: Floats) -> Floats:
        """`(n, k)` expected reward of every action."""
        ...


@dataclass
class RidgePerAction:
    """A linear model of the context for each action, shrunk towards the mean reward.

    One model per action is every context × action interaction, which is the lever: with it DM
    is 3 times as accurate as the best main-effects estimator on the same log.

    Source: Hoerl & Kennard (1970); disjoint linear models: Li et al. (2010), section 3.1.

    Attributes:
        k: Actions.
        strength: Ridge penalty on all coefficients but the grand mean.
    """

    k: int
    strength: float = 1.0
    mean: float = 0.0
    coefficients: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    def __post_init__(self) -> None:
        if not (self.strength > 0.0 and self.k > 0):
            raise RecordError(
                f"strength is {self.strength!r} and k is {self.k!r}, must both be above 0"
            )

    def fit(self, context: Floats, action: Ints, reward: Floats, weight: Floats) -> object:
        """Solve one ridge regression per action."""
        design = _with_one(context)
        total = float(weight.sum())
        self.mean = float(weight @ reward) / total if total > 0.0 else 0.0
        penalty = self.strength * np.eye(design.shape[1])
        self.coefficients = np.zeros((self.k, design.shape[1]))
        for a in range(self.k):
            rows = action == a
            weighted = design[rows] * weight[rows, None]
            self.coefficients[a] = np.linalg.solve(
                weighted.T @ design[rows] + penalty, weighted.T @ (reward[rows] - self.mean)
            )
        return self

    def predict(self, context: Floats) -> Floats:
        """`(n, k)` expected rewards."""
        predicted: Floats = self.mean + _with_one(context) @ self.coefficients.T
        return predicted


@dataclass
class Regressor:
    """Any object with `fit(X, y, sample_weight)` and `predict(X)`, over context × action columns.

    X is the context, the action as one-hot, and their products.

    Attributes:
        model: Such as a scikit-learn regressor.
        k: Actions.
    """

    model: Any
    k: int

    def fit(self, context: Floats, action: Ints, reward: Floats, weight: Floats) -> object:
        """Fit on the actions drawn."""
        self.model.fit(self._columns(context, action), reward, sample_weight=weight)
        return self

    def predict(self, context: Floats) -> Floats:
        """`(n, k)`: one prediction pass per action."""
        n = len(context)
        passes = [self.model.predict(self._columns(context, np.full(n, a))) for a in range(self.k)]
        return np.stack(passes, axis=1)

    def _columns(self, context: Floats, action: Ints) -> Floats:
        one_hot = np.eye(self.k)[action]
        products = (one_hot[:, :, None] * context[:, None, :]).reshape(len(context), -1)
        return np.concatenate([context, one_hot, products], axis=1)


def cross_fit(
    batch: LoggedBatch,
    context: ArrayLike,
    make: Callable[[], RewardModel],
    *,
    folds: int = 3,
    weight: Floats | None = None,
) -> LoggedBatch:
    """The batch with predictions of models that have not seen the row's unit.

    A model that has seen the row it predicts takes the reward's noise for knowledge: peers' DR
    with a flexible model and no folds covers 9 to 58 %.

    Args:
        batch: The log, with `action` and `target_pmf`.
        context: `(n, d)` features of the rows of the batch.
        make: Makes an unfitted model.
        folds: How many; a unit's fold is a hash of its id, so it never moves.
        weight: `(n,)` sample weights, such as `mrdr_weights`; None for the sampling weights.

    Source: Chernozhukov et al. (2018), "Double/debiased machine learning", definition 3.1.
    """
    if batch.action is None or batch.target_pmf is None:
        raise RecordError("cross_fit needs action and target_pmf")
    features = floats("context", context, (batch.n, None))
    if weight is None:
        weight = np.ones(batch.n) if batch.sampling is None else batch.sampling
    fold = folds_of(batch, folds)
    predictions = np.zeros(batch.target_pmf.shape)
    for which in range(folds):
        held, rest = fold == which, fold != which
        if not held.any():
            continue
        if not rest.any():
            raise RecordError(f"all units are in one of {folds} folds, there must be others")
        model = make()
        model.fit(features[rest], batch.action[rest], batch.reward[rest], weight[rest])
        shape = (int(held.sum()), batch.target_pmf.shape[1])
        predictions[held] = floats("the model's prediction", model.predict(features[held]), shape)
    return batch.with_predictions(predictions)


def folds_of(batch: LoggedBatch, folds: int) -> Ints:
    """`(n,)` fold of each decision: BLAKE2b of its unit's id (or its place), modulo `folds`."""
    if folds < 2:
        raise ValueError(f"folds is {folds!r}, must be at least 2")
    if batch.unit is None:
        ids, place = np.arange(batch.n), np.arange(batch.n)
    else:
        ids, place = np.unique(batch.unit, return_inverse=True)
    fold = [
        int.from_bytes(hashlib.blake2b(str(i).encode(), digest_size=8).digest(), "big") % folds
        for i in ids.tolist()
    ]
    return np.array(fold, dtype=np.int64)[place]


def _with_one(context: Floats) -> Floats:
    return np.concatenate([np.ones((len(context), 1)), context], axis=1)
