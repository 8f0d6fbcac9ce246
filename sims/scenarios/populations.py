"""What units earn: the distributions that studies of two variants draw from."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Population(Protocol):
    """Units whose numbers have a known mean."""

    @property
    def name(self) -> str:
        """For tables."""
        ...

    @property
    def mean(self) -> float:
        """Of a unit's number without any lift."""
        ...

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], lift: float = 0.0) -> Floats:
        """Numbers of units whose mean is (1 + lift) times that of others."""
        ...


@dataclass(frozen=True)
class Normal:
    """Numbers around `mean`."""

    mean: float = 1.0
    sd: float = 1.0

    @property
    def name(self) -> str:
        """For tables."""
        return "normal"

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], lift: float = 0.0) -> Floats:
        """Numbers of units; a lift moves them all alike."""
        return rng.normal(self.mean * (1.0 + lift), self.sd, shape)


@dataclass(frozen=True)
class Conversion:
    """A share of units has 1, the others 0."""

    share: float = 0.05

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.share:.0%} conversion"

    @property
    def mean(self) -> float:
        """The share."""
        return self.share

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], lift: float = 0.0) -> Floats:
        """Zeros and ones; a lift makes more ones."""
        return (rng.random(shape) < self.share * (1.0 + lift)).astype(np.float64)


@dataclass(frozen=True)
class Revenue:
    """A share of units buys, for a log-normal amount; the others have 0.

    Attributes:
        share: Of units that buy.
        sigma: Of the logarithm of an amount; 1.2 is a long tail, as of prices.
    """

    share: float = 0.1
    sigma: float = 1.2

    @property
    def name(self) -> str:
        """For tables."""
        return f"revenue of the {self.share:.0%} who buy"

    @property
    def mean(self) -> float:
        """Share × mean amount."""
        return self.share * float(np.exp(self.sigma**2 / 2.0))

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], lift: float = 0.0) -> Floats:
        """Zeros and amounts; a lift makes more buyers, of the same amounts."""
        buys = rng.random(shape) < self.share * (1.0 + lift)
        found = np.zeros(shape)
        found[buys] = rng.lognormal(0.0, self.sigma, int(buys.sum()))
        return found
