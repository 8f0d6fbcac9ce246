"""Logs of several behaviour policies: weigh by their mixture, or by their precision.

The naive way, each decision by its own policy's propensity, is `Ips` or `Dr` as they are.
"""

from dataclasses import dataclass

import numpy as np

from bandit.errors import NotEnoughData, RecordError
from bandit.ope.arrays import Floats
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
        loggers_n = batch.logger_propensity.shape[1]
        shares = np.bincount(batch.logger, minlength=loggers_n) / batch.n
        weights = batch.target / (batch.logger_propensity @ shares)
        if not self.with_model:
            return mean_terms(batch, weights * batch.reward)
        direct, residual = model_of(batch)
        return mean_terms(batch, direct + weights * residual)


@dataclass(frozen=True)
class WeightedLoggers:
    """Each logger's IPS or DR, weighed by its precision: n ÷ (var_k·Σ_j n_j ÷ var_j).

    Source: Agarwal et al. (2017), eq. 7.

    Attributes:
        with_model: Whether the predictions are used (DR).
    """

    with_model: bool = False

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
        values = batch.weights * batch.reward
        if self.with_model:
            direct, residual = model_of(batch)
            values = direct + batch.weights * residual
        counts, variances = _by_logger(values, batch)
        precision = batch.n / (variances * (counts / variances).sum())
        return mean_terms(batch, values * precision[batch.logger])


def _by_logger(values: Floats, batch: LoggedBatch) -> tuple[Floats, Floats]:
    """Decisions and variance of each logger's contributions."""
    assert batch.logger is not None
    counts = np.bincount(batch.logger).astype(np.float64)
    if (counts < 2).any():
        raise NotEnoughData("a logger's decisions", int(counts.min()), 2)
    means = np.bincount(batch.logger, values) / counts
    variances = np.bincount(batch.logger, (values - means[batch.logger]) ** 2) / counts
    if not (variances > 0.0).all():
        raise NotEnoughData("a logger's different contributions", 1, 2)
    return counts, variances
