"""Moments of importance weights and rewards, clustered by unit: all that IPS and SNIPS need."""

from collections.abc import Sequence

import numpy as np

from bandit.errors import RecordError
from bandit.records import Record

PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
"""Order of `comoments` over (decisions, weight, contribution)."""


class WeightMoments(Record, frozen=True, kw_only=True):
    """Sums over units of their decisions, weights and contributions; they add.

    A unit's decisions are not independent (one user, one taste), so its three sums are one
    observation: (n_u, Σw, Σw·r). With one decision per unit this is the textbook's i.i.d. case.
    Moments add for logs that share no unit; a unit in two of them would count as two.

    Attributes:
        units_n: Units with at least one decision.
        n: Decisions.
        matched_n: Decisions with a weight above 0.
        means: Per unit: decisions, weight, contribution.
        comoments: Σ_u of the products of the three sums less their means, in the order of `PAIRS`.
        weight_squares: Σw² over decisions.
        max_weight: The greatest weight.
    """

    units_n: int
    n: int
    matched_n: int
    means: tuple[float, float, float]
    comoments: tuple[float, float, float, float, float, float]
    weight_squares: float
    max_weight: float

    @classmethod
    def of(
        cls, units: Sequence[str], weights: Sequence[float], rewards: Sequence[float]
    ) -> "WeightMoments":
        """Moments of a log.

        Args:
            units: `(n,)` who each decision was made for.
            weights: `(n,)` target probability ÷ logged propensity of the action shown, ≥ 0.
            rewards: `(n,)` what it earned.

        Raises:
            RecordError: A weight is negative or not finite, or a reward not finite.
            ValueError: The three differ in length.
        """
        w, r = np.asarray(weights, dtype=float), np.asarray(rewards, dtype=float)
        if not len(units) == len(w) == len(r):
            raise ValueError(
                f"{len(units)} units, {len(w)} weights and {len(r)} rewards, must be as many"
            )
        if not (np.isfinite(w).all() and np.isfinite(r).all() and (w >= 0.0).all()):
            raise RecordError("weights and rewards must be finite, weights at least 0")
        if not len(units):
            return NOTHING
        _, place = np.unique(np.asarray(units), return_inverse=True)
        columns = (np.ones_like(w), w, w * r)
        sums = np.stack([np.bincount(place, column) for column in columns])
        centred = sums - sums.mean(axis=1, keepdims=True)
        products = centred @ centred.T
        decisions, weight, contribution = sums.mean(axis=1).tolist()
        nn, nw, nc, ww, wc, cc = (float(products[i, j]) for i, j in PAIRS)
        return cls(
            units_n=sums.shape[1],
            n=len(w),
            matched_n=int((w > 0.0).sum()),
            means=(decisions, weight, contribution),
            comoments=(nn, nw, nc, ww, wc, cc),
            weight_squares=float(w @ w),
            max_weight=float(w.max()),
        )

    def __add__(self, other: "WeightMoments") -> "WeightMoments":
        """Moments of both logs together.

        Source: Chan, Golub, LeVeque (1979), eq. 2.1, for products.
        """
        units_n = self.units_n + other.units_n
        if units_n == 0:
            return NOTHING
        gap = [b - a for a, b in zip(self.means, other.means, strict=True)]
        share, between = other.units_n / units_n, self.units_n * other.units_n / units_n
        decisions, weight, contribution = (
            mean + g * share for mean, g in zip(self.means, gap, strict=True)
        )
        nn, nw, nc, ww, wc, cc = (
            a + b + gap[i] * gap[j] * between
            for a, b, (i, j) in zip(self.comoments, other.comoments, PAIRS, strict=True)
        )
        return WeightMoments(
            units_n=units_n,
            n=self.n + other.n,
            matched_n=self.matched_n + other.matched_n,
            means=(decisions, weight, contribution),
            comoments=(nn, nw, nc, ww, wc, cc),
            weight_squares=self.weight_squares + other.weight_squares,
            max_weight=max(self.max_weight, other.max_weight),
        )

    @property
    def ess(self) -> float:
        """(Σw)² ÷ Σw²: as many decisions of the target policy itself would tell as much.

        Source: Owen (2013), "Monte Carlo theory, methods and examples", eq. 9.13.
        """
        if self.weight_squares == 0.0:
            return 0.0
        return (self.means[1] * self.units_n) ** 2 / self.weight_squares

    def residual_squares(self, value: float, per: int) -> float:
        """Σ_u (contribution_u − value · per_u)² for the value at which the residuals sum to 0.

        Args:
            value: A ratio of two of the sums.
            per: Its denominator: 0 = decisions, 1 = weight.

        Returns:
            0 where nothing is left but rounding.
        """
        matrix = dict(zip(PAIRS, self.comoments, strict=True))
        own, cross, other = matrix[2, 2], matrix[per, 2], matrix[per, per]
        left = own - 2.0 * value * cross + value**2 * other
        rounding = 1e-12 * (own + value**2 * other) + 1e-24 * self.units_n * self.means[2] ** 2
        return left if left > rounding else 0.0


NOTHING = WeightMoments(
    units_n=0,
    n=0,
    matched_n=0,
    means=(0.0, 0.0, 0.0),
    comoments=(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    weight_squares=0.0,
    max_weight=0.0,
)
"""The moments of no log: what a sum starts from."""
