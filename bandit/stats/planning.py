"""Before an experiment: power, least detectable effect, sample size and duration."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

from scipy.special import nctdtr, ndtr

from bandit.errors import RecordError
from bandit.records import Record
from bandit.stats.effect import Alternative
from bandit.stats.estimate import satterthwaite
from bandit.stats.fixed import critical_value
from bandit.stats.linear import Linear

Distribution = Literal["t", "pooled_t", "z"]
"""Reference distribution: `t` with Satterthwaite's degrees of freedom, as the Welch test that will
read the experiment; `pooled_t` with n_c + n_t − 2; or normal."""
Spread = Literal["constant", "binomial", "proportional"]
"""What the treatment's variance per unit is, given its mean.

`constant`: the control's. `binomial`: p(1 − p). `proportional`: the coefficient of variation stays,
as when a treatment multiplies (revenue).
"""
LARGE = 1e8
"""From so many degrees of freedom on, t is taken as normal."""


class Baseline(Record, frozen=True, kw_only=True):
    """What is known of a metric before the experiment.

    Attributes:
        mean: Of the control.
        variance: Per randomised unit; after covariates, clusters or the delta method, if any.
        spread: What the treatment's variance is.

    >>> Baseline.proportion(0.05)
    Baseline(mean=0.05, variance=0.0475, spread='binomial')
    """

    mean: float
    variance: float
    spread: Spread = "constant"

    def __post_init__(self) -> None:
        if not 0.0 <= self.variance < math.inf or not math.isfinite(self.mean):
            raise RecordError(
                f"baseline is {self.mean!r} with variance {self.variance!r}, must be finite, ≥ 0"
            )
        if self.spread == "binomial" and not 0.0 <= self.mean <= 1.0:
            raise RecordError(f"proportion is {self.mean!r}, must be in [0, 1]")

    @classmethod
    def proportion(cls, p: float) -> "Baseline":
        """Of a share of units."""
        return cls(mean=p, variance=p * (1.0 - p), spread="binomial")

    @classmethod
    def of(cls, linear: Linear, *, variance_reduction: float = 0.0) -> "Baseline":
        """Of any metric, from a sample of past units.

        Args:
            linear: What an estimator made of the sample.
            variance_reduction: Share that covariates will take (`optimal_reduction`).
        """
        if linear.value is None or linear.covariance is None:
            raise RecordError(f"{linear.kind} has no variance ({linear.reason}), must have one")
        left = linear.covariance[0][0] * (1.0 - variance_reduction)
        spread: Spread = "constant"
        if linear.kind == "proportion" and variance_reduction == 0.0:
            spread = "binomial"
        return cls(mean=linear.value, variance=left, spread=spread)

    def treated(self, effect: float) -> float:
        """The treatment's variance per unit, if it moves the mean by `effect`."""
        if self.spread == "binomial":
            p = self.mean + effect
            return max(p * (1.0 - p), 0.0)
        if self.spread == "proportional" and self.mean != 0.0:
            return self.variance * ((self.mean + effect) / self.mean) ** 2
        return self.variance


class Design(Record, frozen=True, kw_only=True):
    """How the experiment will be read.

    Attributes:
        alpha: Level of the test; divide it by the number of comparisons if there are several.
        alternative: What is looked for.
        ratio: Treatment units per control unit.
        null_value: Effect under the null hypothesis: −margin for non-inferiority.
        distribution: Of the statistic.
    """

    alpha: float = 0.05
    alternative: Alternative = "two-sided"
    ratio: float = 1.0
    null_value: float = 0.0
    distribution: Distribution = "t"

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < 1.0 or not 0.0 < self.ratio < math.inf:
            raise RecordError(
                f"design has alpha = {self.alpha!r}, ratio = {self.ratio!r}, "
                "must be in (0, 1) and above 0"
            )


class SampleSize(Record, frozen=True, kw_only=True):
    """Units needed; real numbers, of which one takes the next whole ones.

    Attributes:
        control, treatment: Units of each.
        total: Whole units of both.
        reason: `no_effect` if no number of units can show it; then the numbers are None.
    """

    control: float | None = None
    treatment: float | None = None
    total: int | None = None
    reason: Literal["no_effect"] | None = None


