"""A labelled data set as a world: the right class pays, any other does not."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from bandit.errors import RecordError
from bandit.policies.features import LARGEST, MOST
from bandit.records import Action
from sims.worlds.base import Batch, Floats, Round, Whole, rounds_of, streams

Rewards = Literal["clean", "clicks"]
CLICKS = (0.1, 0.02)
"""Chance of a click on the right class, and on any other."""


class MulticlassWorld:
    """A round is a row: its features are the context, the classes are the actions.

    Rows come in a random order, each once before any comes again. `clean`: the right class pays 1,
    others 0. `clicks`: the right class is clicked with probability 0.1, others with 0.02.

    Source: Bietti, Agarwal, Langford (2021), "A contextual bandit bake-off", sec. 3: multiclass
    data as bandit feedback.
    """

    def __init__(
        self,
        contexts: Floats,
        labels: Whole,
        classes: Sequence[str],
        features: Sequence[str],
        *,
        rewards: Rewards,
        name: str,
        about: str,
    ) -> None:
        self.name = name if rewards == "clean" else f"{name}({rewards})"
        self.about = about
        self.actions = tuple(Action.of(one) for one in classes)
        self.features = tuple(features)
        self._contexts, self._labels = contexts, labels
        right, wrong = (1.0, 0.0) if rewards == "clean" else CLICKS
        self._expected = np.where(np.eye(len(classes), dtype=bool), right, wrong)

    def batches(self, rng: np.random.Generator, n: int) -> Iterator[Batch]:
        """Batches of n rounds without end."""
        for_order, for_luck = streams(rng, 2)
        waiting: Whole = np.empty(0, dtype=np.int64)
        while True:
            while len(waiting) < n:
                waiting = np.concatenate([waiting, for_order.permutation(len(self._labels))])
            rows, waiting = waiting[:n], waiting[n:]
            expected = self._expected[self._labels[rows]]
            luck = for_luck.random(expected.shape)
            rewards = (luck < expected).astype(np.float64)
            yield Batch.of(self._contexts[rows], expected, rewards, rows)

    def rounds(self, rng: np.random.Generator) -> Iterator[Round]:
        """Rounds without end."""
        return rounds_of(self, rng)


def from_arrays(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    rewards: Rewards = "clean",
    features: Sequence[str] | None = None,
    name: str = "arrays",
    about: str = "Rows of arrays that were given; the right class pays.",
) -> MulticlassWorld:
    """A world of any labelled data set.

    >>> world = from_arrays([[0.0, 1.0], [1.0, 0.0]], ["cat", "dog"])
    >>> this = next(world.rounds(np.random.default_rng(1)))
    >>> [action.id for action in this.actions], this.context
    (['cat', 'dog'], b'{"x0":1.0,"x1":0.0}')

    Args:
        x: `(n, d)` finite numbers.
        y: `(n,)` labels of any kind that can be sorted; their texts are the actions' ids.
        rewards: See `MulticlassWorld`.
        features: `(d,)` their names; without them x0, x1 …
        name: What tables call it.
        about: Where the data come from and on which terms.

    Raises:
        RecordError: Shapes that do not fit, numbers that no policy takes, or fewer than 2 classes.
    """
    contexts = np.array(x, dtype=np.float64)
    labels = np.asarray(y)
    if contexts.ndim != 2 or labels.shape != contexts.shape[:1] or not len(labels):
        raise RecordError(
            f"x has shape {contexts.shape} and y {labels.shape}, must be (n, d) and (n,), n ≥ 1"
        )
    if contexts.shape[1] > MOST:
        raise RecordError(f"x has {contexts.shape[1]} features, must have at most {MOST}")
    if not np.all(np.abs(contexts) <= LARGEST):  # not a number is not at most anything
        raise RecordError(f"x holds numbers that are not in [-{LARGEST:g}, {LARGEST:g}]")
    known, numbers = np.unique(labels, return_inverse=True)
    if len(known) < 2:
        raise RecordError(f"y has {len(known)} class, must have at least 2")
    names = tuple(features or (f"x{n}" for n in range(contexts.shape[1])))
    if len(set(names)) != contexts.shape[1]:
        raise RecordError(
            f"there are {len(set(names))} different names of features, must be "
            f"{contexts.shape[1]}: one for each column of x"
        )
    return MulticlassWorld(
        contexts,
        numbers.astype(np.int64),
        [str(one) for one in known],
        names,
        rewards=rewards,
        name=name,
        about=about,
    )
