"""Values of policies as they may be watched; pure."""

import msgspec

from bandit.ope import Value
from bandit.stats.sequential import TUNED_FOR, critical_value, mixture_precision
from bandit.stats.sequential.comparison import FIRST_LOOK


def watched(value: Value) -> Value:
    """A value with the interval that holds at every look together, where there are enough units.

    value ± std_error · the critical value of a normal mixture after so many units: the number is a
    mean over units by the delta method, as those of actions are.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2021), "Time-uniform central limit theory
    and asymptotic confidence sequences", proposition 2.5.
    """
    if value.value is None or not value.std_error or value.units_n < FIRST_LOOK:
        return value
    precision = mixture_precision(TUNED_FOR, value.alpha)
    reach = critical_value(float(value.units_n), value.alpha, precision) * value.std_error
    return msgspec.structs.replace(
        value, anytime_ci_low=value.value - reach, anytime_ci_high=value.value + reach
    )
