"""Features → a vector of fixed length whose products are a Gaussian kernel: what is near is alike.

A linear model of a few dozen numbers can not say "high and low are bad"; one of these vectors can.
Each feature name has a random direction; z = width · Σ value · direction / √(features), and the
vector is (1, cos z, sin z)/√(half of its length), so that the product of two of them is near
exp(−width²·|difference|²/2). Directions come out of a hash of the name, so nobody keeps a list of
names, and no two names share anything.

Numbers are taken as (x − mean)/sd, cut at ±5, by what the first `FIRST` lessons have shown so far;
mean and sd are frozen then. So neither an offset nor a unit matters.

Everything is added and multiplied element by element in one order, and the cosine is a polynomial:
any processor gives the same bits.

Source:
    Rahimi & Recht 2007, "Random features for large-scale kernel machines", algorithm 1.
"""

import functools
import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bandit.policies.cache import Generations
from bandit.policies.features import Features

Floats = npt.NDArray[np.float64]

FIRST = 200
"""Lessons that means and sds are from."""
CUT = 5.0
_TEXT = "="
_DIRECTIONS_N = 20_000  # of 64 numbers: 10 MB a generation
_CONTEXTS_N, _ACTIONS_N, _MEASURES_N = 256, 2_000, 128
# cos(2πt) for t in [−1/2, 1/2], its Taylor series in t² to t²⁰: within 1e-8.
_COSINE = [(-1.0) ** i * (2.0 * math.pi) ** (2 * i) / math.factorial(2 * i) for i in range(11)]


class Seen(NamedTuple):
    """Of a number: lessons that had it, their mean, and the squares around it."""

    n: int
    mean: float
    squares: float

    def with_value(self, value: float) -> "Seen":
        """One lesson later (Welford 1962)."""
        n = self.n + 1
        mean = self.mean + (value - self.mean) / n
        return Seen(n, mean, self.squares + (value - self.mean) * (value - mean))

    @property
    def sd(self) -> float:
        """Standard deviation; infinite while there is no spread, so that all are 0 of it away."""
        return math.sqrt(self.squares / self.n) if self.squares > 0.0 else math.inf


NEVER, _AS_IT_IS = Seen(0, 0.0, 0.0), Seen(1, 0.0, 1.0)


class Measures(NamedTuple):
    """What the values of some features are measured by; a text's is left as it is.

    Attributes:
        means: `(n,)`.
        sds: `(n,)`.
    """

    means: Floats
    sds: Floats

    def scaled(self, values: Sequence[float]) -> Floats:
        """`(n,)` in standard deviations from the mean, at most `CUT`."""
        scaled = (np.array(values) - self.means) / self.sds
        return np.clip(scaled, -CUT, CUT, out=scaled)


class _Sum(NamedTuple):
    """Of an object's features: Σ value · direction, and how many they are."""

    turns: Floats
    n: int


