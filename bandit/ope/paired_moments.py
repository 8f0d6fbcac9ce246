"""Sums over units of what a log earned and what a target would have, so that both can be compared.

`WeightMoments` judges a target by itself. The difference to what the log really earned on the same
decisions needs how the two go together; that is what is kept here. Sums add, and a database makes
them.
"""

import math
from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np
from scipy.special import stdtr, stdtrit

from bandit.errors import RecordError
from bandit.ope.moments import WeightMoments
from bandit.records import Record

COLUMNS = ("decisions", "reward", "weight", "contribution")
PAIRS = tuple(combinations_with_replacement(range(4), 2))
"""Order of `comoments` over `COLUMNS`."""


class Measured(Record, frozen=True, kw_only=True):
    """A number with its error.

    Attributes:
        std_error: Over units; 0 where nothing varies.
        df: Degrees of freedom.
    """

    value: float
    std_error: float
    df: float

    def interval(self, alpha: float) -> tuple[float, float]:
        """Its 1 − alpha interval, by Student's t."""
        reach = -float(stdtrit(self.df, alpha / 2.0)) * self.std_error
        return self.value - reach, self.value + reach

    @property
    def p_value(self) -> float | None:
        """Of the value being 0, two-sided; None where nothing varies."""
        if self.std_error == 0.0:
            return None
        return 2.0 * float(stdtr(self.df, -abs(self.value) / self.std_error))

    def __sub__(self, other: "Measured") -> "Measured":
        """The difference of two that share no unit.

        Source: Welch (1947), with Satterthwaite's degrees of freedom.
        """
        mine, theirs = self.std_error**2, other.std_error**2
        total = mine + theirs
        below = mine**2 / self.df + theirs**2 / other.df
        return Measured(
            value=self.value - other.value,
            std_error=math.sqrt(total),
            df=total**2 / below if below > 0.0 else self.df + other.df,
        )


