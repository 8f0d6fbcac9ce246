"""Joint moments of several columns: all that ratios, covariates and clusters need of the rows."""

import math
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from bandit.errors import NotEnoughData, RecordError
from bandit.records import Record
from bandit.stats.moments import Moments

Matrix = tuple[tuple[float, ...], ...]
"""A matrix as rows of plain numbers, so that it travels as JSON."""


class JointMoments(Record, frozen=True, kw_only=True):
    """Size, means and centred cross-products of a sample with d columns; they add.

    One record gives every mean, ratio and covariate adjustment over its columns, so slices and
    days are merged first and estimated afterwards. ClickHouse gives it as `count()`, `avg(x_j)`
    and `covarSampMatrix(x_1, …, x_d)`: see `of_covariance`.

    Attributes:
        n: How many rows.
        means: Mean of each column, (d,); 0 when there are no rows.
        cross: Σ(x_i − mean_i)(x_j − mean_j), (d, d), symmetric.

    >>> first = JointMoments.of_columns([1.0, 2.0], [1.0, 3.0])
    >>> first + JointMoments.of_columns([3.0], [5.0])
    JointMoments(n=3, means=(2.0, 3.0), cross=((2.0, 4.0), (4.0, 8.0)))
    """

    n: int
    means: tuple[float, ...]
    cross: Matrix

    def __post_init__(self) -> None:
        d = len(self.means)
        if len(self.cross) != d or any(len(row) != d for row in self.cross):
            raise RecordError(f"cross has {len(self.cross)} rows, must be ({d}, {d}) as means")
        finite = all(map(math.isfinite, self.means)) and all(
            math.isfinite(value) for row in self.cross for value in row
        )
        if self.n < 0 or not finite or any(self.cross[j][j] < 0.0 for j in range(d)):
            raise RecordError(
                f"joint moments are n = {self.n}, means = {self.means}, cross = {self.cross}, "
                "must be finite, n and the diagonal at least 0"
            )

    @classmethod
    def none(cls, d: int) -> "JointMoments":
        """The joint moments of no rows of `d` columns: what a sum starts from."""
        return _none(d)

    @classmethod
    def of_columns(cls, *columns: Iterable[float]) -> "JointMoments":
        """Joint moments of columns of equal length, in two passes around their first row.

        Raises:
            RecordError: The columns differ in length.
        """
        rows = [
            # A list of an array's numbers would be a thousand times slower than the array.
            np.asarray(column if isinstance(column, np.ndarray) else list(column), np.float64)
            for column in columns
        ]
        if len({row.size for row in rows}) > 1:
            raise RecordError(f"columns have {[row.size for row in rows]} rows, must be as many")
        if not rows or rows[0].size == 0:
            return cls.none(len(rows))
        table = np.stack(rows)
        start = table[:, :1].copy()
        table = table - start
        means = table.mean(axis=1, keepdims=True)
        table -= means
        # What the rounded mean left behind: the corrected two-pass algorithm.
        rest = table.mean(axis=1, keepdims=True)
        cross = table @ table.T - rows[0].size * (rest @ rest.T)
        means = start + (means + rest)
        return cls(n=rows[0].size, means=tuple(means[:, 0].tolist()), cross=to_matrix(cross))

    @classmethod
    def of_covariance(
        cls, n: int, means: Sequence[float], covariance: Sequence[Sequence[float]]
    ) -> "JointMoments":
        """Joint moments from what a database gives: means and covariances over n − 1.

        The covariances of fewer than two rows (NaN in ClickHouse) are not read.
        """
        if n < 2:
            return cls(n=n, means=tuple(means), cross=cls.none(len(means)).cross)
        return cls(n=n, means=tuple(means), cross=to_matrix(np.asarray(covariance) * (n - 1)))

    @classmethod
    def of_count(cls, successes: int, n: int) -> "JointMoments":
        """Joint moments of one column with `successes` ones and n − successes zeros.

        Raises:
            RecordError: `successes` is not in 0 … n.
        """
        if not 0 <= successes <= n:
            raise RecordError(f"successes are {successes}, must be in 0 … {n}")
        m2 = successes * ((n - successes) / n) if n else 0.0
        return cls(n=n, means=(successes / n if n else 0.0,), cross=((m2,),))

    @classmethod
    def of_moments(cls, moments: Moments) -> "JointMoments":
        """The same of one column."""
        return cls(n=moments.n, means=(moments.mean,), cross=((moments.m2,),))

    def __add__(self, other: "JointMoments") -> "JointMoments":
        """Joint moments of both samples together.

        Raises:
            RecordError: They have different columns.

        Source: Pébay (2008), "Formulas for robust, one-pass parallel computation of covariances
        and arbitrary-order statistical moments", eq. 3.6; Chan, Golub, LeVeque (1979), eq. 2.1.
        """
        if len(self.means) != len(other.means):
            raise RecordError(
                f"joint moments have {len(other.means)} columns, must be {len(self.means)} to add"
            )
        if not other.n:
            return self
        if not self.n:
            return other
        n = self.n + other.n
        gap = np.subtract(other.means, self.means)
        means = np.add(self.means, gap * (other.n / n))
        cross = np.add(self.cross, other.cross) + np.outer(gap, gap) * (self.n * (other.n / n))
        return JointMoments(n=n, means=tuple(means.tolist()), cross=to_matrix(cross))

    def covariance(self, ddof: int = 1) -> NDArray[np.float64]:
        """Centred cross-products over n − ddof, (d, d).

        Raises:
            NotEnoughData: n is at most `ddof`.
        """
        if self.n <= ddof:
            raise NotEnoughData("a covariance", self.n, ddof + 1)
        return np.array(self.cross, dtype=np.float64) / (self.n - ddof)

    def take(self, *columns: int) -> "JointMoments":
        """Joint moments of some columns, in that order."""
        cross = np.array(self.cross)[np.ix_(columns, columns)]
        return JointMoments(
            n=self.n, means=tuple(self.means[j] for j in columns), cross=to_matrix(cross)
        )

    def column(self, j: int) -> Moments:
        """Moments of one column."""
        return Moments(n=self.n, mean=self.means[j], m2=self.cross[j][j])


@cache
def _none(d: int) -> JointMoments:
    return JointMoments(n=0, means=(0.0,) * d, cross=((0.0,) * d,) * d)


def to_matrix(array: NDArray[np.float64]) -> Matrix:
    """A symmetric array as rows of plain numbers; rounding's asymmetry is averaged away."""
    even = (array + array.T) / 2.0
    return tuple(tuple(row) for row in even.tolist())