class Kernel:
    """Makes vectors, and learns how large numbers are.

    >>> kernel = Kernel(waves=64, width=0.5)
    >>> near, far = (kernel.vectors(Features((f"hour={h}",), (1.0,)))[0] for h in ("9", "22"))
    >>> round(float(near @ near) - 1, 3), 0.6 < float(near @ far) - 1 < 0.95
    (1.0, True)

    Attributes:
        length: Of a vector, the constant counted.
        lessons_n: How many were looked at, up to `FIRST`.
        seen: What was seen of each number; an action's are told apart by a blank before the name.
    """

    def __init__(
        self,
        waves: int,
        width: float,
        lessons_n: int = 0,
        seen: Mapping[str, tuple[int, float, float]] | None = None,
    ) -> None:
        """Nothing is known of numbers, or what `lessons_n` and `seen` of another one say."""
        self._waves, self._width = waves, width
        self.length = 2 * waves + 1
        self.lessons_n = lessons_n
        self.seen = {name: Seen(*each) for name, each in (seen or {}).items()}
        self._contexts: Generations[Features, _Sum] = Generations(_CONTEXTS_N)
        self._actions: Generations[Features, _Sum] = Generations(_ACTIONS_N)
        self._measures: Generations[tuple[str, ...], Measures] = Generations(_MEASURES_N)

    def look_at(self, context: Features, action: Features) -> bool:
        """Remember a lesson's numbers: those of the context and of the action that was drawn.

        Returns:
            Whether vectors are other ones from now on.
        """
        if self.lessons_n >= FIRST:
            return False
        self.lessons_n += 1
        found = False
        for prefix, part in (("", context), (" ", action)):
            for name, value in zip(part.names, part.values, strict=True):
                if _TEXT not in name:
                    name = prefix + name
                    self.seen[name] = self.seen.get(name, NEVER).with_value(value)
                    found = True
        if found:
            self._contexts.clear()
            self._actions.clear()
            self._measures.clear()
        return found

    def vectors(self, context: Features, actions: Sequence[Features] = ()) -> Floats:
        """A context with each of some actions, `(k, length)`; `(1, length)` without any."""
        shared = self._sum(context, self._contexts, "")
        if not actions:
            turns = shared.turns[None] * self._share(shared.n)
        else:
            own = [self._sum(action, self._actions, " ") for action in actions]
            turns = np.stack([each.turns for each in own])
            turns += shared.turns
            turns *= np.array([self._share(shared.n + each.n) for each in own])[:, None]
        both = np.empty((len(turns), 2 * self._waves))
        both[:, : self._waves] = turns
        np.subtract(turns, 0.25, out=both[:, self._waves :])
        vectors = np.empty((len(turns), self.length))
        vectors[:, 0] = 1.0
        np.multiply(_cosines(both), 1.0 / math.sqrt(self._waves), out=vectors[:, 1:])
        return vectors

    def _share(self, n: int) -> float:
        return self._width / (2.0 * math.pi * math.sqrt(max(n, 1)))

    def _sum(self, features: Features, known: Generations[Features, _Sum], prefix: str) -> _Sum:
        found = known.get(features)
        if found is None:
            names = features.names
            if prefix:
                names = tuple([prefix + name for name in names])
            values = self._measures_of(names).scaled(features.values)
            products = _directions_of(names, self._waves) * values[:, None]
            turns = np.add.reduce(products, axis=0)
            found = _Sum(turns, len(features.names))
            known.put(features, found)
        return found

    def _measures_of(self, names: tuple[str, ...]) -> Measures:
        found = self._measures.get(names)
        if found is None:
            seen = [_AS_IT_IS if _TEXT in name else self.seen.get(name, NEVER) for name in names]
            found = Measures(np.array([e.mean for e in seen]), np.array([e.sd for e in seen]))
            self._measures.put(names, found)
        return found


def _cosines(turns: Floats) -> Floats:
    """cos(2π·turns), by sums and products alone."""
    t = turns - np.rint(turns)
    t *= t
    found = np.full_like(t, _COSINE[-1])
    for coefficient in _COSINE[-2::-1]:
        found *= t
        found += coefficient
    return found


@functools.lru_cache(maxsize=128)
def _directions_of(names: tuple[str, ...], waves: int) -> Floats:
    """`(names, waves)`; contexts that differ in their numbers alone have the same names."""
    return np.array([_direction(name, waves) for name in names]).reshape(len(names), waves)


def _direction(name: str, waves: int) -> Floats:
    known = _directions(waves)
    found = known.get(name)
    if found is None:
        found = _draw(name, waves)
        known.put(name, found)
    return found


@functools.cache
def _directions(waves: int) -> Generations[str, Floats]:
    """Pure functions of the names, so that all policies of a process share them."""
    return Generations(_DIRECTIONS_N)


def _draw(name: str, waves: int) -> Floats:
    """Numbers like a standard normal's, each a sum of eight bytes of the name's hash."""
    text = name.encode(errors="surrogatepass")
    need = 8 * waves
    content = hashlib.shake_128(text).digest(need)
    sums = np.frombuffer(content, np.uint8).reshape(waves, 8).sum(axis=1, dtype=np.int64)
    # A byte has mean 127.5 and variance (256² − 1)/12.
    found: Floats = (sums - 8 * 127.5) / math.sqrt(8 * (256**2 - 1) / 12)
    return found
