"""Two estimates and their covariance, and their intervals on both scales at any critical value."""

import math
from typing import Literal, NamedTuple

from bandit.stats.fieller import relative_interval
from bandit.stats.sequential.checks import Alternative, check_finite, check_spread


class Intervals(NamedTuple):
    """Ends on both scales; None on an open side, or where the relative scale has a reason."""

    low: float | None
    high: float | None
    relative_low: float | None
    relative_high: float | None
    relative_reason: Literal["control_is_zero", "control_near_zero"] | None

    def named(self) -> dict[str, float | str | None]:
        """As effects name them."""
        return {
            "effect_ci_low": self.low,
            "effect_ci_high": self.high,
            "relative_ci_low": self.relative_low,
            "relative_ci_high": self.relative_high,
            "relative_reason": self.relative_reason,
        }


class Pair(NamedTuple):
    """Control and treatment, with the variances and the covariance of their *estimates*."""

    control: float
    treatment: float
    control_variance: float
    treatment_variance: float
    covariance: float = 0.0

    def check(self) -> None:
        """Refuse numbers that no estimate has."""
        check_finite("control", self.control)
        check_finite("treatment", self.treatment)
        check_finite("covariance", self.covariance)
        check_spread("control_variance", self.control_variance)
        check_spread("treatment_variance", self.treatment_variance)

    @property
    def effect(self) -> float:
        """treatment − control."""  # noqa: D403
        return self.treatment - self.control

    @property
    def relative_effect(self) -> float | None:
        """Effect ÷ control; None where the control is 0."""
        return self.effect / self.control if self.control != 0.0 else None

    @property
    def std_error(self) -> float:
        """Of the effect."""
        variance = self.control_variance + self.treatment_variance - 2.0 * self.covariance
        return math.sqrt(max(variance, 0.0))

    def intervals(
        self,
        critical: float,
        alternative: Alternative,
        relative: Literal["fieller", "log"] = "fieller",
    ) -> Intervals:
        """Intervals that reach `critical` standard errors, on the sides the alternative bounds."""
        reach = critical * self.std_error
        low, high = one_side(self.effect - reach, self.effect + reach, alternative)
        interval = relative_interval if relative == "fieller" else log_ratio_interval
        ends = interval(
            self.control,
            self.treatment,
            self.control_variance,
            self.treatment_variance,
            critical,
            covariance=self.covariance,
        )
        if ends is None or self.control == 0.0:
            reason: Literal["control_is_zero", "control_near_zero"] = (
                "control_is_zero" if self.control == 0.0 else "control_near_zero"
            )
            return Intervals(low, high, None, None, reason)
        return Intervals(low, high, *one_side(*ends, facing(alternative, self.control)), None)


def log_ratio_interval(
    control: float,
    treatment: float,
    control_variance: float,
    treatment_variance: float,
    critical: float,
    *,
    covariance: float = 0.0,
) -> tuple[float, float] | None:
    """Relative interval from log(treatment/control), mapped back.

    (t/c)·exp(± q·√(v_t/t² + v_c/c² − 2k/(tc))) − 1

    Returns:
        The ends, the lower first; None where the estimates have not the same sign.

    Source: delta method on the logarithm, e.g. Katz et al. (1978), "Obtaining confidence
    intervals for the risk ratio in cohort studies".

    >>> log_ratio_interval(10.0, 11.0, 0.04, 0.05, 1.96)
    (0.0402..., 0.1632...)
    """
    if control * treatment <= 0.0:
        return None
    spread = (
        treatment_variance / treatment**2
        + control_variance / control**2
        - 2.0 * covariance / (treatment * control)
    )
    log, reach = math.log(treatment / control), critical * math.sqrt(max(spread, 0.0))
    return math.expm1(log - reach), math.expm1(min(log + reach, 700.0))


def one_side(
    low: float, high: float, alternative: Alternative
) -> tuple[float | None, float | None]:
    """An interval with the side open that the alternative does not bound."""
    return (
        None if alternative == "less" else low,
        None if alternative == "greater" else high,
    )


def facing(alternative: Alternative, control: float) -> Alternative:
    """The alternative on the relative scale: to a control below 0 the sides change places."""
    if control >= 0.0 or alternative == "two-sided":
        return alternative
    return "less" if alternative == "greater" else "greater"
