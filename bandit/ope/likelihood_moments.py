"""What Cressie–Read needs of a log, as sums that a database keeps and merges."""

import math
from dataclasses import dataclass

import numpy as np

from bandit.errors import NotEnoughData
from bandit.ope.arrays import Floats, check_range
from bandit.ope.batch import LoggedBatch
from bandit.ope.contrast import settled
from bandit.ope.divergence import (
    Extra,
    clamped,
    earning,
    is_thin,
    profile,
    unseen_change,
)
from bandit.ope.interval import Interval
from bandit.ope.joint import JointMoments


@dataclass(frozen=True, eq=False)
class LikelihoodMoments:
    """Moments of (w, w·r, r) over decisions and the extremes of w and r; they add.

    Nine sums and four extremes, per policy and day, give the same value and interval as the rows.
    Units are not in them: for logs with many decisions per unit use the rows, or `WeightMoments`.

    Attributes:
        joint: Of w, w·r and r.
        weights: The least and greatest weight seen.
        rewards: The least and greatest reward seen.

    >>> log = LoggedBatch.of(propensity=[0.5] * 400, target=[0.9, 0.1] * 200,
    ...     reward=[1.0, 0.0, 0.0, 0.0] * 100)
    >>> days = [LikelihoodMoments.of(day) for day in log.parts(100)]
    >>> week = days[0] + days[1] + days[2] + days[3]
    >>> found = week.interval(weight_bound=1.8, reward_range=(0.0, 1.0))
    >>> f"{week.value(weight_bound=1.8):.4f} [{found.low:.4f}, {found.high:.4f}]"
    '0.4503 [0.3852, 0.5148]'
    """

    joint: JointMoments
    weights: tuple[float, float]
    rewards: tuple[float, float]

    @classmethod
    def of(cls, batch: LoggedBatch) -> "LikelihoodMoments":
        """Moments of a batch.

        Raises:
            NotEnoughData: It is empty.
        """
        if batch.n == 0:
            raise NotEnoughData("the log", 0, 1)
        w, r = batch.weights, batch.reward
        return cls(
            joint=JointMoments.of([w, w * r, r], batch.sampling),
            weights=(float(w.min()), float(w.max())),
            rewards=(float(r.min()), float(r.max())),
        )

    def __add__(self, other: "LikelihoodMoments") -> "LikelihoodMoments":
        """Moments of both logs."""
        return LikelihoodMoments(
            joint=self.joint + other.joint,
            weights=_hull(self.weights, other.weights),
            rewards=_hull(self.rewards, other.rewards),
        )

    def value(self, *, weight_bound: float = math.inf) -> float:
        """The `CressieRead` estimate: Σq·w·r + missing·mean(r), q linear in w.

        Source: Karampatziakis, Langford, Mineiro (2020), section 4.
        """
        mean_w, mean_wr, mean_r = self.joint.means.tolist()
        weight_squares, cross = (self.joint.comoments[0, :2] / self.joint.mass).tolist()
        level, tilt = 1.0, 0.0
        low, high = _hull((0.0, weight_bound), self.weights)
        extra = high if mean_w < 1.0 else low
        if math.isfinite(extra):
            n = self.joint.rows_n
            with_extra = self.joint.with_row(np.array([extra, 0.0, 0.0]))
            mean, spread = float(with_extra.means[0]), float(with_extra.comoments[0, 0]) / (n + 1)
            if spread > 0.0:
                level = n / (n + 1.0) * (1.0 + (1.0 - mean) * (mean_w - mean) / spread)
                tilt = n / (n + 1.0) * (1.0 - mean) / spread
        kept = level * mean_w + tilt * weight_squares
        found: float = level * mean_wr + tilt * cross + max(0.0, 1.0 - kept) * mean_r
        return found

    def interval(
        self,
        *,
        weight_bound: float = math.inf,
        reward_range: tuple[float, float],
        alpha: float = 0.05,
        design: float = 1.0,
    ) -> Interval:
        """The `cressie_read` interval.

        Args:
            weight_bound: The greatest weight that could have been.
            reward_range: The least and greatest reward that could have been.
            alpha: 1 − the level.
            design: Variance over units ÷ over decisions, which these moments do not know.
        """
        check_range(reward_range)
        least, most = _hull(reward_range, self.rewards)
        # Counted from the least reward, as the rows are: see `cressie_read`.
        pair = self._changed(np.array([[1.0, 0.0, 0.0], [-least, 1.0, 0.0]]))
        extras = [
            Extra((w,), *earning(w, 0.0, most - least))
            for w in _hull((0.0, weight_bound), self.weights)
        ]
        nearest = extras[int(pair.means[0] < 1.0)]
        found = profile(
            pair,
            extras,
            nearest=nearest,
            alpha=alpha,
            design=design,
            spare=Extra((1.0,), 0.0, most - least),
            thin=is_thin(pair),
        )
        return clamped((found[0] + least, found[1] + least), (least, most), alpha, "cressie_read")

    def gain_interval(
        self,
        *,
        weight_bound: float = math.inf,
        reward_range: tuple[float, float],
        alpha: float = 0.05,
        design: float = 1.0,
    ) -> Interval:
        """The interval of `gain_over_logging`: target − what was logged, paired by decision."""
        check_range(reward_range)
        least, most = _hull(reward_range, self.rewards)
        pair = self._changed(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -1.0]]))
        extras = []
        places = _hull((0.0, weight_bound), self.weights)
        for w in places:
            ends = (least, most) if math.isinf(w) else ((w - 1.0) * least, (w - 1.0) * most)
            extras.append(Extra((w,), min(ends), max(ends)))
        nearest = extras[int(pair.means[0] < 1.0)]
        found = profile(
            pair,
            extras,
            nearest=nearest,
            alpha=alpha,
            design=design,
            spare=unseen_change(places, most - least),
            thin=is_thin(pair),
        )
        low, high = (settled(bound, most - least) for bound in found)
        return Interval(low=low, high=high, alpha=alpha, method="cressie_read")

    @property
    def residual_squares(self) -> float:
        """Σ s·(w·r − V·w)² for V the SNIPS value: what its variance over decisions is made of."""
        mean_w, mean_wr, _ = self.joint.means.tolist()
        value = mean_wr / mean_w if mean_w else 0.0
        change = np.array([-value, 1.0, 0.0])
        return max(float(change @ self.joint.comoments @ change), 0.0)

    def _changed(self, change: Floats) -> JointMoments:
        """Moments of linear combinations of w, w·r and r."""
        return JointMoments(
            self.joint.mass,
            self.joint.mass_squares,
            change @ self.joint.means,
            change @ self.joint.comoments @ change.T,
        )


def _hull(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    return min(first[0], second[0]), max(first[1], second[1])
