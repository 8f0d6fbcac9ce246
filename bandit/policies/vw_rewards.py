"""Vowpal Wabbit as a reward model of `bandit.ope`: context × action features, out of fold."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bandit.errors import RecordError
from bandit.policies.base import Lesson
from bandit.policies.together import Worths
from bandit.policies.vw_lots import Lot
from bandit.records import Action

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_LOT = 4096  # rows predicted at a time


class VwRewards:
    """A regression of Vowpal Wabbit's over the features that policies see.

    What is given to `fit` and `predict` as a context is one number, the row's: contexts and actions
    are the log's own. So `ope.cross_fit(log, VwRewards.rows(n), lambda: VwRewards(contexts, k
    actions))` keeps every unit's rows out of the model that judges them.

    >>> contexts = [b'{"who":"a"}', b'{"who":"b"}'] * 200
    >>> actions = (Action(id="x"), Action(id="y"))
    >>> model = VwRewards(contexts, [actions] * 400)
    >>> rows, drawn = VwRewards.rows(400), np.arange(400) // 2 % 2
    >>> reward = (np.arange(400) % 2 == drawn).astype(float)   # a likes x, b likes y
    >>> model.fit(rows, drawn, reward, np.ones(400)).predict(rows[:2]).round().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    def __init__(
        self,
        contexts: Sequence[bytes],
        offered: Sequence[tuple[Action, ...]],
        arguments: str = "-q UA",
        *,
        passes: int = 2,
    ) -> None:
        """Untrained.

        Args:
            contexts: `(n,)` JSON of each row, as logged.
            offered: `(n,)` the actions of each row, `k` in all of them and in the order of the
                log's `action`.
            arguments: Vowpal Wabbit's options: `-q UA`, learning rates and bits.
            passes: How often the rows are gone over.

        Raises:
            BadSpec: Arguments of no such regression.
            RecordError: Rows of different length, or of different numbers of actions.
        """
        if len(contexts) != len(offered) or not contexts:
            raise RecordError(
                f"{len(contexts)} contexts and {len(offered)} offers, must be as many, at least one"
            )
        if len({len(actions) for actions in offered}) != 1:
            raise RecordError("offered has rows of different numbers of actions")
        self._contexts, self._offered = contexts, offered
        self._passes = passes
        self._worths = Worths(arguments)

    @staticmethod
    def rows(n: int) -> Floats:
        """`(n, 1)` what `cross_fit` is given as the contexts of a log of `n` rows."""
        return np.arange(float(n))[:, None]

    def fit(self, context: Floats, action: Ints, reward: Floats, weight: Floats) -> "VwRewards":
        """Learn from rows in their order; a row of twice the weight moves it twice as much."""
        rows = context[:, 0].astype(np.int64)
        counts = weight > 0.0
        if not counts.any():
            return self
        least = float(weight[counts].min())
        taught = list(
            zip(
                rows[counts].tolist(),
                action[counts].tolist(),
                reward[counts].tolist(),
                (least / weight[counts]).tolist(),
                strict=True,
            )
        )
        for _ in range(self._passes):
            for row, drawn, earned, share in taught:
                # An importance weight is one over a propensity: so is this one given.
                self._worths.policy.learn(
                    Lesson(
                        context=self._contexts[row],
                        actions=self._offered[row],
                        drawn=drawn,
                        propensity=share,
                        reward=earned,
                    )
                )
        return self

    def predict(self, context: Floats) -> Floats:
        """`(n, k)` expected rewards."""
        rows = context[:, 0].astype(np.int64).tolist()
        k = len(self._offered[0])
        parts = []
        for start in range(0, len(rows), _LOT):
            some = rows[start : start + _LOT]
            lot = Lot.of([self._contexts[r] for r in some], [self._offered[r] for r in some])
            parts.append(self._worths.of(lot).reshape(len(some), k))
        found: Floats = np.concatenate(parts) if parts else np.zeros((0, k))
        return found
