"""Estimators for many actions: weights of what an action looks like, not of which one it is."""

from dataclasses import dataclass

import numpy as np

from bandit.errors import NotEnoughData, RecordError
from bandit.ope.arrays import Floats, Ints, floats, whole_numbers
from bandit.ope.base import model_of
from bandit.ope.batch import LoggedBatch
from bandit.ope.terms import Terms
from bandit.ope.weighting import mean_terms, ratio_terms


@dataclass(frozen=True, eq=False)
class Mips:
    """Marginalised IPS: mean(w(x, e)·r), w(x, e) = Σ_a p(e | a)·target(a) ÷ Σ_a p(e | a)·logged(a).

    Unbiased if the action changes the reward only through e; its weights are no larger than those
    of the actions, and defined where single actions were never tried.

    Source: Saito & Joachims (2022), "Off-policy evaluation for large action spaces via
    embeddings", eq. 5.

    Attributes:
        chances: `(k, m)` p(e | a); known, or from `embedding_chances`.
        normalised: Whether to divide by Σw(x, e).
        posterior: `(n, k)` logged(a | x, e), learned by any classifier of the drawn action from
            context and embedding, which may be of any kind then: w(x, e) = Σ_a posterior(a)·w(a).
    """

    chances: Floats | None = None
    normalised: bool = False
    posterior: Floats | None = None

    @property
    def name(self) -> str:
        """As tables show it."""
        return "sn_mips" if self.normalised else "mips"

    @property
    def trusts_model(self) -> bool:
        """Whether an interval would hide its bias."""
        return True

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions w(x, e)·r."""
        if self.posterior is not None:
            weights = learned_weights(batch, self.posterior)
        elif self.chances is not None:
            weights = marginal_weights(batch, self.chances)
        else:
            raise RecordError("Mips has neither chances nor a posterior, must have one")
        if self.normalised:
            return ratio_terms(batch, weights * batch.reward, weights)
        return mean_terms(batch, weights * batch.reward)


@dataclass(frozen=True, eq=False)
class OffCem:
    """Conjunct effects: mean(D + w(x, c)·(r − q)), weights of clusters, a model within them.

    Unbiased if q has the right *differences* between actions of one cluster.

    Source: Saito, Ren, Joachims (2023), "Off-policy evaluation for large action spaces via
    conjunct effect modeling", eq. 6.

    Attributes:
        cluster: `(k,)` cluster of each action.
    """

    cluster: Ints
    name: str = "offcem"
    trusts_model: bool = True

    def terms(self, batch: LoggedBatch) -> Terms:
        """Contributions D + w(x, c)·(r − q)."""
        direct, residual = model_of(batch)
        if batch.action is None:
            raise RecordError("OffCem needs action")
        k = None if batch.target_pmf is None else batch.target_pmf.shape[1]
        clusters = whole_numbers("cluster", self.cluster, (k,))
        chances = np.eye(int(clusters.max()) + 1)[clusters]
        weights = _marginal(batch, chances, clusters[batch.action])
        return mean_terms(batch, direct + weights * residual)


def embedding_chances(action: Ints, embedding: Ints, k: int, *, smoothing: float = 0.0) -> Floats:
    """`(k, m)` p(e | a) by how often each was logged, plus `smoothing` pseudo-decisions each.

    >>> embedding_chances(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    """
    if not len(embedding):
        raise NotEnoughData("the log", 0, 1)
    m = int(embedding.max()) + 1
    counts = np.bincount(action * m + embedding, minlength=k * m).reshape(k, m) + smoothing
    totals = counts.sum(axis=1, keepdims=True)
    chances: Floats = np.divide(counts, totals, out=np.full((k, m), 1.0 / m), where=totals > 0.0)
    return chances


def marginal_weights(batch: LoggedBatch, chances: Floats) -> Floats:
    """`(n,)` w(x, e) of the embeddings logged."""
    if batch.embedding is None:
        raise RecordError("marginal weights need embedding")
    return _marginal(batch, floats("chances", chances, (None, None)), batch.embedding)


def learned_weights(batch: LoggedBatch, posterior: Floats) -> Floats:
    """`(n,)` Σ_a logged(a | x, e)·target(a) ÷ logged(a), for a learned logged(a | x, e).

    Source: Saito & Joachims (2022), section 3.2 and eq. 7.
    """
    if batch.target_pmf is None or batch.logged_pmf is None:
        raise RecordError("marginal weights need target_pmf and logged_pmf")
    given = floats("posterior", posterior, batch.target_pmf.shape)
    if given.size and (given.min() < 0.0 or np.abs(given.sum(axis=1) - 1.0).max() > 1e-3):
        raise RecordError("posterior has a row that is not a distribution (≥ 0, sums to 1)")
    ratio = np.divide(
        batch.target_pmf,
        batch.logged_pmf,
        out=np.zeros_like(given),
        where=batch.logged_pmf > 0.0,
    )
    weights: Floats = np.einsum("nk,nk->n", given, ratio)
    return weights


def _marginal(batch: LoggedBatch, chances: Floats, code: Ints) -> Floats:
    if batch.target_pmf is None or batch.logged_pmf is None:
        raise RecordError("marginal weights need target_pmf and logged_pmf")
    given = chances[:, code].T
    logged = np.einsum("nk,nk->n", given, batch.logged_pmf)
    if not (logged > 0.0).all():
        raise RecordError("an embedding was logged that no action of positive propensity has")
    weights: Floats = np.einsum("nk,nk->n", given, batch.target_pmf) / logged
    return weights
