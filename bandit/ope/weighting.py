"""Estimators that only reweigh the logged rewards."""

import math
from dataclasses import dataclass

import numpy as np

from bandit.errors import NotEnoughData, RecordError
from bandit.ope.arrays import Floats
from bandit.ope.base import check_limit
from bandit.ope.batch import LoggedBatch
from bandit.ope.pareto import smoothed_weights
from bandit.ope.terms import Terms


def mean_terms(batch: LoggedBatch, values: Floats) -> Terms:
    """Terms whose value is the mean of `(n,)` values."""
    nothing, ones = np.zeros((0, batch.n)), np.zeros((0, batch.n))
    return Terms(values, nothing, ones, batch.sampling, batch.unit_code)


def ratio_terms(
    batch: LoggedBatch, correction: Floats, per: Floats, direct: Floats | None = None
) -> Terms:
    """Terms whose value is mean(direct) + Σcorrection ÷ Σper."""
    start = np.zeros(batch.n) if direct is None else direct
    return Terms(start, correction[None], per[None], batch.sampling, batch.unit_code)


def weighted_mean(batch: LoggedBatch, values: Floats) -> float:
    """Mean of `(n,)` values under the sampling weights."""
    return float(np.average(values, weights=batch.sampling))


@dataclass(frozen=True)
class Ips:
    """Inverse propensity scoring: mean(w·r).

    Unbiased, with the variance of the weights; with `clip`, mean(min(w, clip)·r), which gives up
    some bias for it.

    Source: Horvitz & Thompson (1952); Strehl et al. (2010), "Learning from logged implicit
    exploration data"; clipping: Ionides (2008), "Truncated importance sampling".

    Attributes:
        clip: The greatest weight used; inf for all.
    """

    clip: float = math.inf

    def __post_init__(self) -> None:
        check_limit("clip", self.clip)

    @property
    def name(self) -> str:
        """As tables show it."""
        return "ips" if self.clip == math.inf else f"clipped_ips({self.clip:g})"

    @property
    def trusts_model(self) -> bool:
        """Whether an interval would hide its bias."""
        return self.clip < math.inf

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions min(w, clip)·r."""
        return mean_terms(batch, np.minimum(batch.weights, self.clip) * batch.reward)


@dataclass(frozen=True)
class Snips:
    """Self-normalised IPS: Σw·r ÷ Σw.

    Stays inside the rewards' range and moves with a constant added to all of them.

    Source: Swaminathan & Joachims (2015), "The self-normalized estimator for counterfactual
    learning", eq. 9. Variance Σw²(r − V)² ÷ (Σw)²: Owen (2013), eq. 9.9.
    """

    name: str = "snips"
    trusts_model: bool = False

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions w·r, normalised by w."""
        return ratio_terms(batch, batch.weights * batch.reward, batch.weights)


@dataclass(frozen=True)
class Psis:
    """SNIPS with Pareto-smoothed weights: Σw̃·r ÷ Σw̃.

    The largest weights are taken from the tail that was fitted to them: less variance where few of
    them decide, and a bias that no interval shows.

    Source: Vehtari et al. (2024), "Pareto smoothed importance sampling", eq. 5.
    """

    name: str = "psis"
    trusts_model: bool = True

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions w̃·r, normalised by w̃."""
        weights = smoothed_weights(batch.weights)
        return ratio_terms(batch, weights * batch.reward, weights)


@dataclass(frozen=True)
class Ncis:
    """Normalised capped importance sampling: Σw·r ÷ Σw over the decisions with w ≤ cap.

    Source: Gilotte et al. (2018), "Offline A/B testing for recommender systems", section 4.
    """

    cap: float

    def __post_init__(self) -> None:
        check_limit("cap", self.cap)

    @property
    def name(self) -> str:
        """As tables show it."""
        return f"ncis({self.cap:g})"

    @property
    def trusts_model(self) -> bool:
        """Whether an interval would hide its bias."""
        return True

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions w·r, normalised by w; both 0 above the cap."""
        weights = np.where(batch.weights <= self.cap, batch.weights, 0.0)
        return ratio_terms(batch, weights * batch.reward, weights)


@dataclass(frozen=True)
class SgIps:
    """Sub-Gaussian IPS: mean(w ÷ (1 − λ + λ·w) · r); λ = 0 is IPS, λ = 1 ignores the weights.

    Source: Metelli, Russo, Restelli (2021), "Subgaussian and differentiable importance sampling",
    definition 4.1 with s = −1 (their harmonic correction).

    Attributes:
        shrinkage: λ in [0, 1].
    """

    shrinkage: float

    @property
    def name(self) -> str:
        """As tables show it."""
        return f"sg_ips({self.shrinkage:g})"

    @property
    def trusts_model(self) -> bool:
        """Whether an interval would hide its bias."""
        return self.shrinkage > 0.0

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions with harmonically shrunken weights."""
        return mean_terms(batch, subgaussian(batch.weights, self.shrinkage) * batch.reward)


@dataclass(frozen=True)
class Replay:
    """Mean reward of the decisions in which a deterministic target would have done the same.

    Unbiased only where the behaviour policy was uniform; use `Snips` elsewhere.

    Source: Li et al. (2011), "Unbiased offline evaluation of contextual-bandit-based news article
    recommendation algorithms", algorithm 3.
    """

    name: str = "replay"
    trusts_model: bool = True

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions of the matches; none at all raises `NotEnoughData`, not 0."""
        match = (batch.target >= 1.0 - 1e-12).astype(np.float64)
        return ratio_terms(batch, match * batch.reward, match)


@dataclass(frozen=True)
class ControlVariate:
    """IPS with the weights as control variate: mean(w·r − c·(w − 1)), c = cov(w·r, w) ÷ var(w).

    E[w] = 1 is known, so what the weights' mean misses is subtracted by regression. Beats SNIPS
    (which is c = V) under heavy tails.

    Source: Owen (2013), section 9.10 and eq. 8.38; Vlassis et al. (2019), "On the design of
    estimators for bandit off-policy evaluation", eq. 5.
    """

    name: str = "control_variate"
    trusts_model: bool = False

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions w·r − c·(w − 1)."""
        if not batch.n:
            raise NotEnoughData("the log", 0, 1)
        weights, earned = batch.weights, batch.weights * batch.reward
        centred = weights - weighted_mean(batch, weights)
        spread = weighted_mean(batch, centred**2)
        slope = weighted_mean(batch, centred * earned) / spread if spread > 0.0 else 0.0
        return mean_terms(batch, earned - slope * (weights - 1.0))


def subgaussian(weights: Floats, shrinkage: float) -> Floats:
    """Harmonic shrinkage w ÷ (1 − λ + λ·w)."""
    if not 0.0 <= shrinkage <= 1.0:
        raise RecordError(f"shrinkage is {shrinkage!r}, must be in [0, 1]")
    below = 1.0 - shrinkage + shrinkage * weights
    return np.divide(weights, below, out=np.zeros_like(weights), where=below > 0.0)
