"""What an estimator makes of each decision, and the value and error that follow."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bandit.errors import NotEnoughData
from bandit.ope.arrays import Floats, Ints
from bandit.ope.joint import JointMoments


@dataclass(frozen=True, eq=False)
class Terms:
    """One contribution per decision: value = mean(direct) + Σ_l Σ(correction_l) ÷ Σ(per_l).

    Almost every estimator is of this form (`per` = 1: IPS, DR; `per` = w: SNIPS, SNDR; one l per
    slot: slates), so that values, standard errors, the bootstrap and merging are written once, and
    a normaliser is never taken for a constant.

    Attributes:
        direct: `(n,)` the model's part; 0 where there is none.
        correction: `(l, n)` the weighted part.
        per: `(l, n)` what it is divided by.
        sampling: `(n,)` sampling weights, applied here and nowhere else; None for 1.
        unit: `(n,)` codes 0 … units − 1; None when every decision is a unit.
        linear: `(n,)` first-order effect of each decision on the value, for the few estimators
            that solve for their weights; None where the form above gives it.
    """

    direct: Floats
    correction: Floats
    per: Floats
    sampling: Floats | None = None
    unit: Ints | None = None
    linear: Floats | None = None

    @cached_property
    def moments(self) -> "TermMoments":
        """The additive moments over units."""
        columns = [np.ones_like(self.direct), self.direct, *self.correction, *self.per]
        if self.sampling is not None:
            columns = [column * self.sampling for column in columns]
        return TermMoments(JointMoments.of([by_unit(c, self.unit) for c in columns]))

    @property
    def value(self) -> float:
        """The estimate.

        Raises:
            NotEnoughData: No decisions, or none that the target could have made.
        """
        return self.moments.value

    @property
    def contributions(self) -> Floats:
        """`(n,)` terms whose mean (under the sampling weights) is the value."""
        _, _, _, per = self.moments.parts()
        share: Floats = self.direct + (self.correction / per[:, None]).sum(axis=0)
        return share

    @cached_property
    def influence(self) -> Floats:
        """`(n,)` first-order effect of each decision on the value, mean 0.

        direct − mean(direct) + Σ_l (correction_l − ratio_l · per_l) ÷ mean(per_l)

        Source: the delta method; for SNIPS Owen (2013), "Monte Carlo theory, methods and
        examples", eq. 9.8.
        """
        if self.linear is not None:
            return self.linear
        _, direct, correction, per = self.moments.parts()
        ratio = correction / per
        left = (self.correction - ratio[:, None] * self.per) / per[:, None]
        effect: Floats = self.direct - direct + left.sum(axis=0)
        return effect

    @property
    def std_error(self) -> float:
        """Standard error of the value over units.

        Raises:
            NotEnoughData: Fewer than 2 units.
        """
        if self.linear is None:
            return self.moments.std_error
        return spread_of(self.linear, self.sampling, self.unit)


@dataclass(frozen=True, eq=False)
class TermMoments:
    """Moments over units of (decisions, direct, correction…, per…); they add.

    Values and errors of logs that share no unit can be merged without their rows.
    """

    joint: JointMoments

    def __add__(self, other: "TermMoments") -> "TermMoments":
        """Moments of both logs."""
        return TermMoments(self.joint + other.joint)

    def parts(self) -> tuple[float, float, Floats, Floats]:
        """Per unit: decisions; per decision: direct, `(l,)` corrections, `(l,)` normalisers."""
        if self.joint.mass == 0.0:
            raise NotEnoughData("the log", 0, 1)
        means = self.joint.means
        parts = (len(means) - 2) // 2
        per = means[2 + parts :] / means[0]
        if not (per > 0.0).all():
            raise NotEnoughData("decisions that the target could have made", 0, 1)
        return float(means[0]), float(means[1] / means[0]), means[2 : 2 + parts] / means[0], per

    @property
    def units_n(self) -> int:
        """Units."""
        return int(self.joint.mass)

    @property
    def value(self) -> float:
        """The estimate."""
        _, direct, correction, per = self.parts()
        return direct + float((correction / per).sum())

    @property
    def std_error(self) -> float:
        """Delta-method standard error over units; 0 where only rounding varies.

        Source: Cochran (1977), "Sampling techniques", eq. 6.13 (ratio of cluster sums).
        """
        units = self.joint.mass
        decisions, direct, correction, per = self.parts()
        if units < 2:
            raise NotEnoughData("units", int(units), 2)
        ratio = correction / per
        gradient = np.concatenate([[-direct], [1.0], 1.0 / per, -ratio / per]) / decisions
        # With per = 1 its column is the decisions' own: both gradients add, nothing is lost.
        squares = float(gradient @ self.joint.comoments @ gradient)
        size = float(np.abs(gradient) @ np.sqrt(np.diag(self.joint.comoments)))
        # What is left of equal contributions is the rounding of their sums.
        rounding = units * (1e-13 * (abs(direct) + float(np.abs(ratio).sum()))) ** 2
        if squares <= 1e-14 * size**2 + rounding:
            return 0.0
        return math.sqrt(squares / (units - 1) / units)


def by_unit(values: Floats, unit: Ints | None) -> Floats:
    """Sums of `(n,)` values over each unit."""
    if unit is None:
        return values
    return np.bincount(unit, values).astype(np.float64)


def spread_of(influence: Floats, sampling: Floats | None, unit: Ints | None) -> float:
    """Standard error from `(n,)` influences: √(Σ_u ψ_u² · units ÷ (units − 1)) ÷ Σs."""
    weighted = influence if sampling is None else influence * sampling
    sums = by_unit(weighted, unit)
    if len(sums) < 2:
        raise NotEnoughData("units", len(sums), 2)
    mass = float(len(influence) if sampling is None else sampling.sum())
    return math.sqrt(float(sums @ sums) * len(sums) / (len(sums) - 1)) / mass