class Mde(Record, frozen=True, kw_only=True):
    """Least effect that would be found with the power asked for.

    Attributes:
        effect: In the metric's unit, in the direction of the alternative (up for two-sided).
        relative_effect: As a share of the baseline; None for a baseline of 0.
        reason: `too_few_units` if not even the largest effect possible would be.
    """

    effect: float | None = None
    relative_effect: float | None = None
    reason: Literal["too_few_units"] | None = None


PLAIN = Design()


def power(baseline: Baseline, effect: float, *, control_n: float, design: Design = PLAIN) -> float:
    """Probability that the test finds `effect` with `control_n` units in the control.

    se² = v_c/n_c + v_t(effect)/n_t; P(|T| > q) of a non-central t with (effect − null)/se.

    Source: Cohen (1988), "Statistical power analysis for the behavioral sciences", ch. 2;
    non-central t: Johnson, Kotz, Balakrishnan (1995), vol. 2, eq. 31.1.

    >>> round(power(Baseline(mean=10, variance=9), 0.2, control_n=3500), 4)
    0.7963
    """
    if control_n <= 0.0:
        return 0.0
    std_error, df = _error_and_df(baseline, effect, control_n, design)
    return rejection_chance(effect - design.null_value, std_error, df, design)


def _error_and_df(
    baseline: Baseline, effect: float, control_n: float, design: Design
) -> tuple[float, float]:
    """Standard error of the effect, if it is `effect`, and the degrees of freedom of its test."""
    treatment_n = control_n * design.ratio
    own = baseline.variance / control_n, baseline.treated(effect) / treatment_n
    if design.distribution == "z":
        df = math.inf
    elif design.distribution == "pooled_t" or sum(own) == 0.0:
        df = control_n + treatment_n - 2.0
    elif min(control_n, treatment_n) <= 1.0:
        df = 0.0
    else:
        df = satterthwaite(own, (control_n - 1.0, treatment_n - 1.0))
    return math.sqrt(sum(own)), df


def rejection_chance(distance: float, std_error: float, df: float, design: Design) -> float:
    """Probability of rejection at `distance` from the null value."""
    toward = -distance if design.alternative == "less" else distance
    if df < 1.0:  # no whole numbers of units have so little
        return 0.0
    if std_error == 0.0:
        return float(distance != 0.0 if design.alternative == "two-sided" else toward > 0.0)
    two_sided = design.alternative == "two-sided"
    tail_share = design.alpha / 2.0 if two_sided else design.alpha
    q = critical_value(tail_share, df)
    shift = toward / std_error
    upper = _beyond(shift, q, df)
    return min(upper + _beyond(-shift, q, df), 1.0) if two_sided else upper


def _beyond(shift: float, q: float, df: float) -> float:
    """Probability above q of a t moved by `shift`."""
    if df > LARGE:
        return float(ndtr(shift - q))
    far = 1.0 - nctdtr(df, shift, q) if shift >= 0.0 else nctdtr(df, -shift, -q)
    # Far out, where the series gives up with NaN, both are 0 or 1 to the last digit.
    return (1.0 if shift > q else 0.0) if math.isnan(far) else min(max(float(far), 0.0), 1.0)


def sample_size(
    baseline: Baseline, effect: float, *, power_wanted: float = 0.8, design: Design = PLAIN
) -> SampleSize:
    """Fewest units with which the test finds `effect` with `power_wanted`.

    >>> need = sample_size(Baseline.proportion(0.05), 0.005)
    >>> need.total
    62464
    """
    check_power(power_wanted)
    toward = effect - design.null_value
    wrong_way = toward <= 0.0 if design.alternative == "greater" else toward >= 0.0
    if toward == 0.0 or (design.alternative != "two-sided" and wrong_way):
        return SampleSize(reason="no_effect")

    def reached(n: float) -> bool:
        return power(baseline, effect, control_n=n, design=design) >= power_wanted

    least = 2.0 / (1.0 + design.ratio)
    n = least_that(reached, least, 1e18)
    if n is None:
        return SampleSize(reason="no_effect")
    total = n * (1.0 + design.ratio)
    return SampleSize(control=n, treatment=n * design.ratio, total=math.ceil(total - 1e-9 * total))


