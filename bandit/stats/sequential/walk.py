"""A random walk that stops at boundaries: the recursive integration behind group designs.

The score S = Z·√t of a test moves like a Brownian motion with drift, looked at a few times. Its
density among the runs that have not stopped is carried from look to look on Gauss–Legendre panels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

Floats = npt.NDArray[np.float64]

_REACH = 7.5  # beyond so many deviations lies less than 1e-13
_PANEL = 5.0  # deviations of the smallest step per panel
_NODES = 16


@dataclass(frozen=True, eq=False)
class Walk:
    """The runs that are still going at one look.

    Attributes:
        fraction: Information so far, in shares of the plan; 0 before the first look.
        scores: Where the density is known, `(m,)`.
        masses: Density × quadrature weight there, `(m,)`; sums to the chance to be still going.
        drift: Mean of Z at the planned end.
        finest: The smallest step between two looks; it sets the panels.

    Source: Armitage, McPherson, Rowe (1969), "Repeated significance tests on accumulating data";
    Jennison, Turnbull (2000), "Group sequential methods", chapter 19.

    >>> walk = Walk.start((0.5, 1.0))
    >>> first = 2 * walk.above(0.5, 1.96)
    >>> second = 2 * walk.step(0.5, -1.96, 1.96).above(1.0, 1.96)
    >>> f"two looks at 1.96 alarm in {first:.3f} + {second:.4f}"
    'two looks at 1.96 alarm in 0.050 + 0.0331'
    """

    fraction: float
    scores: Floats
    masses: Floats
    drift: float
    finest: float

    @classmethod
    def start(cls, fractions: Sequence[float], drift: float = 0.0) -> "Walk":
        """Every run, before any look at `fractions`."""
        steps = np.diff(np.concatenate(([0.0], np.asarray(fractions, dtype=float))))
        if not len(fractions) or not np.all(steps > 0.0) or not math.isfinite(fractions[-1]):
            raise ValueError(f"fractions are {tuple(fractions)}, must be finite and rise from 0")
        return cls(0.0, np.zeros(1), np.ones(1), drift, float(steps.min()))

    def above(self, fraction: float, z: float) -> float:
        """Chance to be still going before `fraction` and then at Z ≥ z."""
        return self._tail(fraction, z, 1.0)

    def below(self, fraction: float, z: float) -> float:
        """Chance to be still going before `fraction` and then at Z ≤ z."""
        return self._tail(fraction, z, -1.0)

    def step(self, fraction: float, low: float, high: float) -> "Walk":
        """The runs that are at low < Z < high when looked at at `fraction`."""
        step, root = fraction - self.fraction, math.sqrt(fraction)
        middle = self.drift * fraction
        left = max(low * root, middle - _REACH * root)
        right = min(high * root, middle + _REACH * root)
        if left >= right:  # nobody is left, to within 1e-13
            return Walk(fraction, np.zeros(1), np.zeros(1), self.drift, self.finest)
        scores, weights = _panels(left, right, _PANEL * math.sqrt(self.finest))
        gaps = scores[:, None] - (self.scores + self.drift * step)[None, :]
        kernel = np.exp(gaps**2 / (-2.0 * step))
        density = kernel @ self.masses / math.sqrt(2.0 * math.pi * step)
        return Walk(fraction, scores, weights * density, self.drift, self.finest)

    def _tail(self, fraction: float, z: float, side: float) -> float:
        step = fraction - self.fraction
        gap = self.scores + self.drift * step - z * math.sqrt(fraction)
        return float(self.masses @ ndtr(side * gap / math.sqrt(step)))


def _panels(left: float, right: float, length: float) -> tuple[Floats, Floats]:
    """Nodes and weights of Gauss–Legendre on panels of at most `length`."""
    nodes, weights = _legendre()
    count = max(2, math.ceil((right - left) / length))
    edges = np.linspace(left, right, count + 1)
    half = (right - left) / count / 2.0
    centres = (edges[:-1] + edges[1:]) / 2.0
    return (centres[:, None] + half * nodes[None, :]).ravel(), np.tile(half * weights, count)


@cache
def _legendre() -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights
