"""Estimators that use a reward model: direct, doubly robust and between."""

import math
from dataclasses import dataclass

import numpy as np

from bandit.errors import NotEnoughData, RecordError
from bandit.ope.arrays import Floats
from bandit.ope.base import check_limit, model_of
from bandit.ope.batch import LoggedBatch
from bandit.ope.terms import Terms
from bandit.ope.weighting import mean_terms, ratio_terms, subgaussian, weighted_mean


@dataclass(frozen=True)
class Dm:
    """Direct method: mean(D), D = Σ_a target(a)·q(a).

    As good as the model, and no interval over decisions knows how good that is (peers' "95 %"
    intervals of it covered 0 to 25 %).

    Source: Dudík et al. (2014), "Doubly robust policy evaluation and optimization", eq. 2.2.
    """

    name: str = "dm"
    trusts_model: bool = True

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions D."""
        return mean_terms(batch, model_of(batch)[0])


@dataclass(frozen=True)
class Dr:
    """Doubly robust: mean(D + w·(r − q)).

    Unbiased whatever the model when the propensities are right; a good model takes the variance
    away. With `clip`, w is min(w, clip). MRDR is this with predictions fitted under
    `mrdr_weights`.

    Source: Dudík et al. (2014), eq. 2.3.

    Attributes:
        clip: The greatest weight used; inf for all.
        label: Name in tables, where it is not `dr`.
    """

    clip: float = math.inf
    label: str = "dr"

    def __post_init__(self) -> None:
        check_limit("clip", self.clip)

    @property
    def name(self) -> str:
        """As tables show it."""
        return self.label if self.clip == math.inf else f"clipped_{self.label}({self.clip:g})"

    @property
    def trusts_model(self) -> bool:
        """Whether an interval would hide its bias."""
        return self.clip < math.inf

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions D + min(w, clip)·(r − q)."""
        direct, residual = model_of(batch)
        return mean_terms(batch, direct + np.minimum(batch.weights, self.clip) * residual)


@dataclass(frozen=True)
class Sndr:
    """Self-normalised DR: mean(D) + Σw·(r − q) ÷ Σw.

    Source: Thomas & Brunskill (2016), "Data-efficient off-policy policy evaluation", section 4
    (weighted DR with horizon 1).
    """

    name: str = "sndr"
    trusts_model: bool = False

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions D and w·(r − q), the latter normalised by w."""
        direct, residual = model_of(batch)
        return ratio_terms(batch, batch.weights * residual, batch.weights, direct)


@dataclass(frozen=True)
class CalibratedDr:
    """DR that uses as much of the model and of the weights as the log supports; the default.

    The model is calibrated out of fold to a + b·q, b in [0, 1], by least squares under √w, midway
    between where the log is and where the target goes (all of w leaves the fit to few decisions):
    noise is shrunk to the mean (then this is SNIPS), a good model is kept (then it is DR).
    Weights are truncated at √n, whose bias vanishes faster than the error and is the model's there,
    and divided by the greater of n and Σw.

    In the simulated worlds it was chosen in its error is about that of the best of obp's eight. In
    four others it was below in two, and up to three times its square where trusting the model (DM)
    happens to pay: see `sims/README.md`.

    Source: truncation: Ionides (2008), "Truncated importance sampling", section 2; slope of the
    model as control variate: Owen & Zhou (2000), "Safe and effective importance sampling",
    section 2.

    Attributes:
        trusts_model: Its interval is empirical likelihood's, which holds for the value itself.
    """

    name: str = "calibrated_dr"
    trusts_model: bool = False

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions a + b·D and min(w, √n)·(r − a − b·q), normalised.

        Raises:
            NotEnoughData: The target could have made none of the decisions.
        """
        direct, residual = model_of(batch)
        predicted = batch.reward - residual
        cut = np.minimum(batch.weights, math.sqrt(batch.n))
        if not cut.any():
            raise NotEnoughData("decisions that the target could have made", 0, 1)
        level, slope = calibration(predicted, batch.reward, _counted(np.sqrt(batch.weights), batch))
        correction = cut * (batch.reward - level - slope * predicted)
        above = weighted_mean(batch, batch.weights) > 1.0
        per = batch.weights if above else np.ones(batch.n)
        return ratio_terms(batch, correction, per, level + slope * direct)


def calibration(predicted: Floats, reward: Floats, weights: Floats) -> tuple[float, float]:
    """The a and b in [0, 1] of least Σ weight·(reward − a − b·predicted)².

    >>> calibration(np.array([0.0, 1.0]), np.array([0.25, 0.75]), np.ones(2))
    (0.25, 0.5)
    """
    middle = float(np.average(predicted, weights=weights))
    mean = float(np.average(reward, weights=weights))
    spread = float(np.average((predicted - middle) ** 2, weights=weights))
    together = float(np.average((predicted - middle) * (reward - mean), weights=weights))
    # Equal predictions differ by their rounding, and that explains nothing.
    varies = spread > 1e-20 * max(middle**2, 1e-300)
    slope = min(1.0, max(0.0, together / spread)) if varies else 0.0
    return mean - slope * middle, slope


def _counted(weights: Floats, batch: LoggedBatch) -> Floats:
    return weights if batch.sampling is None else weights * batch.sampling


@dataclass(frozen=True)
class SwitchDr:
    """SWITCH-DR: mean(D + w·1[w ≤ τ]·(r − q)): the model alone where the weight is large.

    Source: Wang, Agarwal, Dudík (2017), "Optimal and adaptive off-policy evaluation in contextual
    bandits", eq. 8.

    Attributes:
        threshold: τ.
    """

    threshold: float

    def __post_init__(self) -> None:
        check_limit("threshold", self.threshold)

    @property
    def name(self) -> str:
        """As tables show it."""
        return f"switch_dr({self.threshold:g})"

    @property
    def trusts_model(self) -> bool:
        """Whether an interval would hide its bias."""
        return self.threshold < math.inf

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions D + w·1[w ≤ τ]·(r − q)."""
        direct, residual = model_of(batch)
        weights = np.where(batch.weights <= self.threshold, batch.weights, 0.0)
        return mean_terms(batch, direct + weights * residual)


@dataclass(frozen=True)
class DrOs:
    """DR with optimistic shrinkage: mean(D + λ·w ÷ (w² + λ) · (r − q)); λ = 0 is DM, ∞ is DR.

    Source: Su et al. (2020), "Doubly robust off-policy evaluation with shrinkage", eq. 8.

    Attributes:
        shrinkage: λ ≥ 0.
    """

    shrinkage: float

    @property
    def name(self) -> str:
        """As tables show it."""
        return f"dros({self.shrinkage:g})"

    @property
    def trusts_model(self) -> bool:
        """Whether an interval would hide its bias."""
        return self.shrinkage < math.inf

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions with shrunken weights."""
        direct, residual = model_of(batch)
        return mean_terms(batch, direct + optimistic(batch.weights, self.shrinkage) * residual)


@dataclass(frozen=True)
class SgDr:
    """Sub-Gaussian DR: mean(D + w ÷ (1 − λ + λ·w) · (r − q)).

    Source: Metelli, Russo, Restelli (2021), definition 4.1 with s = −1, and section 6.

    Attributes:
        shrinkage: λ in [0, 1].
    """

    shrinkage: float

    @property
    def name(self) -> str:
        """As tables show it."""
        return f"sg_dr({self.shrinkage:g})"

    @property
    def trusts_model(self) -> bool:
        """Whether an interval would hide its bias."""
        return self.shrinkage > 0.0

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions with harmonically shrunken weights."""
        direct, residual = model_of(batch)
        return mean_terms(batch, direct + subgaussian(batch.weights, self.shrinkage) * residual)


def optimistic(weights: Floats, shrinkage: float) -> Floats:
    """λ·w ÷ (w² + λ); 0 where both are 0, which obp makes NaN."""
    if not shrinkage >= 0.0:
        raise RecordError(f"shrinkage is {shrinkage!r}, must be at least 0")
    if shrinkage == math.inf:
        return weights
    below = weights**2 + shrinkage
    return np.divide(shrinkage * weights, below, out=np.zeros_like(weights), where=below > 0.0)


def mrdr_weights(batch: LoggedBatch) -> Floats:
    """`(n,)` sample weights target·(1 − p) ÷ p² under which MRDR fits its reward model.

    They make the model small where DR's variance is large: errors at the drawn action are counted
    as they enter var(DR), not as they are frequent.

    Source: Farajtabar, Chow, Ghavamzadeh (2018), "More robust doubly robust off-policy
    evaluation", eq. 10, for stochastic targets.
    """
    p = batch.propensity
    weights: Floats = batch.weights * (1.0 - p) / p
    return weights
