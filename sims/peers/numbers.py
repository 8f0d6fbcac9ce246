"""Rounds as the arrays that most libraries want."""

import importlib
from itertools import islice
from types import ModuleType

import msgspec
import numpy as np
import numpy.typing as npt

from bandit.policies.coordinates import Coordinates
from bandit.policies.features import Features, features_of
from sims.worlds.base import Round, World

Floats = npt.NDArray[np.float64]
WIDEST = 128
"""Coordinates of a vector, the constant's counted; names beyond share them by their hash."""

LOOKED_N = 300
"""Rounds by which it is said how many a world needs."""


class PeerMissing(RuntimeError):
    """A library that is not installed, or does not work here."""


def library(name: str) -> ModuleType:
    """Import a peer when it is needed.

    Raises:
        PeerMissing: With what to install.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, TypeError) as exc:
        raise PeerMissing(
            f"{name} can not be imported ({exc}): pip install 'bandit-service[bakeoff]'"
        ) from exc


class Numbers:
    """Contexts, with the features of what is offered if it has any, as vectors of one length.

    Numbers are scaled by their running mean and standard deviation, which every tutorial of these
    libraries does beforehand; texts are 0 or 1.

    >>> numbers = Numbers(most=3)
    >>> numbers.vector(b'{"x": 3}').tolist(), numbers.vector(b'{"x": 5}').tolist()
    ([1.0, 0.0, 0.0], [1.0, 1.0, 0.0])
    """

    def __init__(self, most: int = WIDEST) -> None:
        """Nothing is known yet.

        Args:
            most: Length of the vectors.
        """
        self._most = most
        self._coordinates = Coordinates(most)
        self._moments: dict[str, tuple[int, float, float]] = {}

    @property
    def used_n(self) -> int:
        """Coordinates that mean something so far."""
        return self._coordinates.length

    def of(self, this: Round) -> Floats:
        """`(most,)` of a round."""
        offered = {a.id: msgspec.Raw(a.features) for a in this.actions if a.features != b"{}"}
        if not offered:
            return self.vector(this.context)
        members = msgspec.json.decode(this.context, type=dict[str, object])
        return self.vector(msgspec.json.encode({**members, "offered": offered}))

    def vector(self, raw: bytes) -> Floats:
        """Of a JSON object, whose numbers are remembered."""
        features = features_of(raw)
        self._coordinates.learn(features.names)
        values = [
            value if "=" in name else self._scaled(name, value)
            for name, value in zip(features.names, features.values, strict=True)
        ]
        short = self._coordinates.vector(Features(features.names, tuple(values)))
        vector = np.zeros(self._most)
        vector[: len(short)] = short
        return vector

    def _scaled(self, name: str, value: float) -> float:
        n, mean, squares = self._moments.get(name, (0, 0.0, 0.0))
        n, off = n + 1, value - mean
        mean += off / n
        squares += off * (value - mean)
        self._moments[name] = n, mean, squares
        sd = float(np.sqrt(squares / n))
        return (value - mean) / sd if sd > 0.0 else 0.0


class Arms:
    """Action ids as numbers, in the order in which they were first offered."""

    def __init__(self) -> None:
        self._of: dict[str, int] = {}

    def of(self, this: Round) -> list[int]:
        """Of a round's actions."""
        for action in this.actions:
            self._of.setdefault(action.id, len(self._of))
        return [self._of[action.id] for action in this.actions]


MOST_ARMS = 64
"""More fixed arms take seconds a decision."""


def arms_n(world: World) -> int:
    """How many arms a library is to be told of beforehand.

    Raises:
        PeerMissing: More than it can have, or nobody knows how many.
    """
    found = getattr(world, "actions_n", None) or len(getattr(world, "actions", ())) or None
    if found is None or found > MOST_ARMS:
        raise PeerMissing(f"has fixed arms, at most {MOST_ARMS}, and here are {found or 'many'}")
    return int(found)


def width_of(world: World) -> int:
    """How many coordinates a world's rounds need, by some of them; at most `WIDEST`."""
    numbers = Numbers()
    for this in islice(world.rounds(np.random.default_rng(0)), LOOKED_N):
        numbers.of(this)
    return numbers.used_n


def greedy(values: Floats) -> Floats:
    """All probability on the largest; ties share it."""
    best = values >= values.max()
    return np.asarray(best / best.sum())
