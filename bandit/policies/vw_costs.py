"""What a Vowpal Wabbit model thinks of many actions at once, read from its weights.

VW looks at one example after the other, and an example takes 32 kB: with 200 actions, most of a
decision is spent waiting for memory. Here the features of all actions lie side by side, a few bytes
each, and NumPy reads the weights of all of them. The model, its hashes and its weights are VW's;
only the sum is ours: of the weights of an action's features, and of their products with those of
the context and the slot. What is the same for every action of a decision (the constant, the
context's own weights) is left out: what is supported compares costs, and does not ask how high they
are. Every sum is made element by element in one order, so that any processor gives the same bits.

Source:
    `cb_explore_adf_squarecb.cc`, `cb_explore_adf_greedy.cc` and `interactions_predict.h` of Vowpal
    Wabbit 9.9 (quadratic features: `FNV_prime · first XOR second`); Foster & Rakhlin 2020, "Beyond
    UCB", section 3 (squarecb).
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import msgspec
import numpy as np
import numpy.typing as npt

from bandit.errors import RecordError
from bandit.policies.arguments import Arguments
from bandit.records import Action

FEWEST = 48
"""Fewer actions are asked faster one by one."""
WIDEST = 32
"""Features that an action may have here."""

CONSTANT = 11_650_396
"""VW's index of the feature that is always there."""

_COLUMNS_N = 4_096
_WHOLES_N = 16
STRIDE = 2  # a weight has four floats; indices are kept times four
_CHUNK = 16  # features of the context at a time: what they give stays in the cache
_FEW = 2_048  # so many chunks of one product each may be taken at once, for the same reason
INDEX_MASK = (1 << 40) - 1  # more bits than any model's, and their products are no negative int64
FNV_PRIME = 16_777_619

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class Arrays(NamedTuple):
    """Features as VW hashes them; as many indices as values."""

    indices: npt.NDArray[np.uint64]
    values: Floats


class Offered(NamedTuple):
    """The features of some actions, `(m, k)` each, padded with the value 0."""

    indices: Ints
    values: Floats


class _Known(NamedTuple):
    """An action in the table: its features as sent, its column, how many features it has."""

    features: msgspec.Raw
    column: int
    n: int


class ActionTable:
    """The features of every action that was asked for lately, in columns.

    Pure functions of the actions, so that all policies with the same hashes may share one.
    """

    def __init__(self, arrays_of: Callable[[Action], Arrays]) -> None:
        """An empty table.

        Args:
            arrays_of: Hashes an action's features.
        """
        self._arrays_of = arrays_of
        self._indices = np.zeros((WIDEST, _COLUMNS_N), np.int64)
        self._values = np.zeros((WIDEST, _COLUMNS_N), np.float32)
        self._known: dict[str, _Known] = {}
        self._wholes: dict[int, tuple[tuple[Action, ...], Offered]] = {}

    def offered(self, actions: Sequence[Action]) -> Offered | None:
        """The features of some actions; None if one has more than `WIDEST`.

        Raises:
            RecordError: Features that no policy may see, or an action that is offered twice.
        """
        whole = self._wholes.get(id(actions))  # it keeps the tuple, so nothing else has its id
        if whole is not None:
            return whole[1]
        if len(self._known) + len(actions) > _COLUMNS_N:
            self.clear()
        known, columns, most = self._known, [], 0
        for action in actions:
            one = known.get(action.id)
            # The actions of a catalogue are the same objects again and again.
            if one is None or (one[0] is not action.features and one[0] != action.features):
                one = self._add(action, one)
                if one is None:
                    return None
            columns.append(one[1])
            if one[2] > most:
                most = one[2]
        if len(set(columns)) < len(columns):
            raise RecordError("actions hold an id twice, must have different ids")
        offered = Offered(
            self._indices[:most].take(columns, axis=1), self._values[:most].take(columns, axis=1)
        )
        if isinstance(actions, tuple):  # a whole catalogue comes again and again
            if len(self._wholes) >= _WHOLES_N:
                self._wholes.clear()
            self._wholes[id(actions)] = (actions, offered)
        return offered

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
        self._wholes.clear()

    def _add(self, action: Action, before: _Known | None) -> _Known | None:
        arrays = self._arrays_of(action)
        n = len(arrays.indices)
        if n > WIDEST:
            return None
        column = len(self._known) if before is None else before.column
        self._indices[:n, column] = shifted(arrays.indices)
        self._values[:n, column] = arrays.values
        self._values[n:, column] = 0.0
        known = _Known(action.features.copy(), column, n)
        self._known[action.id] = known
        return known


