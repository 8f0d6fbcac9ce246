"""Logs of several behaviour policies: weigh by their mixture, or by their precision.

The naive way, each decision by its own policy's propensity, is `Ips` or `Dr` as they are.
"""

from dataclasses import dataclass

import numpy as np

from bandit.errors import NotEnoughData, RecordError
from bandit.ope.arrays import Floats, Ints
from bandit.ope.base import model_of
from bandit.ope.batch import LoggedBatch
from bandit.ope.terms import Terms
from bandit.ope.weighting import mean_terms


@dataclass(frozen=True)
class Balanced:
    """Balanced over loggers: w = target ÷ Σ_k (n_k ÷ n)·p_k, then IPS or DR.

    Never worse than the naive weights: a decision is only as rare as the mixture makes it.

    Source: Agarwal et al. (2017), "Effective evaluation using logged bandit feedback from multiple
    loggers", eq. 5; DR: Kallus, Saito, Uehara (2021), "Optimal off-policy evaluation from multiple
    logging policies", section 4.

    Attributes:
        with_model: Whether the predictions are used (DR).
    """

    with_model: bool = False

    @property
    def name(self) -> str:
        """As tables show it."""
        return "balanced_dr" if self.with_model else "balanced_ips"

    @property
    def trusts_model(self) -> bool:
        """Whether an interval would hide its bias."""
        return False

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions w·r, or D + w·(r − q)."""
        if batch.logger is None or batch.logger_propensity is None:
            raise RecordError("balanced weights need logger and logger_propensity")
        if not batch.n:
            raise NotEnoughData("the log", 0, 1)
        loggers_n = batch.logger_propensity.shape[1]
        shares = np.bincount(batch.logger, batch.sampling, minlength=loggers_n)
        shares = shares / shares.sum()
        weights = batch.target / (batch.logger_propensity @ shares)
        if not self.with_model:
            return mean_terms(batch, weights * batch.reward)
        direct, residual = model_of(batch)
        return mean_terms(batch, direct + weights * residual)


@dataclass(frozen=True)
class WeightedLoggers:
    """Each logger's IPS or DR, weighed by its precision: n ÷ (var_k·Σ_j n_j ÷ var_j).

    Of DR only the correction w·(r − q) is weighed, as obp 0.5.7 computes it: the direct part knows
    no logger, so its mean is over all decisions, which varies less, and stays that of all contexts
    where loggers saw different ones. `weighs_direct` weighs all of it, as the paper writes it.

    Source: Agarwal et al. (2017), eq. 7; DR: Kallus, Saito, Uehara (2021), section 3 (precision
    weighted doubly robust).

    Attributes:
        with_model: Whether the predictions are used (DR).
        weighs_direct: Whether the direct part is weighed, too.
    """

    with_model: bool = False
    weighs_direct: bool = False

    @property
    def name(self) -> str:
        """As tables show it."""
        return "weighted_dr" if self.with_model else "weighted_ips"

    @property
    def trusts_model(self) -> bool:
        """Whether an interval would hide its bias."""
        return False

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions of each logger, scaled by its share of the precision."""
        if batch.logger is None:
            raise RecordError("weighted loggers need logger")
        direct, residual = np.zeros(batch.n), batch.reward
        if self.with_model:
            direct, residual = model_of(batch)
        correction = batch.weights * residual
        if not batch.n:
            raise NotEnoughData("the log", 0, 1)
        loggers, place = np.unique(batch.logger, return_inverse=True)
        masses, variances = _by_logger(direct + correction, place, batch.sampling, len(loggers))
        precision = masses.sum() / (variances * (masses / variances).sum())
        scale = precision[place]
        base = direct * scale if self.weighs_direct else direct
        return mean_terms(batch, base + correction * scale)


def _by_logger(
    values: Floats, logger: Ints, sampling: Floats | None, loggers_n: int
) -> tuple[Floats, Floats]:
    """Decisions, as sampled, and variance of each logger's contributions."""
    counts = np.bincount(logger, minlength=loggers_n)
    if (counts < 2).any():
        raise NotEnoughData("a logger's decisions", int(counts.min()), 2)
    mass = np.ones_like(values) if sampling is None else sampling
    masses = np.bincount(logger, mass).astype(np.float64)
    means = np.bincount(logger, mass * values) / masses
    variances = np.bincount(logger, mass * (values - means[logger]) ** 2) / masses
    if not (variances > 0.0).all():
        raise NotEnoughData("a logger's different contributions", 1, 2)
    return masses, variances
