"""How likely a running experiment is to be decided by a sequence, and when."""

import math

import scipy
from scipy.special import ndtr

from bandit.stats.midway import Outlook
from bandit.stats.sequential.asymptotic import TUNED_FOR, critical_value, mixture_precision
from bandit.stats.sequential.checks import check_above_zero, check_finite, check_level

_FARTHEST = 1e9


def anytime_power(effect: float, std_error: float, critical: float) -> float:
    """Chance that a look's interval leaves out 0: Φ(δ/se − q) + Φ(−δ/se − q).

    Of this one look; the chance that some look does is larger.

    Args:
        effect: True effect δ.
        std_error: At this look, above 0.
        critical: q, how many standard errors the interval reaches at this look.
    """
    check_above_zero("std_error", std_error)
    z = effect / std_error
    return float(ndtr(z - critical)) + float(ndtr(-z - critical))


def anytime_outlook(
    std_error: float | None,
    effect: float,
    *,
    units: float,
    power_wanted: float = 0.8,
    alpha: float = 0.05,
    tuned_for: float = TUNED_FOR,
    exact: bool = True,
) -> Outlook:
    """Power of a running sequence now, and how many more units give the wanted power.

    The standard error shrinks with √units, the sequence with its own rate.

    Args:
        std_error: Of the effect now (of the relative effect, with a relative `effect`); None or 0
            if there is none.
        effect: That one would care about.
        units: In the two variants now, above 0.
        power_wanted: In (0, 1).
        alpha: Of the sequence.
        tuned_for: Of the sequence.
        exact: Exact tuning; False for GrowthBook's.

    Source: GrowthBook, "Mid-experiment power", with the sequence's critical value.

    >>> o = anytime_outlook(0.2, 0.5, units=1000)
    >>> f"{o.power_now:.3f}, {o.growth:.2f} times the units"
    '0.198, 2.46 times the units'
    """
    check_level(power_wanted)
    check_finite("effect", effect)
    precision = mixture_precision(tuned_for, alpha, exact=exact)
    if std_error is None or std_error <= 0.0 or units <= 0:
        return Outlook(reason="no_estimate")

    def power_at(growth: float) -> float:
        critical = critical_value(units * growth, alpha, precision)
        return anytime_power(effect, std_error / math.sqrt(growth), critical)

    now = power_at(1.0)
    if now >= power_wanted:
        return Outlook(power_now=now, growth=1.0, units_more=0.0)
    if effect == 0.0 or power_at(_FARTHEST) < power_wanted:
        return Outlook(power_now=now, reason="no_effect")
    growth = float(
        scipy.optimize.brentq(lambda g: power_at(g) - power_wanted, 1.0, _FARTHEST, xtol=1e-9)
    )
    return Outlook(power_now=now, growth=growth, units_more=(growth - 1.0) * units)
