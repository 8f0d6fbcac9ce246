"""Intervals of rankings' values that hold where few rankings carry the weight."""

import math
from collections.abc import Sequence

import numpy as np

from bandit.errors import NotEnoughData, RecordError
from bandit.ope.arrays import Floats, check_alpha, check_range
from bandit.ope.divergence import Extra, clamped, is_thin, profile
from bandit.ope.interval import Interval
from bandit.ope.joint import JointMoments
from bandit.ope.slates import SlateBatch
from bandit.ope.terms import Terms, spread_of


def cressie_read_slates(
    slates: SlateBatch,
    *,
    reward_range: tuple[float, float],
    weight_bounds: Sequence[float] | None = None,
    slot: int | None = None,
    alpha: float = 0.05,
) -> Interval:
    """Empirical-likelihood interval of a ranking's value, or of one slot's, by `Rips` weights.

    The weights down to each slot, w_1 … w_l, are known to have mean 1; slates in which the lower
    ones are large decide the value, and normal intervals miss how few they are.

    Args:
        slates: The log.
        reward_range: The least and greatest reward of a slot.
        weight_bounds: `(l,)` the greatest weight of each slot's own draw (target ÷ propensity);
            None: unknown, which only a single slot's interval can do with.
        slot: Only this one's value; None: of the whole ranking, the sum over its slots.
        alpha: 1 − the level.

    Raises:
        NotEnoughData: No rankings.
        RecordError: Without bounds for a whole ranking, or not one for each slot.

    Source: Karampatziakis, Langford, Mineiro (2020), "Empirical likelihood for contextual
    bandits", section 5; several moments: Qin & Lawless (1994).

    >>> slates = SlateBatch.of(propensity=[[0.5, 0.5]] * 400,
    ...     target=[[0.6, 0.6], [0.6, 0.4], [0.4, 0.6], [0.4, 0.4]] * 100,
    ...     reward=[[1, 0], [0, 1], [0, 0], [0, 0]] * 100)
    >>> found = cressie_read_slates(slates, reward_range=(0, 1), weight_bounds=[1.2, 1.2])
    >>> f"[{found.low:.2f}, {found.high:.2f}]"
    '[0.53, 0.56]'
    """
    check_alpha(alpha)
    check_range(reward_range)
    n, slots = slates.reward.shape
    if n == 0:
        raise NotEnoughData("the log", 0, 1)
    if slot is not None and not 0 <= slot < slots:
        raise ValueError(f"slot is {slot}, must be in 0 … {slots - 1}")
    bounds = _bounds(slates, weight_bounds)
    places = list(range(slots)) if slot is None else [slot]
    if slot is None and not np.isfinite(bounds).all():
        raise RecordError("weight_bounds is missing, must be known for a whole ranking's interval")
    weights = slates.cumulative[:, places].T
    earned = (weights * slates.reward[:, places].T).sum(axis=0)
    least, most = reward_range
    greatest = np.maximum(np.cumprod(bounds)[places], weights.max(axis=1))
    extras = [
        _extra(np.minimum(weights.min(axis=1), 0.0), least, most),
        _extra(greatest, least, most),
    ]
    moments = JointMoments.of([*weights, earned], slates.sampling)
    found = profile(
        moments,
        extras,
        nearest=extras[int(moments.means[0] < 1.0)],
        known=(1.0,) * len(places),
        alpha=alpha,
        design=_design(slates, weights[-1], earned),
        spare=_extra(np.ones(len(places)), least, most),
        thin=is_thin(moments),
    )
    span = (least * len(places), most * len(places))
    return clamped(found, span, alpha, "cressie_read_slates")


def _bounds(slates: SlateBatch, given: Sequence[float] | None) -> Floats:
    slots = slates.reward.shape[1]
    bounds = np.full(slots, math.inf) if given is None else np.asarray(given, dtype=np.float64)
    if bounds.shape != (slots,):
        raise RecordError(f"weight_bounds has shape {bounds.shape}, must be ({slots},)")
    greatest: Floats = np.maximum(bounds, slates.weights.max(axis=0))
    return greatest


def _extra(weights: Floats, least: float, most: float) -> Extra:
    """A ranking with these weights; of one unbounded slot its earnings are per unit of weight."""
    known = tuple(weights.tolist())
    if len(known) == 1 and math.isinf(known[0]):
        return Extra(known, least, most)
    total = float(weights.sum())
    return Extra(known, total * least, total * most)


def _design(slates: SlateBatch, weights: Floats, earned: Floats) -> float:
    """Variance over units ÷ over rankings, at least 1; Kish (1965), section 5.4."""
    if slates.unit_code is None or len(np.unique(slates.unit_code)) < 2 or not weights.any():
        return 1.0
    terms = Terms(
        np.zeros(len(earned)), earned[None], weights[None], slates.sampling, slates.unit_code
    )
    alone = spread_of(terms.influence, slates.sampling, None)
    together = spread_of(terms.influence, slates.sampling, slates.unit_code)
    return max(1.0, (together / alone) ** 2) if alone > 0.0 else 1.0
