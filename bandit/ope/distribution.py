"""The whole distribution of rewards under the target, not only its mean."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bandit.errors import NotEnoughData
from bandit.ope.arrays import Floats
from bandit.ope.batch import LoggedBatch
from bandit.ope.interval import Interval
from bandit.ope.likelihood import cressie_read


@dataclass(frozen=True, eq=False)
class RewardDistribution:
    """F(t) = Σw·1[r ≤ t] ÷ Σw, or ÷ n (then clipped to [0, 1]).

    Normalised it is a distribution. Divided by n it need not reach 1; what is missing is taken to
    lie at the greatest reward. Moments are those of F itself (peers' grids shift them by a bin).

    Source: Huang et al. (2021), "Off-policy risk assessment in contextual bandits", eq. 3;
    Chandak et al. (2021), "Universal off-policy evaluation", eq. 4.

    Attributes:
        batch: The log.
        normalised: Whether to divide by Σw.

    >>> log = LoggedBatch.of(propensity=[0.5] * 4, target=[1.0, 0.5, 0.5, 0.0],
    ...     reward=[0.0, 1.0, 2.0, 3.0], weight_bound=2.0, reward_range=(0.0, 3.0))
    >>> found = RewardDistribution(log)
    >>> found.cdf(1.0), found.mean, found.quantile(0.5), found.cvar(0.75)
    (0.75, 0.75, 0.0, 0.3333333333333333)
    """

    batch: LoggedBatch
    normalised: bool = True

    @cached_property
    def steps(self) -> tuple[Floats, Floats]:
        """The distinct rewards, ascending, and F there."""
        batch = self.batch
        weights = batch.weights if batch.sampling is None else batch.weights * batch.sampling
        total = float(weights.sum())
        if total == 0.0:
            raise NotEnoughData("decisions that the target could have made", 0, 1)
        rewards, place = np.unique(batch.reward, return_inverse=True)
        mass = batch.n if batch.sampling is None else float(batch.sampling.sum())
        cdf = np.cumsum(np.bincount(place, weights)) / (total if self.normalised else mass)
        return rewards, np.clip(cdf, 0.0, 1.0)

    @cached_property
    def _masses(self) -> tuple[Floats, Floats]:
        """Rewards and their probabilities, which sum to 1."""
        rewards, cdf = self.steps
        masses = np.diff(cdf, prepend=0.0)
        masses[-1] += 1.0 - cdf[-1]
        return rewards, masses

    def cdf(self, threshold: float) -> float:
        """P(reward ≤ threshold)."""
        rewards, cdf = self.steps
        place = int(np.searchsorted(rewards, threshold, side="right"))
        return float(cdf[place - 1]) if place else 0.0

    @property
    def mean(self) -> float:
        """Its mean; SNIPS when normalised."""
        rewards, masses = self._masses
        return float(rewards @ masses)

    @property
    def variance(self) -> float:
        """Its variance."""
        rewards, masses = self._masses
        return float((rewards - self.mean) ** 2 @ masses)

    def quantile(self, level: float) -> float:
        """The least reward t with F(t) ≥ level."""
        if not 0.0 <= level <= 1.0:
            raise ValueError(f"level is {level!r}, must be in [0, 1]")
        rewards, masses = self._masses
        place = int(np.searchsorted(np.cumsum(masses), level - 1e-12))
        return float(rewards[min(place, len(rewards) - 1)])

    def cvar(self, level: float) -> float:
        """Mean of the worst `level` share of rewards.

        Source: Rockafellar & Uryasev (2000), "Optimization of conditional value-at-risk".
        """
        if not 0.0 < level <= 1.0:
            raise ValueError(f"level is {level!r}, must be in (0, 1]")
        rewards, masses = self._masses
        before = np.concatenate([[0.0], np.cumsum(masses)[:-1]])
        used = np.clip(level - before, 0.0, masses)
        return float(rewards @ used) / level

    def cdf_interval(self, threshold: float, *, alpha: float = 0.05) -> Interval:
        """Cressie–Read interval of P(reward ≤ threshold)."""
        below = (self.batch.reward <= threshold).astype(np.float64)
        indicator = replace(self.batch, reward=below, reward_range=(0.0, 1.0))
        return cressie_read(indicator, alpha=alpha)

    def quantile_interval(self, level: float, *, alpha: float = 0.05) -> Interval:
        """Rewards between which the quantile lies, by inverting `cdf_interval`.

        Source: Woodruff (1952), "Confidence intervals for medians and other position measures".
        """
        rewards, _ = self.steps
        high_side = _first(rewards, lambda t: self.cdf_interval(t, alpha=alpha).low >= level)
        low_side = _first(rewards, lambda t: self.cdf_interval(t, alpha=alpha).high >= level)
        least, most = self.batch.greatest_rewards
        return Interval(
            low=least if low_side is None else float(low_side),
            high=most if high_side is None else float(high_side),
            alpha=alpha,
            method="cressie_read_inverted",
        )


def _first(values: Floats, holds: Callable[[float], bool]) -> float | None:
    """The least value for which a monotone condition holds, by bisection."""
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if holds(float(values[middle])):
            high = middle
        else:
            low = middle + 1
    return float(values[low]) if low < len(values) else None
