"""Moments of a sample: all that a test of means needs of its rows."""

import math
from collections.abc import Iterable

from bandit.errors import NotEnoughData, RecordError
from bandit.records import Record


class Moments(Record, frozen=True, kw_only=True):
    """Size, mean and centred square sum of a sample; they add.

    Centred sums, not plain ones: with a mean of 1e9 and a deviation of 1 the sum of squares has
    lost the variance before it is asked for. ClickHouse gives them as `count()`, `avg(x)` and
    `varPopStable(x) * count()`.

    Attributes:
        n: How many values.
        mean: Their mean; 0 when there are none.
        m2: Σ(x − mean)².

    >>> Moments.of([1.0, 2.0]) + Moments.of([3.0, 6.0]) == Moments.of([1.0, 2.0, 3.0, 6.0])
    True
    >>> Moments.of([1.0, 2.0, 3.0, 6.0])
    Moments(n=4, mean=3.0, m2=14.0)
    """

    n: int
    mean: float
    m2: float

    def __post_init__(self) -> None:
        if self.n < 0 or not 0.0 <= self.m2 < math.inf or not math.isfinite(self.mean):
            raise RecordError(
                f"moments are n = {self.n}, mean = {self.mean!r}, m2 = {self.m2!r}, "
                "must be finite, n and m2 at least 0"
            )

    @classmethod
    def of(cls, values: Iterable[float]) -> "Moments":
        """Moments of `values`, in two passes."""
        rows = list(values)
        if not rows:
            return NONE
        mean = math.fsum(rows) / len(rows)
        return cls(n=len(rows), mean=mean, m2=math.fsum((x - mean) ** 2 for x in rows))

    def __add__(self, other: "Moments") -> "Moments":
        """Moments of both samples together.

        Source: Chan, Golub, LeVeque (1979), "Updating formulae and a pairwise algorithm for
        computing sample variances", eq. 2.1.
        """
        n = self.n + other.n
        if n == 0:
            return NONE
        gap = other.mean - self.mean
        return Moments(
            n=n,
            mean=self.mean + gap * other.n / n,
            m2=self.m2 + other.m2 + gap * gap * self.n * other.n / n,
        )

    @property
    def variance(self) -> float:
        """m2 / (n − 1).

        Raises:
            NotEnoughData: n is below 2.
        """
        if self.n < 2:
            raise NotEnoughData("a variance", self.n, 2)
        return self.m2 / (self.n - 1)


NONE = Moments(n=0, mean=0.0, m2=0.0)
"""The moments of nothing: what a sum starts from."""
