"""Costs of many questions at once, read from Vowpal Wabbit's weights.

A question is a context and the actions offered; all of a lot are hashed once for every policy that
makes its examples alike, and the weights of all their features are taken in one go. What comes out
is the sum that `vw_costs` makes for one question, added up in the same order.
"""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bandit.policies.vw import Inside
from bandit.policies.vw_costs import (
    CONSTANT,
    FNV_PRIME,
    INDEX_MASK,
    STRIDE,
    Arrays,
    Explorer,
    shifted,
)
from bandit.records import Action

_CHUNK = 128  # questions whose indices are made at a time: they stay in the cache
_ARRAYS_N = 20_000
Floats = npt.NDArray[np.float64]
Costs = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class Lot(NamedTuple):
    """Questions that are asked at once, without slots: `pmf(context, actions)` for each.

    Attributes:
        contexts: `(n,)` as sent.
        offered: `(n,)` the actions of each.
        starts: `(n + 1,)` where each question's probabilities begin among all of them.
    """

    contexts: Sequence[bytes]
    offered: Sequence[tuple[Action, ...]]
    starts: Ints

    @classmethod
    def of(cls, contexts: Sequence[bytes], offered: Sequence[tuple[Action, ...]]) -> "Lot":
        """A lot of at least one question."""
        starts = np.zeros(len(offered) + 1, np.int64)
        np.cumsum([len(actions) for actions in offered], out=starts[1:])
        return cls(contexts, offered, starts)

    def __len__(self) -> int:
        return len(self.contexts)

    @property
    def counts(self) -> Ints:
        """`(n,)` how many actions each question has."""
        return np.diff(self.starts)

    def part(self, start: int, stop: int) -> "Lot":
        """Questions `start` to `stop`."""
        starts = self.starts[start : stop + 1] - self.starts[start]
        return Lot(self.contexts[start:stop], self.offered[start:stop], starts)


class Readers:
    """Readers of costs by how examples are made, so that a lot is hashed once for all."""

    def __init__(self) -> None:
        self._readers: dict[int, Reader] = {}

    def of(self, inside: Inside) -> "Reader":
        """The one for policies that make their examples as this one does."""
        key = id(inside.examples)
        if key not in self._readers:
            self._readers[key] = Reader(inside)
        return self._readers[key]


class _Hashed(NamedTuple):
    """A lot's features as VW hashes them: of the different actions, and of each context."""

    lot: Lot
    codes: Ints  # (p,) into the different actions
    actions: tuple[Ints, Costs]
    contexts: tuple[Ints, Costs]


class Reader:
    """Costs of many questions, from the weights of policies that make their examples alike."""

    def __init__(self, inside: Inside) -> None:
        self._examples = inside.examples
        self._known: dict[int, tuple[Action, Arrays]] = {}  # it keeps the action, so its id too
        self._last: _Hashed | None = None

    def costs(self, lot: Lot, members: Sequence[Inside]) -> list[Costs]:
        """Of each member each action's cost, up to what is the same for all of a question."""
        hashed = self._hashed(lot)
        found = [np.empty(int(lot.starts[-1]), np.float32) for _ in members]
        for start in range(0, len(lot), _CHUNK):
            stop = min(start + _CHUNK, len(lot))
            where = slice(int(lot.starts[start]), int(lot.starts[stop]))
            part = _part(hashed, slice(start, stop), where)
            masked: dict[int, tuple[Ints, Ints]] = {}
            for costs, inside in zip(found, members, strict=True):
                assert inside.weights is not None
                assert inside.explorer is not None
                mask = len(inside.weights) - 1
                if mask not in masked:
                    masked[mask] = part.own & mask, part.crossed & mask
                costs[where] = part.cost(inside.weights, *masked[mask], inside.explorer)
        return found

    def shared(self, lot: Lot, inside: Inside) -> Floats:
        """`(n,)` what is the same for all actions of a question."""
        assert inside.weights is not None
        mask = len(inside.weights) - 1
        indices, values = self._hashed(lot).contexts
        own = inside.weights.take(indices & mask) * values
        constant = float(inside.weights[(CONSTANT << STRIDE) & mask])
        costs: Floats = own.sum(axis=0, dtype=np.float64) + constant
        return costs

    def _hashed(self, lot: Lot) -> _Hashed:
        if self._last is None or self._last.lot is not lot:
            every = list(chain.from_iterable(lot.offered))
            ids = np.fromiter(map(id, every), np.int64, len(every))
            _, first, codes = np.unique(ids, return_index=True, return_inverse=True)
            actions = _padded([self._action(every[place]) for place in first.tolist()])
            contexts = _padded([self._examples.context(raw) for raw in lot.contexts])
            self._last = _Hashed(lot, codes, actions, contexts)
        return self._last

    def _action(self, action: Action) -> Arrays:
        found = self._known.get(id(action))
        if found is None:
            if len(self._known) >= _ARRAYS_N:
                self._known.clear()
            found = self._known[id(action)] = action, self._examples.action(action)
        return found[1]


def _part(hashed: _Hashed, rows: slice, where: slice) -> "_Part":
    """Some rows of a lot."""
    codes, counts = hashed.codes[where], hashed.lot.counts[rows]
    indices, values = hashed.actions
    contexts, numbers = hashed.contexts
    hashes = (contexts[:, rows] >> STRIDE) * FNV_PRIME << STRIDE
    return _Part(
        indices.take(codes, axis=1),
        values.take(codes, axis=1),
        np.repeat(hashes & INDEX_MASK, counts, axis=1),
        np.repeat(numbers[:, rows], counts, axis=1),
    )


class _Part:
    """Features of some questions' actions and contexts, one column per probability."""

    def __init__(self, own: Ints, values: Costs, hashes: Ints, numbers: Costs) -> None:
        self.own = own  # (m, p)
        self.crossed = hashes[:, None, :] ^ own[None]  # (f, m, p)
        self._values = values
        self._numbers = numbers[:, None, :]

    def cost(self, weights: Costs, own: Ints, crossed: Ints, explorer: Explorer) -> Costs:
        """`(p,)`; summed in the order of `vw_costs.costs_of`."""
        worth = weights.take(own)
        if not explorer.linear:
            worth[:] = 0.0
        if "U" in explorer.letters:
            for start in range(0, len(crossed), 16):
                products = weights.take(crossed[start : start + 16])
                products *= self._numbers[start : start + 16]
                worth += np.add.reduce(products, axis=0)
        worth *= self._values
        costs: Costs = np.add.reduce(worth, axis=0)
        return costs


def _padded(arrays: Sequence[Arrays]) -> tuple[Ints, Costs]:
    """Indices as `vw_costs` has them and values, `(most, n)` each, padded with the value 0."""
    lengths = np.array([len(each.indices) for each in arrays])
    most = int(lengths.max(initial=0))
    indices = np.zeros((len(arrays), most), np.uint64)
    values = np.zeros((len(arrays), most), np.float32)
    filled = np.arange(most) < lengths[:, None]
    if most:
        indices[filled] = np.concatenate([each.indices for each in arrays])
        values[filled] = np.concatenate([each.values for each in arrays])
    return np.ascontiguousarray(shifted(indices).T), np.ascontiguousarray(values.T)
