"""Intervals of (treatment − control) / control, three ways, from one pair of estimates."""

import math
from typing import Literal, NamedTuple

import msgspec

from bandit.stats.effect import Reason
from bandit.stats.estimate import Estimate
from bandit.stats.fieller import relative_interval

Scale = Literal["fieller", "log", "delta"]
"""How the relative interval is made.

* `fieller`: inverts the absolute test, so both scales decide alike. The default.
* `log`: (t/c)·exp(∓ q·se of log(t/c)) − 1 (tea-tasting); needs means above 0. May decide otherwise
  than the absolute test in rare cases, and is warned of then (`scales_disagree`).
* `delta`: r ∓ q·se of the ratio (gbstats, Eppo, PostHog). For comparison with them only: 90 %
  coverage at nominal 95 % on skewed revenue, 17.7 % false positives under peeking.
"""


class Ends(NamedTuple):
    """Ends of a relative interval, or why it has none."""

    low: float | None = None
    high: float | None = None
    reason: Reason | None = None


def relative_ends(estimate: Estimate, critical: float, scale: Scale = "fieller") -> Ends:
    """Ends of the relative interval at `critical` standard errors.

    >>> e = Estimate(n=(100, 100), values=(10.0, 11.0), covariance=((0.04, 0.0), (0.0, 0.05)),
    ...              dfs=(99.0, 99.0), kind="mean")
    >>> for scale in ("fieller", "log", "delta"):
    ...     low, high, _ = relative_ends(e, 1.96, scale)
    ...     print(f"{scale:8}{low:+.4f} {high:+.4f}")
    fieller +0.0401 +0.1632
    log     +0.0402 +0.1632
    delta   +0.0385 +0.1615
    """
    control, treatment = estimate.values[:2]
    if estimate.covariance is None or control is None or treatment is None:
        return Ends(reason=estimate.reason)
    if control == 0.0:
        return Ends(reason="control_is_zero")
    v = estimate.covariance
    if scale == "fieller":
        pair = relative_interval(control, treatment, v[0][0], v[1][1], critical, v[0][1])
        return Ends(*pair) if pair else Ends(reason="control_near_zero")
    if scale == "log":
        return log_ends(estimate, critical)
    effect, std_error = delta(estimate)
    effect = math.copysign(1.0, control) * effect  # the share of the control, not of its size
    return Ends(effect - critical * std_error, effect + critical * std_error)


def logged(estimate: Estimate) -> Estimate | None:
    """The estimate of the logarithms: covariance over the product of the values.

    None unless control and treatment have one sign. The values are log|control| and
    log|treatment|, so that their difference is log(t/c).

    Source: Katz, Baptista, Azen, Pike (1978), "Obtaining confidence intervals for the risk ratio
    in cohort studies", method C.
    """
    control, treatment = estimate.values[:2]
    if estimate.covariance is None or control is None or treatment is None:
        return None
    if control == 0.0 or treatment / control <= 0.0:
        return None
    v, start = estimate.covariance, math.log(abs(control))
    cross = v[0][1] / control / treatment
    own = estimate.own
    return msgspec.structs.replace(
        estimate,
        # log1p keeps the digits of a small lift; the two logarithms apart would lose them.
        values=(start, start + math.log1p((treatment - control) / control)),
        covariance=((v[0][0] / control**2, cross), (cross, v[1][1] / treatment**2)),
        own=None if own is None else (own[0] / control**2, own[1] / treatment**2),
        unadjusted=None,
    )


def log_ends(estimate: Estimate, critical: float) -> Ends:
    """exp(log(t/c) ∓ critical·se) − 1; `critical` from `logged(estimate)`'s own df."""
    logs = logged(estimate)
    control, treatment = estimate.values[:2]
    if logs is None or control is None or treatment is None:
        return Ends(reason="not_positive")
    reach = critical * logs.std_error
    shift = math.log1p((treatment - control) / control)
    # Past exp's range there is no bound.
    if abs(shift) + reach > 700.0:
        return Ends(reason="control_near_zero")
    return Ends(math.expm1(shift - reach), math.expm1(shift + reach))


def delta(estimate: Estimate) -> tuple[float, float]:
    """(treatment − control)/|control| and its standard error by the delta method.

    Over the size of the control, as gbstats has it: above 0 where the treatment is higher. Every
    other relative number here is over the control itself.

    v = v_t/c² − 2·t·v_ct/c³ + t²·v_c/c⁴.

    Source: Deng, Knoblich, Lu (2018), "Applying the delta method in metric analytics", eq. 5.
    """
    control, treatment = estimate.values[:2]
    if estimate.covariance is None or control is None or treatment is None or control == 0.0:
        raise ValueError(f"estimate is {estimate}, must have a covariance and a control not 0")
    v = estimate.covariance
    ratio = treatment / control
    variance = v[1][1] - 2.0 * ratio * v[0][1] + ratio**2 * v[0][0]
    return estimate.effect / abs(control), math.sqrt(max(variance, 0.0)) / abs(control)
