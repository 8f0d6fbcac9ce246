"""Paired comparisons on the same rows: much narrower than the difference of two intervals."""

import math
from itertools import product

import numpy as np

from bandit.errors import NotEnoughData, RecordError
from bandit.ope.base import Estimator
from bandit.ope.batch import LoggedBatch
from bandit.ope.divergence import Extra, is_thin, profile, unseen_change
from bandit.ope.interval import Interval
from bandit.ope.intervals import student_t
from bandit.ope.joint import JointMoments
from bandit.ope.likelihood import design_effect, weight_range
from bandit.ope.terms import Terms
from bandit.ope.weighting import Snips, mean_terms, weighted_mean
from bandit.records import Record


class Gain(Record, frozen=True, kw_only=True):
    """How much more the candidate would have earned per decision.

    Attributes:
        gain: The estimate.
        std_error: Its paired standard error over units.
        interval: Where it is.
    """

    gain: float
    std_error: float
    interval: Interval


def gain_over_logging(
    batch: LoggedBatch, *, estimator: Estimator | None = None, alpha: float = 0.05
) -> Gain:
    """Candidate − logging policy: the estimator's value less the mean reward, paired by row.

    The interval is Cressie–Read's of (w − 1)·r. Where candidate and log agree w is 1 and the row
    tells nothing and costs nothing, so a small change is judged by the rows that it changes.

    Source: Karampatziakis, Langford, Mineiro (2020), section 5, of (w − 1)·r.

    >>> batch = LoggedBatch.of(propensity=[0.5] * 400, target=[0.6, 0.4] * 200,
    ...     reward=[1.0, 0.0, 0.0, 0.0] * 100, weight_bound=1.2, reward_range=(0, 1))
    >>> found = gain_over_logging(batch)
    >>> f"{found.gain:+.3f} [{found.interval.low:+.3f}, {found.interval.high:+.3f}]"
    '+0.050 [+0.040, +0.057]'
    """
    terms = (estimator or Snips()).terms(batch)
    logged = mean_terms(batch, batch.reward)
    weights = batch.weights
    moments = JointMoments.of([weights, (weights - 1.0) * batch.reward], batch.sampling)
    least, most = batch.greatest_rewards
    extras = []
    places = weight_range(batch)
    for w in places:
        ends = (least, most) if math.isinf(w) else ((w - 1.0) * least, (w - 1.0) * most)
        extras.append(Extra((w,), min(ends), max(ends)))
    found = profile(
        moments,
        extras,
        nearest=extras[int(moments.means[0] < 1.0)],
        alpha=alpha,
        design=design_effect(batch),
        spare=unseen_change(places, most - least),
        thin=is_thin(moments),
    )
    span = most - least
    low, high = (settled(bound, span) for bound in found)
    return Gain(
        gain=terms.value - logged.value,
        std_error=_paired(terms, logged).std_error,
        interval=Interval(low=low, high=high, alpha=alpha, method="cressie_read"),
    )


def gain_between(
    candidate: LoggedBatch,
    other: LoggedBatch,
    *,
    estimator: Estimator | None = None,
    alpha: float = 0.05,
) -> Gain:
    """Candidate − other, two targets on the same log (`LoggedBatch.with_target`), paired by row.

    The interval is Cressie–Read's of (w − w')·r under E[w] = E[w'] = 1; without known bounds on
    both weights it is the t interval of the paired contributions, and says so.

    Source: Karampatziakis, Langford, Mineiro (2020), section 5; several moments: Qin & Lawless
    (1994), "Empirical likelihood and general estimating equations".
    """
    if candidate.n != other.n or not np.array_equal(candidate.reward, other.reward):
        raise RecordError("paired batches must hold the same rows")
    how = estimator or Snips()
    mine, theirs = how.terms(candidate), how.terms(other)
    paired = _paired(mine, theirs)
    return Gain(
        gain=mine.value - theirs.value,
        std_error=paired.std_error,
        interval=_between(candidate, other, paired, alpha),
    )


def _between(candidate: LoggedBatch, other: LoggedBatch, paired: Terms, alpha: float) -> Interval:
    ranges = [weight_range(candidate), weight_range(other)]
    if any(math.isinf(high) for _, high in ranges):
        return student_t(paired, alpha=alpha)
    columns = [
        candidate.weights.copy(),
        other.weights.copy(),
        (candidate.weights - other.weights) * candidate.reward,
    ]
    moments = JointMoments.of(columns, candidate.sampling)
    least, most = candidate.greatest_rewards
    extras = {}
    for places in product((0, 1), repeat=2):
        first, second = ranges[0][places[0]], ranges[1][places[1]]
        ends = ((first - second) * least, (first - second) * most)
        extras[places] = Extra((first, second), min(ends), max(ends))
    apart = JointMoments.of([candidate.weights - other.weights], candidate.sampling)
    unseen = Extra((1.0, 1.0), least - most, most - least)
    found = profile(
        moments,
        list(extras.values()),
        nearest=extras[int(moments.means[0] < 1.0), int(moments.means[1] < 1.0)],
        known=(1.0, 1.0),
        alpha=alpha,
        design=max(design_effect(candidate), design_effect(other)),
        spare=None if _is_same(candidate, other) else unseen,
        thin=is_thin(apart),
    )
    span = most - least
    low, high = (settled(bound, span) for bound in found)
    return Interval(low=low, high=high, alpha=alpha, method="cressie_read")


def _is_same(candidate: LoggedBatch, other: LoggedBatch) -> bool:
    """Whether both are known to be one policy; if only the log does not tell them apart, not."""
    if candidate.target_pmf is None or other.target_pmf is None:
        return candidate is other
    return np.array_equal(candidate.target_pmf, other.target_pmf)


def settled(bound: float, span: float) -> float:
    """A bound of a gain inside the possible; 0 where only the rounding of float32 weights is left.

    >>> settled(-1.7e-8, 1.0), settled(2.0, 1.0)
    (0.0, 1.0)
    """
    return 0.0 if abs(bound) <= 1e-7 * span else min(span, max(-span, bound))


def _paired(first: Terms, second: Terms) -> Terms:
    """Terms of the difference: values subtract, and so do first-order effects."""
    difference = first.value - second.value
    effect = first.influence - second.influence
    nothing = np.zeros((0, len(effect)))
    return Terms(effect + difference, nothing, nothing, first.sampling, first.unit, linear=effect)


def disagreement(first: Terms, second: Terms, batch: LoggedBatch) -> float:
    """|difference| ÷ its paired standard error, of two estimators on one batch."""
    if not batch.n:
        raise NotEnoughData("the log", 0, 1)
    paired = _paired(first, second)
    scale = weighted_mean(batch, np.abs(batch.reward))
    error = paired.std_error
    return 0.0 if error <= 1e-12 * scale else abs(first.value - second.value) / error
