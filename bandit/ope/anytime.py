"""Confidence sequences: intervals for whoever looks again and again.

They are of the mean over the rows there are: sampling weights are not applied, for a row that was
left out is one that was not looked at.

A fixed-n interval looked at 60 times is missed by the truth 17 to 87 % of the time; these at most
alpha, however often and whenever one looks, while contexts and logging policies drift.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from scipy.special import gammainc, gammaln

from bandit.errors import NotEnoughData, RecordError
from bandit.ope.arrays import Floats, check_alpha
from bandit.ope.batch import LoggedBatch
from bandit.ope.interval import Interval

MOST_REACH = 30.0
"""How far below 0 a contribution may fall where the bound on the weight allows for more.

Of 8 values tried in worlds G1 to G3 (`sims/scenarios/ope_worlds.py`) it gave the narrowest
intervals at 1,000 to 10,000 decisions, with weights up to 50 and to 800. It holds with any.
"""
STRENGTH = 1.0
"""ρ of the gamma-exponential mixture: where it is tightest."""


def anytime_ips(
    batch: LoggedBatch,
    *,
    alpha: float = 0.05,
    looks: Sequence[int] | None = None,
    predictor: Literal["bounded", "running"] = "bounded",
) -> list[Interval]:
    """Confidence sequence of the value from IPS contributions, rows in the order they came.

    Mixes the empirical-Bernstein process Σ(X − μ) with V = Σ(X − X̂)² over its bets by a gamma
    distribution; X = w·(r − rmin) ÷ (rmax − rmin) for the lower side, w·(rmax − r) ÷ … for the
    upper, each at alpha ÷ 2; X̂ = (½ + Σ of the past) ÷ t. Needs no bound on the weights.

    Args:
        batch: The log, oldest first, with its `reward_range`.
        alpha: 1 − the level.
        looks: After how many decisions to look; None for once, at the end.
        predictor: `bounded` keeps X̂ ≤ 1, as the inequality needs; `running` is the past's mean as
            vw-estimators 0.2.2 takes it, where early large weights can lift it above 1.

    Returns:
        One interval per look: for μ̄ of the decisions up to there.

    Source: Howard, Ramdas, McAuliffe, Sekhon (2021), "Time-uniform, nonparametric, nonasymptotic
    confidence sequences", proposition 9 and theorem 4; Karampatziakis, Mineiro, Ramdas (2021),
    "Off-policy confidence sequences".
    """
    check_alpha(alpha)
    least, most = _declared_range(batch)
    earned = (batch.reward - least) / (most - least)
    most_predicted = 1.0 if predictor == "bounded" else math.inf
    lower = _Process(batch.weights * earned, most_predicted=most_predicted)
    upper = _Process(batch.weights * (1.0 - earned), most_predicted=most_predicted)
    found = []
    for look in [batch.n] if looks is None else looks:
        low, high = lower.bound(look, alpha / 2.0), 1.0 - upper.bound(look, alpha / 2.0)
        found.append(
            Interval(
                low=least + (most - least) * low,
                high=least + (most - least) * max(low, high),
                alpha=alpha,
                method="anytime_ips",
                anytime=True,
            )
        )
    return found


class _Process:
    """Running sums of contributions ≥ −reach with mean in [0, 1], and of their squared surprises.

    They are scaled by 1 ÷ (1 + reach), and their predictor X̂ kept at or below that, so that no
    contribution falls more than 1 below its prediction.
    """

    def __init__(self, values: Floats, reach: float = 0.0, most_predicted: float = 1.0) -> None:
        self.scale = 1.0 / (1.0 + reach)
        self.sums = np.cumsum(values)
        before = np.concatenate([[0.0], self.sums[:-1]])
        predicted = (before + 0.5) / np.arange(1, len(values) + 1)
        predicted = np.clip(predicted, 0.0, most_predicted)
        self.surprise = np.cumsum(((values - predicted) * self.scale) ** 2)

    def bound(self, t: int, alpha: float) -> float:
        """The least mean whose wealth after `t` values is below 1 ÷ alpha."""
        if not len(self.sums):
            raise NotEnoughData("the log", 0, 1)
        if not 1 <= t <= len(self.sums):
            raise ValueError(f"a look is after {t} decisions, must be after 1 … {len(self.sums)}")
        total, spent = float(self.sums[t - 1]), float(self.surprise[t - 1])
        return lowest_mean(total, spent, t, self.scale, alpha)


def lowest_mean(total: float, spent: float, n: int, scale: float, alpha: float) -> float:
    """The least mean of `n` contributions whose wealth is below 1 ÷ alpha; at most 1.

    Args:
        total: Their sum.
        spent: Σ of their squared surprises, scaled.
        n: How many.
        scale: What makes a fall below a prediction at most 1.
        alpha: 1 − the level, of this side alone.
    """
    wanted = -math.log(alpha)

    def excess(mean: float) -> float:
        return log_wealth((total - n * mean) * scale, spent) - wanted

    if total <= 0.0 or excess(0.0) <= 0.0:
        return 0.0
    most = min(1.0, total / n)
    if excess(most) >= 0.0:
        return most
    return float(scipy.optimize.brentq(excess, 0.0, most, xtol=1e-14))


def log_wealth(gain: float, spent: float) -> float:
    """Logarithm of the gamma-exponential mixture at s = gain ≥ 0 and v = spent.

    Source: Howard et al. (2021), eq. 68 (proposition 9), with c = 1.
    """
    rho = STRENGTH
    all_of_it = gain + spent + rho
    return (
        gain
        + spent
        + rho * math.log(rho)
        - (spent + rho) * math.log(all_of_it)
        + math.log(gammainc(spent + rho, all_of_it))
        + float(gammaln(spent + rho))
        - math.log(gammainc(rho, rho))
        - float(gammaln(rho))
    )


def anytime_dr(
    batch: LoggedBatch,
    *,
    alpha: float = 0.05,
    looks: Sequence[int] | None = None,
    reach: float | None = None,
) -> list[Interval]:
    """Confidence sequence of the value from doubly robust contributions, oldest first.

    φ = w·(r − q̃) + Σ_a target(a)·q̃(a) ≥ −reach, q̃ = min(q, reach ÷ w(a)). Their predictions X̂ ≤ 1
    are means of the past, and φ − X̂, scaled by 1 ÷ (1 + reach), feeds the mixture of `anytime_ips`
    (a mixture needs no bets; plug-in bets are ruined by the first large weight). The upper side is
    the lower side of 1 − r. Logging policy and contexts may drift; q may be any function of the
    past: predictions must not have seen the rows they are for. Without them q̃ is the mean reward
    of the past, which takes most of the variance off the upper side where rewards are rare.

    Args:
        batch: The log, oldest first, with `reward_range`; with `predictions` and `logged_pmf`, or
            a `weight_bound`, where they are known (with the bound, `predicted` and `direct` alone
            do: the model's predictions must then be inside `reward_range`). With neither φ is w·r.
        alpha: 1 − the level.
        looks: After how many decisions to look; None for once, at the end.
        reach: k ≥ 0, how far below 0 a contribution may fall: larger uses more of the model. None
            takes the known bound on the weight, `MOST_REACH` at most.

    Returns:
        One interval per look, each inside those before it (the truth is taken to stand still;
        `anytime_ips` is for drifting values).

    Source: Waudby-Smith, Wu, Ramdas, Karampatziakis, Mineiro (2022), "Anytime-valid off-policy
    inference for contextual bandits", arXiv 2210.10768, section 2 (φ, its truncation and scaling;
    recalled, equation numbers not checked); mixture: Howard et al. (2021), proposition 9.
    """
    check_alpha(alpha)
    least, most = _declared_range(batch)
    sides = []
    for up in (True, False):
        contributions, below = _doubly(batch, _Scaled(least, most, up=up), reach)
        sides.append(_Process(contributions, below))
    span = most - least
    bounds = _running(sides, _looks(batch, looks), alpha)
    return [
        Interval(
            low=least + span * low,
            high=least + span * max(low, 1.0 - lowest),
            alpha=alpha,
            method="anytime_dr",
            anytime=True,
        )
        for low, lowest in bounds
    ]


def anytime_gain(
    candidate: LoggedBatch,
    other: LoggedBatch | None = None,
    *,
    alpha: float = 0.05,
    looks: Sequence[int] | None = None,
    reach: float | None = None,
) -> list[Interval]:
    """Confidence sequence of candidate − logging policy, or of candidate − other; paired by row.

    What the gate asks: promote once the lower bound is above 0, whenever that is. Contributions
    (φ(candidate; r) + φ(other; 1 − r)) ÷ 2 are bounded below and have mean (gain + 1) ÷ 2; the
    logging policy's own φ is its reward.

    Source: Karampatziakis, Mineiro, Ramdas (2021), "Off-policy confidence sequences", section 5
    (gated deployment), with the contributions of `anytime_dr`.
    """
    check_alpha(alpha)
    if other is not None and not np.array_equal(other.reward, candidate.reward):
        raise RecordError("paired batches must hold the same rows")
    least, most = _declared_range(candidate)
    sides = []
    for up in (True, False):
        mine, theirs = _Scaled(least, most, up=up), _Scaled(least, most, up=not up)
        first, below = _doubly(candidate, mine, reach)
        second, further = theirs(candidate.reward), 0.0
        if other is not None:
            second, further = _doubly(other, theirs, reach)
        sides.append(_Process((first + second) / 2.0, (below + further) / 2.0))
    span = most - least
    bounds = _running(sides, _looks(candidate, looks), alpha)
    return [
        Interval(
            low=span * (2.0 * low - 1.0),
            high=span * max(2.0 * low - 1.0, 1.0 - 2.0 * lowest),
            alpha=alpha,
            method="anytime_gain",
            anytime=True,
        )
        for low, lowest in bounds
    ]


def _running(
    sides: Sequence[_Process], looks: Sequence[int], alpha: float
) -> list[tuple[float, float]]:
    """The greatest lower bounds of both sides up to each look."""
    found = np.array([[side.bound(look, alpha / 2.0) for side in sides] for look in looks])
    return [(float(a), float(b)) for a, b in np.maximum.accumulate(found, axis=0)]


def _looks(batch: LoggedBatch, looks: Sequence[int] | None) -> Sequence[int]:
    if batch.n == 0:
        raise NotEnoughData("the log", 0, 1)
    return [batch.n] if looks is None else looks


def _declared_range(batch: LoggedBatch) -> tuple[float, float]:
    if batch.reward_range is None:
        raise RecordError("an anytime-valid interval needs reward_range: what was seen is no bound")
    return batch.reward_range


@dataclass(frozen=True)
class _Scaled:
    """Rewards scaled to [0, 1], upside down for the upper side."""

    least: float
    most: float
    up: bool

    def __call__(self, rewards: Floats) -> Floats:
        scaled = np.clip((rewards - self.least) / (self.most - self.least), 0.0, 1.0)
        return scaled if self.up else 1.0 - scaled


def _doubly(batch: LoggedBatch, scaled: _Scaled, reach: float | None) -> tuple[Floats, float]:
    """`(n,)` φ of scaled rewards, and how far below 0 it may fall."""
    earned, weights, bound = scaled(batch.reward), batch.weights, batch.greatest_weight
    if reach is None:
        reach = min(bound, MOST_REACH) if math.isfinite(bound) else 1.0
    if batch.predictions is None or batch.target_pmf is None or batch.action is None:
        if math.isinf(bound):
            return weights * earned, 0.0
        if batch.predicted is not None and batch.direct is not None and reach >= bound:
            # No weight is above the reach, so no prediction inside the range needs to be cut.
            return weights * (earned - scaled(batch.predicted)) + scaled(batch.direct), reach
        past = np.cumsum(earned) - earned
        baseline = (past + 0.5) / np.arange(1, batch.n + 1)
        baseline = np.minimum(baseline, reach / bound)
        return weights * (earned - baseline) + baseline, reach
    q = scaled(batch.predictions)
    if batch.logged_pmf is not None:
        # min(q, k ÷ w(a)), w(a) = target(a) ÷ logged(a); no cap where the target never goes.
        cap = np.divide(
            reach * batch.logged_pmf,
            batch.target_pmf,
            out=np.ones_like(q),
            where=batch.target_pmf > 0.0,
        )
        q = np.minimum(q, cap)
    elif math.isfinite(bound):
        q = np.minimum(q, reach / bound)
    else:
        return weights * earned, 0.0
    drawn = np.take_along_axis(q, batch.action[:, None], axis=1)[:, 0]
    return weights * (earned - drawn) + np.einsum("nk,nk->n", batch.target_pmf, q), reach