class PairedMoments(Record, frozen=True, kw_only=True):
    """Moments over units of decisions, rewards, weights and contributions; logs of other units add.

    Attributes:
        units_n: Units with a decision.
        n: Decisions.
        matched_n: Decisions with a weight above 0.
        means: Per unit, in the order of `COLUMNS`.
        comoments: Σ_u of the products of the sums less their means, in the order of `PAIRS`.
        weight_squares: Σw² over decisions.
        max_weight: The greatest weight.
    """

    units_n: int = 0
    n: int = 0
    matched_n: int = 0
    means: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    comoments: tuple[float, ...] = (0.0,) * 10
    weight_squares: float = 0.0
    max_weight: float = 0.0

    @classmethod
    def of(
        cls, units: Sequence[str], weights: Sequence[float], rewards: Sequence[float]
    ) -> "PairedMoments":
        """Moments of a log.

        Args:
            units: `(n,)` who each decision was made for.
            weights: `(n,)` target probability ÷ logged propensity, ≥ 0.
            rewards: `(n,)` what it earned.

        Raises:
            RecordError: They differ in length, a weight is negative or one is not finite.
        """
        w, r = np.asarray(weights, dtype=float), np.asarray(rewards, dtype=float)
        if not len(units) == len(w) == len(r):
            raise RecordError(
                f"{len(units)} units, {len(w)} weights and {len(r)} rewards, must be as many"
            )
        if not (np.isfinite(w).all() and np.isfinite(r).all() and (w >= 0.0).all()):
            raise RecordError("weights and rewards must be finite, weights at least 0")
        if not len(w):
            return cls()
        _, place = np.unique(np.asarray(units), return_inverse=True)
        sums = np.stack([np.bincount(place, column) for column in (np.ones_like(w), r, w, w * r)])
        means = sums.mean(axis=1)
        centred = sums - means[:, None]
        products = centred @ centred.T
        decisions, reward, weight, contribution = means.tolist()
        return cls(
            units_n=sums.shape[1],
            n=len(w),
            matched_n=int((w > 0.0).sum()),
            means=(decisions, reward, weight, contribution),
            comoments=tuple(float(products[i, j]) for i, j in PAIRS),
            weight_squares=float(w @ w),
            max_weight=float(w.max()),
        )

    def __add__(self, other: "PairedMoments") -> "PairedMoments":
        """Moments of both logs, which share no unit.

        Source: Chan, Golub, LeVeque (1979), eq. 2.1, for products.
        """
        units_n = self.units_n + other.units_n
        if not units_n:
            return self
        gap = [b - a for a, b in zip(self.means, other.means, strict=True)]
        share, between = other.units_n / units_n, self.units_n * other.units_n / units_n
        first, second, third, fourth = (
            mean + g * share for mean, g in zip(self.means, gap, strict=True)
        )
        return PairedMoments(
            units_n=units_n,
            n=self.n + other.n,
            matched_n=self.matched_n + other.matched_n,
            means=(first, second, third, fourth),
            comoments=tuple(
                a + b + gap[i] * gap[j] * between
                for a, b, (i, j) in zip(self.comoments, other.comoments, PAIRS, strict=True)
            ),
            weight_squares=self.weight_squares + other.weight_squares,
            max_weight=max(self.max_weight, other.max_weight),
        )

    @property
    def of_target(self) -> WeightMoments:
        """What `snips` and its verdict need."""
        nn, _, nw, nc, _, _, _, ww, wc, cc = self.comoments
        decisions, _, weight, contribution = self.means
        return WeightMoments(
            units_n=self.units_n,
            n=self.n,
            matched_n=self.matched_n,
            means=(decisions, weight, contribution),
            comoments=(nn, nw, nc, ww, wc, cc),
            weight_squares=self.weight_squares,
            max_weight=self.max_weight,
        )

    def logged(self) -> Measured | None:
        """What the log earned per decision; None below two units.

        Source: a ratio of cluster sums, Cochran (1977), eq. 6.13.
        """
        return self._measured(with_target=0.0, with_logged=1.0)

    def target(self) -> Measured | None:
        """What the target would have earned (SNIPS); None without overlap."""
        return self._measured(with_target=1.0, with_logged=0.0)

    def gain(self) -> Measured | None:
        """Target − log on the same decisions, with their covariance; None without overlap.

        >>> units = [f"u{i // 4}" for i in range(400)]
        >>> rewards = [float(i % 3 == 0) for i in range(400)]
        >>> same = PairedMoments.of(units, [1.0] * 400, rewards).gain()
        >>> abs(same.value) < 1e-12, same.std_error < 1e-12   # the same policy, without any doubt
        (True, True)
        """
        return self._measured(with_target=1.0, with_logged=-1.0)

    def _measured(self, *, with_target: float, with_logged: float) -> Measured | None:
        """with_target · ΣwR ÷ Σw + with_logged · Σr ÷ n, by the delta method over units."""
        decisions, reward, weight, contribution = self.means
        if self.units_n < 2 or (with_target and weight <= 0.0):
            return None
        target = contribution / weight if with_target else 0.0
        logged = reward / decisions
        slopes = np.zeros(4)
        slopes[:2] += np.array([-logged, 1.0]) * with_logged / decisions
        if with_target:
            slopes[2:] += np.array([-target, 1.0]) * with_target / weight
        matrix = np.zeros((4, 4))
        for value, (i, j) in zip(self.comoments, PAIRS, strict=True):
            matrix[i, j] = matrix[j, i] = value
        squares = float(slopes @ matrix @ slopes)
        scale = float(np.abs(slopes) @ np.sqrt(np.abs(np.diag(matrix)))) ** 2
        squares = squares if squares > 1e-12 * scale else 0.0
        return Measured(
            value=with_target * target + with_logged * logged,
            std_error=math.sqrt(squares / (self.units_n - 1) / self.units_n),
            df=float(self.units_n - 1),
        )
