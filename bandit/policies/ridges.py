"""Ridge regressions for each action id, kept as A⁻¹ and weights, one lesson at a time.

With v = A⁻¹·x a lesson changes A⁻¹ by −v·vᵀ/(1 + xᵀ·v) and the weights by
v·(r − xᵀ·w)/(1 + xᵀ·v). Sums are made element by element in one order (no matrix library), so any
processor gives the same bits.

Source: Sherman & Morrison 1950, "Adjustment of an inverse matrix corresponding to a change in one
element of a given matrix".
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bandit.policies.cache import Generations

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

_STACKED = 2**18  # numbers in a generation of gathered weights: 2 MB
_CONSTANT_RIDGE = 0.01
"""Of the constant, as a share of the others': what an action earns on average is hardly shrunk."""


class _Known(NamedTuple):
    """Of one id, for all ridges: `(p, d, d)` and `(p, d)`."""

    inverse: Floats
    weights: Floats


class Ridges:
    """Regressions with several ridges over the same lessons.

    With more than `most` ids nothing is remembered any more, for good: a catalogue of so many is
    better served by what its actions have in common, and a matrix for each would fill snapshots.

    Attributes:
        gone: Whether there were too many ids.

    >>> ridges = Ridges([0.1, 10.0], length=2, most=2)
    >>> for _ in range(10):
    ...     ridges.learn("a", np.array([1.0, 1.0]), 1.0)
    >>> ridges.worths(["a", "b"], np.array([[1.0, 1.0]])).round(2).tolist()
    [[1.0, 0.0], [0.99, 0.0]]
    """

    def __init__(self, ridges: Sequence[float], length: int, most: int) -> None:
        """Without any lesson.

        Args:
            ridges: How firmly weights are held at 0.
            length: Of the vectors; the first coordinate is the constant.
            most: Action ids that are remembered, at least 1.
        """
        self._ridges = np.array(ridges)
        self._length, self._most = length, most
        self._known: dict[str, _Known] = {}
        self._upper = np.triu_indices(length)
        self._room = np.empty((len(self._ridges), length, length))
        self.gone = False
        self._stacks: Generations[tuple[str, ...], tuple[Places, Floats]] = Generations(
            _STACKED, weigh=lambda ids: 1 + len(ids) * len(self._ridges) * length
        )

    def worths(self, ids: Sequence[str], vectors: Floats) -> Floats:
        """`(p, k)` what each action is worth by each ridge; 0 for one that was never shown.

        Args:
            ids: `(k,)`.
            vectors: `(k, length)`, or `(1, length)` if all have the same one.
        """
        places, weights = self._stacked(tuple(ids))
        found = np.zeros((len(self._ridges), len(ids)))
        if len(places):
            products = weights * (vectors if len(vectors) == 1 else vectors[places]).T
            found[:, places] = np.add.reduce(products, axis=1)
        return found

    def worth_of(self, id_: str, vector: Floats) -> Floats:
        """`(p,)` what one action is worth: the bits that `worths` has for it alone."""
        known = self._known.get(id_)
        if known is None:
            return np.zeros(len(self._ridges))
        return np.asarray(np.add.reduce(known.weights * vector, axis=1))

    def _stacked(self, ids: tuple[str, ...]) -> tuple[Places, Floats]:
        """Places of those that are known, and their weights, `(p, length, known)`."""
        stack = self._stacks.get(ids)
        if stack is None:
            known = self._known
            places = np.array([place for place, id_ in enumerate(ids) if id_ in known], np.intp)
            weights = [known[ids[place]].weights for place in places]
            stack = places, np.stack(weights, axis=2) if weights else np.empty((0, 0, 0))
            self._stacks.put(ids, stack)
        return stack

    def learn(self, id_: str, x: Floats, reward: float) -> None:
        """One lesson."""
        if self.gone:
            return
        self._stacks.clear()
        known = self._known.get(id_)
        if known is None:
            if len(self._known) == self._most:
                self.gone = True
                self._known.clear()
                return
            known = self._known[id_] = self._new()
        inverse, weights = known
        room = self._room  # made once: memory of this size costs more than the arithmetic
        np.multiply(inverse, x[None, :, None], out=room)
        seen = np.add.reduce(room, axis=1)  # A⁻¹ is symmetric
        size = 1.0 + _dot(seen, x)
        missed = (reward - _dot(weights, x)) / size
        # Halves of v·vᵀ that mirror each other are the same products, so A⁻¹ stays symmetric.
        seen_scaled = seen / np.sqrt(size)[:, None]
        np.multiply(seen_scaled[:, :, None], seen_scaled[:, None, :], out=room)
        inverse -= room
        weights += seen * missed[:, None]

    def save(self) -> tuple[list[str], bytes]:
        """Ids in the order in which they came, and of each A⁻¹'s upper triangles and w."""
        rows: list[Floats] = []
        for inverse, weights in self._known.values():
            rows += [inverse[:, *self._upper], weights]
        return list(self._known), b"".join(row.astype("<f8").tobytes() for row in rows)

    def load(self, ids: Sequence[str], numbers: bytes, *, gone: bool) -> None:
        """What `save` gave, and `gone` was."""
        self.gone = gone
        p, d = len(self._ridges), self._length
        triangle = len(self._upper[0])
        rows = np.frombuffer(numbers, dtype="<f8").reshape(len(ids), p * (triangle + d))
        for id_, row in zip(ids, rows, strict=True):
            known = self._new()
            upper = row[: p * triangle].reshape(p, triangle)
            known.inverse[:, *self._upper] = upper
            known.inverse.transpose(0, 2, 1)[:, *self._upper] = upper
            known.weights[...] = row[p * triangle :].reshape(p, d)
            self._known[id_] = known

    def _new(self) -> _Known:
        p, d = len(self._ridges), self._length
        inverse = np.zeros((p, d, d))
        inverse[:, range(d), range(d)] = 1.0 / self._ridges[:, None]
        inverse[:, 0, 0] /= _CONSTANT_RIDGE
        return _Known(inverse, np.zeros((p, d)))


def _dot(rows: Floats, x: Floats) -> Floats:
    """`(p,)`; summed from left to right."""
    return np.asarray(np.add.accumulate(rows * x, axis=1)[:, -1])
