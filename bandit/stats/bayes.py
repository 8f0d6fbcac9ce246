"""Normal posteriors of an effect: chance to win, expected loss, credible interval."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy
from msgspec.structs import replace
from scipy.special import ndtr, ndtri

from bandit.records import Record
from bandit.stats.effect import Reason
from bandit.stats.estimate import Estimate
from bandit.stats.fieller import relative_interval
from bandit.stats.posterior import best_chances, expected_losses
from bandit.stats.sequential.checks import (
    check_above_zero,
    check_finite,
    check_level,
    check_spread,
)

Floats = npt.NDArray[np.float64]

_GRID = 4001
_REACH = 9.0


class NormalPrior(Record, frozen=True, kw_only=True):
    """What effects are expected before any data.

    Attributes:
        mean: Of the effect.
        sd: Its deviation; None is flat: the data alone speak.
        scale: Whether it speaks of treatment − control or of that ÷ control.
    """

    mean: float = 0.0
    sd: float | None = None
    scale: Literal["absolute", "relative"] = "relative"

    def __post_init__(self) -> None:
        check_finite("mean", self.mean)
        if self.sd is not None:
            check_above_zero("sd", self.sd)

    def on(self, scale: Literal["absolute", "relative"], control: float) -> "NormalPrior":
        """The same belief on another scale: effect = relative effect × control, mean and sd alike.

        Raises:
            ValueError: The scales differ and the control is 0.

        >>> NormalPrior(mean=0.01, sd=0.1).on("absolute", 20.0)
        NormalPrior(mean=0.2, sd=2.0, scale='absolute')
        """
        if scale == self.scale:
            return self
        if control == 0.0:
            raise ValueError("control is 0.0, must not be for a prior on the other scale")
        factor = control if scale == "absolute" else 1.0 / control
        sd = None if self.sd is None else self.sd * abs(factor)
        return NormalPrior(mean=self.mean * factor, sd=sd, scale=scale)


FLAT = NormalPrior()
"""No belief: the credible interval is the fixed-horizon interval."""


class NormalPosterior(Record, frozen=True, kw_only=True):
    """A normal posterior of an effect.

    Attributes:
        mean, sd: Of the posterior.
        ci_low, ci_high: Central credible interval.
        chance_to_win: P(effect > 0).
        treatment_loss: What choosing the treatment costs on average: E max(−effect, 0).
        control_loss: What keeping the control costs: E max(effect, 0).
        alpha: 1 − the level of the interval.
    """

    mean: float
    sd: float
    ci_low: float
    ci_high: float
    chance_to_win: float
    treatment_loss: float
    control_loss: float
    alpha: float


def normal_posterior(
    effect: float, std_error: float, prior: NormalPrior = FLAT, *, alpha: float = 0.05
) -> NormalPosterior:
    """Posterior of an effect with a normal likelihood and a normal prior on the same scale.

    precision = 1/se² + 1/sd², mean = (effect/se² + μ/sd²)/precision; the losses are means of
    normals cut at 0: s·φ(m/s) ± m·Φ(±m/s).

    Args:
        effect: Estimate.
        std_error: Its standard error, above 0.
        prior: On the scale of `effect` (its `scale` is not looked at).
        alpha: 1 − the level of the interval.

    Source: Gelman et al. (2013), "Bayesian data analysis", section 2.5; the model of GrowthBook
    and Eppo.

    >>> found = normal_posterior(0.08, 0.04, NormalPrior(sd=0.05))
    >>> f"{found.mean:.4f} [{found.ci_low:.4f}, {found.ci_high:.4f}]"
    '0.0488 [-0.0124, 0.1100]'
    >>> f"wins {found.chance_to_win:.1%}, expected loss {found.treatment_loss:.5f}"
    'wins 94.1%, expected loss 0.00079'
    """
    check_level(alpha)
    check_finite("effect", effect)
    check_above_zero("std_error", std_error)
    precision, weight = 1.0 / std_error**2, 0.0 if prior.sd is None else 1.0 / prior.sd**2
    mean = (effect * precision + prior.mean * weight) / (precision + weight)
    sd = 1.0 / math.sqrt(precision + weight)
    z = mean / sd
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    reach = -float(ndtri(alpha / 2.0)) * sd
    return NormalPosterior(
        mean=mean,
        sd=sd,
        ci_low=mean - reach,
        ci_high=mean + reach,
        chance_to_win=float(ndtr(z)),
        treatment_loss=max(sd * (density - z * float(ndtr(-z))), 0.0),
        control_loss=max(sd * (density + z * float(ndtr(z))), 0.0),
        alpha=alpha,
    )


class BayesEffect(Record, frozen=True, kw_only=True):
    """The posterior of treatment − control on both scales.

    Attributes:
        control, treatment: The estimates.
        effect, effect_sd: Posterior of treatment − control.
        effect_ci_low, effect_ci_high: Its credible interval.
        relative_effect: Posterior median of (treatment − control) / control.
        relative_ci_low, relative_ci_high: Its credible interval.
        chance_to_win: P(treatment > control).
        treatment_loss: What choosing the treatment costs on average, absolute.
        control_loss: What keeping the control costs on average, absolute.
        prior: As given.
        alpha: 1 − the level of the intervals.
        reason: Why there is no posterior.
        relative_reason: Why there is none on the relative scale.
    """

    control: float | None
    treatment: float | None
    effect: float | None = None
    effect_sd: float | None = None
    effect_ci_low: float | None = None
    effect_ci_high: float | None = None
    relative_effect: float | None = None
    relative_ci_low: float | None = None
    relative_ci_high: float | None = None
    chance_to_win: float | None = None
    treatment_loss: float | None = None
    control_loss: float | None = None
    prior: NormalPrior
    alpha: float
    reason: Reason | None = None
    relative_reason: Reason | None = None


def bayes_comparison(
    control: float,
    treatment: float,
    control_variance: float,
    treatment_variance: float,
    *,
    covariance: float = 0.0,
    prior: NormalPrior = FLAT,
    alpha: float = 0.05,
) -> BayesEffect:
    """Compare two estimates with a prior on either scale.

    A prior on one scale is carried to the other by the control, mean and deviation both. The
    relative posterior uses the likelihood of the ratio itself, with the control's mean integrated
    out: N(d; δc, v_t + (1 + δ)²v_c − 2(1 + δ)k); with a flat prior its interval is Fieller's.

    Args:
        control: The control's estimate.
        treatment: The treatment's estimate.
        control_variance: Variance of the control's *estimate*.
        treatment_variance: Variance of the treatment's *estimate*.
        covariance: Of the two estimates.
        prior: What effects are expected.
        alpha: 1 − the level of the intervals.

    Source: Gelman et al. (2013), section 2.5; ratio of means: Hinkley (1969), "On the ratio of two
    correlated normal random variables"; Fieller (1954).

    >>> found = bayes_comparison(10.0, 10.6, 0.04, 0.04, prior=NormalPrior(sd=0.05))
    >>> ends = found.relative_ci_low, found.relative_ci_high
    >>> f"{found.relative_effect:+.2%} [{ends[0]:+.2%}, {ends[1]:+.2%}]"
    '+4.52% [-0.25%, +9.46%]'
    >>> f"wins {found.chance_to_win:.1%}"
    'wins 96.8%'
    """
    check_level(alpha)
    for name, value in (("control", control), ("treatment", treatment), ("covariance", covariance)):
        check_finite(name, value)
    check_spread("control_variance", control_variance)
    check_spread("treatment_variance", treatment_variance)
    variance = control_variance + treatment_variance - 2.0 * covariance
    known = BayesEffect(control=control, treatment=treatment, prior=prior, alpha=alpha)
    if variance <= 0.0:
        return replace(known, reason="no_variance", relative_reason="no_variance")
    if control == 0.0 and prior.scale == "relative" and prior.sd is not None:
        return replace(known, reason="control_is_zero", relative_reason="control_is_zero")
    usable = prior if prior.sd is not None else NormalPrior(scale="absolute")
    found = normal_posterior(
        treatment - control, math.sqrt(variance), usable.on("absolute", control), alpha=alpha
    )
    spread = _Spread(control, treatment, control_variance, treatment_variance, covariance)
    relative = _relative_quantiles(spread, usable, alpha) if control != 0.0 else None
    low, middle, high = relative or (None, None, None)
    return replace(
        known,
        effect=found.mean,
        effect_sd=found.sd,
        effect_ci_low=found.ci_low,
        effect_ci_high=found.ci_high,
        relative_effect=middle,
        relative_ci_low=low,
        relative_ci_high=high,
        chance_to_win=found.chance_to_win,
        treatment_loss=found.treatment_loss,
        control_loss=found.control_loss,
        relative_reason=(
            "control_is_zero" if control == 0.0 else None if relative else "control_near_zero"
        ),
    )


def posterior_of(
    estimate: Estimate, prior: NormalPrior = FLAT, *, alpha: float = 0.05
) -> BayesEffect:
    """Posterior of any estimate's first treatment against its control.

    >>> e = Estimate(n=(400, 400), values=(10.0, 10.6), covariance=((0.04, 0.0), (0.0, 0.04)),
    ...              dfs=(399.0, 399.0), kind="mean")
    >>> f"wins {posterior_of(e, NormalPrior(sd=0.05)).chance_to_win:.1%}"
    'wins 96.8%'
    """
    control, treatment = estimate.values[:2]
    v = estimate.covariance
    if v is None or control is None or treatment is None:
        return BayesEffect(
            control=control,
            treatment=treatment,
            prior=prior,
            alpha=alpha,
            reason=estimate.reason,
            relative_reason=estimate.reason,
        )
    return bayes_comparison(
        control, treatment, v[0][0], v[1][1], covariance=v[0][1], prior=prior, alpha=alpha
    )


def normal_best(means: list[float], sds: list[float]) -> tuple[list[float], list[float]]:
    """Chance of each variant to be the best, and what choosing it costs on average.

    Args:
        means: Posterior mean per variant.
        sds: Posterior deviation per variant, above 0.

    >>> chances, losses = normal_best([5.49, 5.82], [0.90, 0.95])
    >>> [round(chance, 3) for chance in chances], [round(loss, 3) for loss in losses]
    ([0.4, 0.6], [0.704, 0.374])
    """
    for sd in sds:
        check_above_zero("sd", sd)
    posteriors = [scipy.stats.norm(mean, sd) for mean, sd in zip(means, sds, strict=True)]
    return best_chances(posteriors), expected_losses(posteriors)


class _Spread(Record, frozen=True):
    """Two estimates and their covariance, as the relative scale needs them."""

    control: float
    treatment: float
    control_variance: float
    treatment_variance: float
    covariance: float

    def fieller(self, critical: float) -> tuple[float, float] | None:
        return relative_interval(
            self.control,
            self.treatment,
            self.control_variance,
            self.treatment_variance,
            critical,
            covariance=self.covariance,
        )

    def log_likelihood(self, delta: Floats) -> Floats:
        ratio = 1.0 + delta
        variance = (
            self.treatment_variance
            + ratio**2 * self.control_variance
            - 2.0 * ratio * self.covariance
        )
        variance = np.maximum(variance, 1e-300)
        gap = self.treatment - self.control - delta * self.control
        found: Floats = -0.5 * (gap**2 / variance + np.log(variance))
        return found


def _relative_quantiles(
    spread: _Spread, prior: NormalPrior, alpha: float
) -> tuple[float, float, float] | None:
    """Lower end, median and upper end of the relative posterior."""
    if prior.sd is None:
        ends = spread.fieller(-float(ndtri(alpha / 2.0)))
        return ends and (ends[0], spread.treatment / spread.control - 1.0, ends[1])
    belief = prior.on("relative", spread.control)
    assert belief.sd is not None
    low, high = belief.mean - _REACH * belief.sd, belief.mean + _REACH * belief.sd
    likely = spread.fieller(_REACH)
    if likely and max(low, likely[0]) < min(high, likely[1]):
        low, high = max(low, likely[0]), min(high, likely[1])
    elif likely:
        low, high = min(low, likely[0]), max(high, likely[1])
    delta = np.linspace(low, high, _GRID)
    log = spread.log_likelihood(delta) - 0.5 * ((delta - belief.mean) / belief.sd) ** 2
    mass = np.exp(log - log.max())
    steps = np.concatenate(([0.0], np.cumsum((mass[1:] + mass[:-1]) / 2.0)))
    found = np.interp([alpha / 2.0, 0.5, 1.0 - alpha / 2.0], steps / steps[-1], delta)
    return float(found[0]), float(found[1]), float(found[2])
