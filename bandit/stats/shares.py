"""Beta posteriors of two shares, by quadrature: no draws, the same answer always."""

import math
from collections.abc import Callable

import scipy

from bandit.records import Record
from bandit.stats.posterior import Posterior, best_chances, chance_at_most, expected_losses
from bandit.stats.proportions import Share, check_share
from bandit.stats.sequential.checks import check_above_zero, check_level


class ShareEffect(Record, frozen=True, kw_only=True):
    """The posterior of two shares' difference.

    Attributes:
        control, treatment: Posterior means.
        effect: Posterior mean of treatment − control.
        effect_ci_low, effect_ci_high: Central credible interval.
        relative_effect: Posterior median of (treatment − control) / control.
        relative_ci_low, relative_ci_high: Its interval.
        chance_to_win: P(treatment > control).
        treatment_loss, control_loss: What choosing each costs on average.
        alpha: 1 − the level of the intervals.
    """

    control: float
    treatment: float
    effect: float
    effect_ci_low: float
    effect_ci_high: float
    relative_effect: float
    relative_ci_low: float
    relative_ci_high: float
    chance_to_win: float
    treatment_loss: float
    control_loss: float
    alpha: float


def share_posterior(
    control: Share,
    treatment: Share,
    *,
    prior: tuple[float, float] = (1.0, 1.0),
    alpha: float = 0.05,
) -> ShareEffect:
    """Compare two shares with Beta posteriors, by quadrature: no draws, the same answer always.

    Args:
        control: Successes and units.
        treatment: The same.
        prior: a and b of the Beta prior of each share; (1, 1) is flat, (½, ½) Jeffreys'.
        alpha: 1 − the level of the intervals.

    Source: Gelman et al. (2013), section 2.4; chance to win and loss: Stucchio (2015), "Bayesian
    A/B testing at VWO".

    >>> found = share_posterior(Share(105, 400), Share(100, 380))
    >>> f"wins {found.chance_to_win:.4f}, expected loss {found.treatment_loss:.5f}"
    'wins 0.5088, expected loss 0.01219'
    >>> f"{found.effect:+.4f} [{found.effect_ci_low:+.4f}, {found.effect_ci_high:+.4f}]"
    '+0.0007 [-0.0609, +0.0624]'
    """
    check_level(alpha)
    check_share(control)
    check_share(treatment)
    check_above_zero("a of the prior", prior[0])
    check_above_zero("b of the prior", prior[1])
    c, t = (
        scipy.stats.beta(prior[0] + s.successes, prior[1] + s.n - s.successes)
        for s in (control, treatment)
    )
    loss_c, loss_t = expected_losses([c, t])

    return ShareEffect(
        control=float(c.mean()),
        treatment=float(t.mean()),
        effect=float(t.mean() - c.mean()),
        effect_ci_low=_difference(c, t, alpha / 2.0),
        effect_ci_high=_difference(c, t, 1.0 - alpha / 2.0),
        relative_effect=_relative(c, t, 0.5),
        relative_ci_low=_relative(c, t, alpha / 2.0),
        relative_ci_high=_relative(c, t, 1.0 - alpha / 2.0),
        chance_to_win=best_chances([c, t])[1],
        treatment_loss=loss_t,
        control_loss=loss_c,
        alpha=alpha,
    )


def _difference(control: Posterior, treatment: Posterior, q: float) -> float:
    """A quantile of treatment − control."""
    return _quantile(
        lambda x: chance_at_most(control, treatment, lambda v: v + x, lambda v: v - x), q, -1.0, 1.0
    )


def _relative(control: Posterior, treatment: Posterior, q: float) -> float:
    """A quantile of treatment / control − 1, searched on the log scale."""
    log = _quantile(
        lambda x: chance_at_most(
            control, treatment, lambda v: v * math.exp(x), lambda v: v * math.exp(-x)
        ),
        q,
        -700.0,
        700.0,
    )
    return math.expm1(log)


def _quantile(cdf: Callable[[float], float], q: float, low: float, high: float) -> float:
    return float(scipy.optimize.brentq(lambda x: cdf(x) - q, low, high, xtol=1e-10))
