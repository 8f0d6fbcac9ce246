"""During an experiment: has it the power to find what one would care about, and when will it?"""

import math
from typing import Literal

from scipy.special import ndtr, ndtri

from bandit.records import Record
from bandit.stats.estimate import Estimate
from bandit.stats.planning import PLAIN, Design, check_power, least_that, rejection_chance
from bandit.stats.sequential.checks import check_above_zero


class Outlook(Record, frozen=True, kw_only=True):
    """A running experiment's power for an effect one would care about.

    Attributes:
        power_now: With the units that are in.
        growth: How many times the present units are needed in all; 1 when it is powered.
        units_more: Units still needed, of both variants.
        reason: `no_estimate` or `no_effect`; then the numbers are None.
    """

    power_now: float | None = None
    growth: float | None = None
    units_more: float | None = None
    reason: Literal["no_estimate", "no_effect"] | None = None


def outlook(
    std_error: float | None,
    effect: float,
    *,
    units: int,
    power_wanted: float = 0.8,
    design: Design = PLAIN,
    prior_sd: float | None = None,
) -> Outlook:
    """Power of a running experiment, from its present standard error, which shrinks with √units.

    Works for every estimator and on either scale: give the standard error of the effect, or of the
    relative effect (`delta`) with a relative effect. The effect *seen* is not used: power at the
    observed effect is the p-value in other words.

    Args:
        std_error: Of the effect now; None if there is none.
        effect: That one would care about.
        units: In the two variants now.
        power_wanted: In (0, 1).
        design: How it will be read; `ratio` is not used.
        prior_sd: It will be read by a credible interval with a normal prior around 0 of that
            deviation, on the scale of `effect`; None: by the design's test.

    Source: GrowthBook, "Mid-experiment power"; Hoenig, Heisey (2001), "The abuse of power".

    >>> o = outlook(0.2, 0.5, units=1000)
    >>> f"{o.power_now:.3f}, {o.growth:.3f} times the units, {o.units_more:.0f} more"
    '0.705, 1.258 times the units, 258 more'
    """
    check_power(power_wanted)
    if prior_sd is not None:
        check_above_zero("prior_sd", prior_sd)
    if std_error is None or std_error <= 0.0 or units <= 0:
        return Outlook(reason="no_estimate")
    now = _grown(std_error, effect, units, 1.0, design, prior_sd)
    if now >= power_wanted:
        return Outlook(power_now=now, growth=1.0, units_more=0.0)
    growth = least_that(
        lambda g: _grown(std_error, effect, units, g, design, prior_sd) >= power_wanted, 1.0, 1e12
    )
    if growth is None:
        return Outlook(power_now=now, reason="no_effect")
    return Outlook(power_now=now, growth=growth, units_more=(growth - 1.0) * units)


def _grown(
    std_error: float,
    effect: float,
    units: int,
    growth: float,
    design: Design,
    prior_sd: float | None,
) -> float:
    """Chance to find the effect with `growth` times the units.

    With a prior the posterior is the estimate times w = τ²/(τ² + se²) with deviation se·√w, so its
    interval leaves out 0 where the estimate is beyond z·se/√w.
    """
    error = std_error / math.sqrt(growth)
    if prior_sd is not None:
        reach = -float(ndtri(design.alpha / 2.0)) * math.hypot(1.0, error / prior_sd)
        return float(ndtr(effect / error - reach) + ndtr(-effect / error - reach))
    df = math.inf if design.distribution == "z" else units * growth - 2.0
    return rejection_chance(effect - design.null_value, error, df, design)


def outlook_of(
    estimate: Estimate, effect: float, *, power_wanted: float = 0.8, design: Design = PLAIN
) -> Outlook:
    """`outlook` of an Estimate, on the absolute scale."""
    error = estimate.std_error if estimate.usable else None
    return outlook(
        error, effect, units=sum(estimate.n[:2]), power_wanted=power_wanted, design=design
    )