class Explorer(NamedTuple):
    """How probabilities are made of costs, for arguments that are supported.

    Attributes:
        letters: Namespaces that interact with the action's features.
        linear: Whether the action's features count by themselves.
        epsilon: Of epsilon-greedy; None for squarecb.
        gamma_scale, gamma_exponent: Of squarecb.
    """

    letters: frozenset[str]
    linear: bool
    epsilon: float | None
    gamma_scale: float
    gamma_exponent: float

    @classmethod
    def of(cls, arguments: Arguments) -> Self | None:
        """None for arguments that only VW itself can answer."""
        words = arguments.words[1:]
        options: dict[str, list[str]] = {}
        for word, value in zip(words, (*words[1:], ""), strict=True):
            if word.startswith("--"):
                options.setdefault(word, []).append("" if value.startswith("--") else value)
        squarecb = "--squarecb" in options
        if not options.keys() <= _SUPPORTED or (squarecb and "--epsilon" in options):
            return None
        if options.get("--cb_type", ["mtr"]) != ["mtr"]:
            return None
        pairs = options.get("--quadratic", [])
        if any("A" in pair and pair not in ("UA", "SA") for pair in pairs):
            return None
        return cls(
            letters=frozenset(pair[0] for pair in pairs if pair.endswith("A")),
            linear="A" not in options.get("--ignore_linear", []),
            epsilon=None if squarecb else float(options.get("--epsilon", ["0.05"])[0]),
            gamma_scale=float(options.get("--gamma_scale", ["10"])[0]),
            gamma_exponent=float(options.get("--gamma_exponent", ["0.5"])[0]),
        )

    def pmf(self, costs: Floats, lessons_n: int) -> list[float]:
        """Probabilities over actions.

        Args:
            costs: `(k,)`, up to what is the same for all.
            lessons_n: How many lessons the model has learned.
        """
        k, lowest = len(costs), costs.min()
        if self.epsilon is not None:
            best = costs == lowest
            share = (1.0 - self.epsilon) / int(best.sum())
            greedy: list[float] = (self.epsilon / k + share * best).tolist()
            return greedy
        gamma = self.gamma_scale * float(lessons_n) ** self.gamma_exponent
        pmf: list[float] = (1.0 / (k + gamma * (costs - lowest).astype(np.float64))).tolist()
        first = int(costs.argmin())
        pmf[first] = 0.0
        pmf[first] = 1.0 - math.fsum(pmf)
        return pmf


def costs_of(
    weights: Floats, offered: Offered, shared: Sequence[Arrays], *, linear: bool
) -> Floats:
    """Each action's cost, up to what is the same for all, `(k,)`.

    Args:
        weights: Of the model, flat; its length is a power of two.
        offered: The actions.
        shared: Features that interact with those of the actions.
        linear: Whether the actions' features count by themselves.
    """
    [costs] = costs_of_all([weights], offered, shared, linear=linear)
    return costs


def costs_of_all(
    models: Sequence[Floats], offered: Offered, shared: Sequence[Arrays], *, linear: bool
) -> list[Floats]:
    """The same of several models at once, whose weights lie in the same places.

    Args:
        models: Weights of each, as many.
        offered: As in `costs_of`.
        shared: The same.
        linear: The same.
    """
    mask = len(models[0]) - 1
    places = offered.indices & mask
    worths = [weights.take(places) for weights in models]
    if not linear:
        for worth in worths:
            worth[:] = 0.0
    for namespace in shared:
        hashes = shifted(namespace.indices * np.uint64(FNV_PRIME))[:, None, None]
        values = namespace.values[:, None, None]
        whole_n = len(hashes) // _CHUNK
        if 1 < whole_n <= _FEW // max(places.size, 1):  # all chunks in one go
            end = whole_n * _CHUNK
            shape = (whole_n, _CHUNK, *offered.indices.shape)
            part = hashes[:end] ^ offered.indices
            part &= mask
            for worth, weights in zip(worths, models, strict=True):
                products = weights.take(part)
                products *= values[:end]
                for one in np.add.reduce(products.reshape(shape), axis=1):
                    worth += one
        else:
            end = 0
        for start in range(end, len(hashes), _CHUNK):
            part = hashes[start : start + _CHUNK] ^ offered.indices
            part &= mask
            for worth, weights in zip(worths, models, strict=True):
                products = weights.take(part)
                products *= values[start : start + _CHUNK]
                worth += np.add.reduce(products, axis=0)
    found = []
    for worth in worths:
        worth *= offered.values
        costs: Floats = np.add.reduce(worth, axis=0)
        found.append(costs)
    return found


def weight_of(weights: Floats, index: npt.NDArray[np.uint64], shared: Sequence[Arrays]) -> float:
    """The weight of one feature of an action, or of its product with one of the context."""
    place = shifted(index)
    for namespace in shared:
        place = shifted(namespace.indices * np.uint64(FNV_PRIME)) ^ place
    return float(weights[int(place[0]) & (len(weights) - 1)])


def common_of(weights: Floats, shared: Arrays) -> float:
    """The cost that all actions of a question have in common: the constant's and the context's."""
    mask = len(weights) - 1
    own = weights.take(shifted(shared.indices) & mask) * shared.values
    return float(weights[(CONSTANT << STRIDE) & mask]) + math.fsum(own.tolist())


def offered_of(actions: Sequence[Arrays]) -> Offered:
    """Actions of any number of features, as `costs_of` takes them."""
    most = max(len(arrays.indices) for arrays in actions)
    indices = np.zeros((most, len(actions)), np.int64)
    values = np.zeros((most, len(actions)), np.float32)
    for place, arrays in enumerate(actions):
        n = len(arrays.indices)
        indices[:n, place] = shifted(arrays.indices)
        values[:n, place] = arrays.values
    return Offered(indices, values)


def flat_weights(table: npt.NDArray[np.float32]) -> Floats | None:
    """A view of a model's weights, always as they are now; None if they do not lie as expected."""
    flat = table.reshape(-1)
    fits = table.shape[1:] == (1, 1 << STRIDE) and np.shares_memory(flat, table)
    return flat if fits else None


def shifted(indices: npt.NDArray[np.uint64]) -> Ints:
    """Hashes as indices of a weight's first float, before a model's `-b` cuts them."""
    return ((indices << np.uint64(STRIDE)) & np.uint64(INDEX_MASK)).astype(np.int64)


_SUPPORTED = {
    "--squarecb",
    "--gamma_scale",
    "--gamma_exponent",
    "--epsilon",
    "--cb_type",
    "--learning_rate",
    "--power_t",
    "--quadratic",
    "--ignore_linear",
    "--noconstant",
    "--bit_precision",
}
