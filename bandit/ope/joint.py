"""Additive first and second moments of several columns at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandit.ope.arrays import Floats


@dataclass(frozen=True, eq=False)
class JointMoments:
    """Means and centred products of c columns; they add, and a row can be appended.

    Centred (not raw) products keep their digits when rewards have a large offset.

    Attributes:
        mass: Σs, the total of the rows' sampling weights; the number of rows when all are 1.
        mass_squares: Σs².
        means: `(c,)` Σs·x ÷ Σs.
        comoments: `(c, c)` Σs·(x − mean)(x − mean)ᵀ.
    """

    mass: float
    mass_squares: float
    means: Floats
    comoments: Floats

    @classmethod
    def of(cls, columns: Sequence[Floats], sampling: Floats | None = None) -> "JointMoments":
        """Moments of `c` columns of `(n,)` values.

        >>> both = JointMoments.of([np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])])
        >>> both.means.tolist(), both.comoments.tolist()
        ([2.0, 4.0], [[2.0, 4.0], [4.0, 8.0]])
        """
        table = np.stack(columns)
        if table.shape[1] == 0:
            c = len(columns)
            return cls(0.0, 0.0, np.zeros(c), np.zeros((c, c)))
        if sampling is None:
            mass = squares = float(table.shape[1])
            means = table.mean(axis=1)
            table -= means[:, None]
            return cls(mass, squares, means, table @ table.T)
        mass, squares = float(sampling.sum()), float(sampling @ sampling)
        means = table @ sampling / mass
        table -= means[:, None]
        return cls(mass, squares, means, (table * sampling) @ table.T)

    def __add__(self, other: "JointMoments") -> "JointMoments":
        """Moments of both sets of rows together.

        Source: Chan, Golub, LeVeque (1979), eq. 2.1, for products.
        """
        mass = self.mass + other.mass
        if mass == 0.0:
            return self
        gap = other.means - self.means
        return JointMoments(
            mass=mass,
            mass_squares=self.mass_squares + other.mass_squares,
            means=self.means + gap * (other.mass / mass),
            comoments=self.comoments
            + other.comoments
            + np.outer(gap, gap) * (self.mass * other.mass / mass),
        )

    @property
    def rows_n(self) -> float:
        """(Σs)² ÷ Σs²: rows, or what unequally sampled rows are worth.

        Source: Kish (1965), "Survey sampling", section 8.2.
        """
        return self.mass**2 / self.mass_squares if self.mass_squares else 0.0

    def with_row(self, row: Floats) -> "JointMoments":
        """Moments after one more row; the others count as `rows_n` rows."""
        scale = self.rows_n / self.mass
        as_rows = JointMoments(self.rows_n, self.rows_n, self.means, self.comoments * scale)
        return as_rows + JointMoments(1.0, 1.0, row, np.zeros_like(self.comoments))
