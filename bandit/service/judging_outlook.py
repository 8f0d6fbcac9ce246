"""What an experiment can still find and when, and whether anything is wrong with a metric; pure."""

import math
from collections.abc import Sequence

from bandit.service.judging_estimates import Comparison
from bandit.service.judging_payloads import MetricOutlook, MetricSilence, SequentialMode
from bandit.service.judging_tests import TUNED_FOR
from bandit.stats import Effect, Estimate, JointMoments, Outlook, outlook_of
from bandit.stats.fixed import critical_value
from bandit.stats.sequential import anytime_outlook
from bandit.store.numbers import ExperimentNumbers, MetricNumbers, SliceNumbers

POWER = 0.8
DAY_MS = 86_400_000
LATELY_MS = 7 * DAY_MS
"""Over how long the arrival of units is averaged."""
SURE = 10.0
"""Events that must have been expected before their absence is told: e⁻¹⁰ is no chance."""


def outlook(
    found: Comparison,
    shown: Effect,
    numbers: ExperimentNumbers,
    sequential: SequentialMode,
    alpha: float,
) -> MetricOutlook:
    """Units and days until the metric's margin would be found, and the least effect found now.

    Args:
        found: What is compared.
        shown: As what decides judges it: its interval's reach says what can be found.
        numbers: With the arrival of units.
        sequential: What decides; with a plan, the outlook is that of one look at the end.
        alpha: Its level.
    """
    estimate = found.estimate()
    per_day = units_per_day(numbers, found.keys)
    control = estimate.values[0]
    effect, relative = _care(found, control)
    if not estimate.usable or estimate.variance == 0.0 or effect is None:
        return MetricOutlook(units_per_day=per_day, reason="no_estimate")
    ahead = _ahead(estimate, effect, sequential, alpha)
    days = None
    if ahead.units_more is not None and per_day:
        days = ahead.units_more / per_day
    mde = _mde(shown, estimate)
    reason = ahead.reason or ("no_arrivals" if days is None else None)
    return MetricOutlook(
        effect=effect,
        relative_effect=relative,
        power_now=ahead.power_now,
        mde=mde,
        relative_mde=mde / abs(control) if mde is not None and control else None,
        units_more=None if ahead.units_more is None else float(math.ceil(ahead.units_more)),
        units_per_day=per_day,
        days_more=days,
        power_wanted=POWER,
        reason=reason,
    )


def _care(found: Comparison, control: float | None) -> tuple[float | None, float | None]:
    """The effect one would care about, absolute and relative, ≥ 0."""
    margin = found.metric.margin
    if found.metric.margin_scale == "absolute":
        return margin, margin / abs(control) if control else None
    return (abs(control) * margin, margin) if control else (None, margin)


def _ahead(estimate: Estimate, effect: float, sequential: SequentialMode, alpha: float) -> Outlook:
    if sequential != "anytime":
        return outlook_of(estimate, effect, power_wanted=POWER)
    return anytime_outlook(
        estimate.std_error,
        effect,
        units=float(sum(estimate.n)),
        power_wanted=POWER,
        alpha=alpha,
        tuned_for=TUNED_FOR,
    )


def _mde(shown: Effect, estimate: Estimate) -> float | None:
    """(reach + z of the power) standard errors: of the interval that is shown now."""
    low, high = shown.effect_ci_low, shown.effect_ci_high
    if low is None or high is None:
        return None
    return (high - low) / 2.0 + critical_value(1.0 - POWER, math.inf) * estimate.std_error


def units_per_day(numbers: ExperimentNumbers, keys: Sequence[str]) -> float | None:
    """New units of some variants per day, over the last week; None if nothing came by time."""
    known = [period for period in numbers.periods if period.variant in keys]
    if not known:
        return None
    start = max(numbers.closed_ms - LATELY_MS, min(period.at_ms for period in known))
    span_ms = numbers.closed_ms - start
    if span_ms <= 0:
        return None
    units_n = sum(period.units_n for period in known if period.at_ms >= start)
    return units_n * DAY_MS / span_ms


def silence_of(found: Comparison, slices: Sequence[SliceNumbers]) -> MetricSilence | None:
    """Whether nothing of a metric comes in, or has ceased to.

    Args:
        found: The metric and its variants.
        slices: By first day.
    """
    whole = _both(found.numbers, found.keys)
    if found.metric.type != "quantile" and _is_silent(whole):
        return MetricSilence(units_n=whole.n)
    if not whole.n and (none_n := found.count("none_n")):
        return MetricSilence(units_n=none_n)
    return _silent_lately(found, slices)


def warnings_of(
    found: Comparison, silence: MetricSilence | None, cap_wanted: bool
) -> tuple[str, ...]:
    """Codes of what the reader of a metric should know.

    Args:
        found: The metric and its variants.
        silence: What is known of its ceasing.
        cap_wanted: Whether a cap is to be found from the units.
    """
    codes = []
    if silence is not None:
        codes.append("no_events" if silence.since is None else "silent_lately")
    if found.count("unripe_n"):
        codes.append("units_wait_for_window")
    if cap_wanted and found.numbers.cap is None:
        codes.append("cap_not_found_yet")
    return tuple(codes)


def _both(numbers: MetricNumbers, keys: Sequence[str]) -> JointMoments:
    total = JointMoments.none(len(numbers.columns))
    for key in keys:
        total = total + numbers.by_variant.get(key, JointMoments.none(len(numbers.columns)))
    return total


def _is_silent(found: JointMoments) -> bool:
    return found.n > 0 and found.means[0] == 0.0 and found.cross[0][0] == 0.0


def _silent_lately(found: Comparison, slices: Sequence[SliceNumbers]) -> MetricSilence | None:
    """Whether units of the newest days have no event although surely some were expected.

    A unit's chance of one is at least mean²/(mean² + variance) of the days before, by
    Cauchy and Schwarz; the last day is still filling and is not looked at alone.
    """
    days = sorted(slices, key=lambda one: one.value)
    quiet = JointMoments.none(len(found.numbers.columns))
    days_n, since = 0, ""
    while days:
        newest = _both(days[-1].numbers, found.keys)
        if newest.n and not _is_silent(newest):
            break
        quiet, days_n, since = quiet + newest, days_n + 1, days[-1].value
        days.pop()
    before = JointMoments.none(len(found.numbers.columns))
    for day in days:
        before = before + _both(day.numbers, found.keys)
    if days_n < 2 or before.n < 2:
        return None
    mean, variance = before.means[0], before.cross[0][0] / (before.n - 1)
    chance = mean**2 / (mean**2 + variance) if mean else 0.0
    expected = quiet.n * chance
    if expected < SURE:
        return None
    return MetricSilence(since=since, units_n=quiet.n, expected_n=expected)