def check_power(wanted: float) -> None:
    """Refuse a power that is not in (0, 1)."""
    if not 0.0 < wanted < 1.0:
        raise RecordError(f"power is {wanted!r}, must be in (0, 1)")


def least_that(reached: Callable[[float], bool], low: float, high: float) -> float | None:
    """Least x at which `reached`, of a condition that once met stays met; None if never."""
    if not reached(high):
        return None
    top = low
    while not reached(top):
        low, top = top, min(2.0 * top, high)
    for _ in range(200):
        middle = (low + top) / 2.0
        if middle in (low, top):
            break
        low, top = (low, middle) if reached(middle) else (middle, top)
    return top


def mde(
    baseline: Baseline, *, control_n: float, power_wanted: float = 0.8, design: Design = PLAIN
) -> Mde:
    """Least effect found with `power_wanted`; solves `power` itself, so that the two agree.

    >>> found = mde(Baseline.proportion(0.05), control_n=31232)
    >>> f"{found.effect:.5f} {found.relative_effect:.2%}"
    '0.00500 10.00%'
    >>> round(power(Baseline.proportion(0.05), found.effect, control_n=31232), 6)
    0.8
    """
    check_power(power_wanted)
    sign = -1.0 if design.alternative == "less" else 1.0
    limit = 1e6 * (abs(baseline.mean) + math.sqrt(baseline.variance)) + 1e-300
    if baseline.spread == "binomial":
        limit = baseline.mean if sign < 0.0 else 1.0 - baseline.mean
    # A null value the wrong way of 0 makes effects beyond 0 detectable; start there.
    start = sign * design.null_value

    def reached(size: float) -> bool:
        effect = sign * (start + size)
        return power(baseline, effect, control_n=control_n, design=design) >= power_wanted

    size = least_that(reached, limit * 1e-18, max(limit - start, 0.0))
    if size is None:
        return Mde(reason="too_few_units")
    effect = sign * (start + size)
    return Mde(
        effect=effect, relative_effect=effect / abs(baseline.mean) if baseline.mean else None
    )


def equivalence_power(
    baseline: Baseline,
    margin: float,
    *,
    control_n: float,
    effect: float = 0.0,
    design: Design = PLAIN,
) -> float:
    """Probability that both one-sided tests of ∓ margin reject, when the effect is `effect`.

    Source: Schuirmann (1987), sec. 4; Chow, Shao, Wang (2008), "Sample size calculations in
    clinical research", eq. 3.2.4 (normal).

    >>> round(equivalence_power(Baseline(mean=10, variance=9), 0.3, control_n=1800), 3)
    0.824
    """
    if control_n <= 0.0 or margin <= 0.0:
        return 0.0
    se, df = _error_and_df(baseline, effect, control_n, design)
    if se == 0.0:
        return float(abs(effect) < margin)
    if df < 1.0:
        return 0.0
    q = critical_value(design.alpha, df)
    both = ndtr((margin - effect) / se - q) + ndtr((margin + effect) / se - q) - 1.0
    return max(float(both), 0.0)


def days_needed(
    units: float, arrivals: float | Sequence[float], *, share: float = 1.0
) -> int | None:
    """Whole days until `units` new units have come; None if they never do.

    Args:
        units: Needed, of all variants.
        arrivals: New units a day, or of each day in turn (fewer come anew as days pass), whose
            last value goes on.
        share: Of the traffic that is in the experiment, in (0, 1].

    >>> days_needed(62466, 5000), days_needed(62466, [9000, 6000, 4000], share=0.5)
    (13, 30)
    """
    if not 0.0 < share <= 1.0 or units < 0.0:
        raise RecordError(f"share is {share!r}, units {units!r}, must be in (0, 1] and ≥ 0")
    daily = [float(a) for a in arrivals] if isinstance(arrivals, Sequence) else [float(arrivals)]
    left = units
    for day, come in enumerate(daily):
        if left <= 0.0:
            return day
        left -= come * share
    last = daily[-1] * share if daily else 0.0
    if left > 0.0 and last <= 0.0:
        return None
    return len(daily) + (math.ceil(left / last - 1e-12) if left > 0.0 else 0)
