"""A confidence sequence of candidate − logging policy that keeps sums, not rows.

`anytime_gain` over the whole log at once and this over its slices give the same interval; this one
needs the memory of a slice, so that a gate can look at a log of any length.
"""

import math

import numpy as np

from bandit.errors import NotEnoughData, RecordError
from bandit.ope.anytime import MOST_REACH, lowest_mean
from bandit.ope.arrays import Floats, check_alpha, check_range
from bandit.ope.interval import Interval


class GainWatch:
    """Candidate − logging policy, from decisions in the order they came.

    Contributions are those of `anytime_gain` without a model: (φ(candidate; r) + 1 − r) ÷ 2 with
    φ = w·(r − q̃) + q̃, q̃ = min(mean reward of the past, reach ÷ bound), r scaled to [0, 1]; of
    1 − r for the upper side.

    Source: Karampatziakis, Mineiro, Ramdas (2021), "Off-policy confidence sequences", section 5;
    Waudby-Smith et al. (2022), "Anytime-valid off-policy inference for contextual bandits".

    >>> watch = GainWatch((0.0, 1.0), weight_bound=1.8)
    >>> for _ in range(10):
    ...     watch.add(np.array([1.8, 0.2] * 100), np.array([1.0, 0.0] * 100))
    >>> found = watch.interval(alpha=0.05)
    >>> f"[{found.low:+.2f}, {found.high:+.2f}]", f"{watch.gain:+.2f}", watch.n
    ('[+0.39, +0.41]', '+0.40', 2000)
    """

    def __init__(
        self, reward_range: tuple[float, float], *, weight_bound: float = math.inf
    ) -> None:
        """Start before the first decision.

        Args:
            reward_range: The least and greatest reward that can come.
            weight_bound: The greatest weight that can be drawn, known beforehand; inf: unknown,
                then the interval holds all the same, and is wider.

        Raises:
            RecordError: The range is empty, or the bound below 1.
        """
        check_range(reward_range)
        self._least, self._most = reward_range
        if not weight_bound >= 1.0:
            raise RecordError(f"weight_bound is {weight_bound!r}, must be at least 1")
        self._bound = weight_bound
        self._lower, self._upper = _Side(weight_bound), _Side(weight_bound)
        self.n = 0
        self._weight = self._earned = self._logged = 0.0

    def add(self, weights: Floats, rewards: Floats) -> None:
        """Go over `(n,)` further decisions.

        Raises:
            RecordError: A weight above the bound, so that it was none.
        """
        if len(weights) != len(rewards):
            raise ValueError(f"{len(weights)} weights and {len(rewards)} rewards, must be as many")
        greatest = float(weights.max(initial=0.0))
        if not greatest <= self._bound * (1.0 + 1e-5):  # propensities are logged as float32
            raise RecordError(f"a weight is {greatest!r}, must be at most {self._bound!r}")
        scaled = np.clip((rewards - self._least) / (self._most - self._least), 0.0, 1.0)
        self._lower.add(weights, scaled)
        self._upper.add(weights, 1.0 - scaled)
        self.n += len(weights)
        self._weight += float(weights.sum())
        self._earned += float(weights @ rewards)
        self._logged += float(rewards.sum())

    @property
    def gain(self) -> float:
        """SNIPS value of the candidate less the mean reward.

        Raises:
            NotEnoughData: No decision, or none that the candidate could have made.
        """
        if self._weight <= 0.0:
            raise NotEnoughData("the log", self.n, 1)
        return self._earned / self._weight - self._logged / self.n

    @property
    def mean_weight(self) -> float | None:
        """About 1 for a correct log that covers the candidate; None before the first decision."""
        return self._weight / self.n if self.n else None

    def interval(self, *, alpha: float = 0.05) -> Interval:
        """Where candidate − logging policy is, over all decisions so far; holds at any look.

        Raises:
            NotEnoughData: There is none yet.
        """
        check_alpha(alpha)
        if not self.n:
            raise NotEnoughData("the log", 0, 1)
        span = self._most - self._least
        low = 2.0 * self._lower.bound(alpha / 2.0) - 1.0
        high = 1.0 - 2.0 * self._upper.bound(alpha / 2.0)
        return Interval(
            low=span * low,
            high=span * max(low, high),
            alpha=alpha,
            method="anytime_gain",
            anytime=True,
        )


class _Side:
    """Sums of one side's contributions and of their squared surprises."""

    def __init__(self, bound: float) -> None:
        self._bound = bound
        self._reach = min(bound, MOST_REACH) if math.isfinite(bound) else 0.0
        self._scale = 1.0 / (1.0 + self._reach / 2.0)
        self._n = 0
        self._past = self._total = self._spent = 0.0

    def add(self, weights: Floats, earned: Floats) -> None:
        """Go over further weights and rewards in [0, 1]."""
        counts = self._n + np.arange(1, len(earned) + 1)
        values = weights * earned
        if math.isfinite(self._bound):
            past = self._past + np.cumsum(earned) - earned
            baseline = np.minimum((past + 0.5) / counts, self._reach / self._bound)
            values = weights * (earned - baseline) + baseline
        values = (values + 1.0 - earned) / 2.0
        before = self._total + np.cumsum(values) - values
        surprise = values - np.clip((before + 0.5) / counts, 0.0, 1.0)
        self._spent += float(((surprise * self._scale) ** 2).sum())
        self._total += float(values.sum())
        self._past += float(earned.sum())
        self._n += len(earned)

    def bound(self, alpha: float) -> float:
        """The least mean that alpha allows."""
        return lowest_mean(self._total, self._spent, self._n, self._scale, alpha)
