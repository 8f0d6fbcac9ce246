"""What an effect is worth once all units get it."""

from typing import Literal

from bandit.errors import RecordError
from bandit.records import Record
from bandit.stats.effect import Effect, Reason


class Impact(Record, frozen=True, kw_only=True):
    """An effect per unit times the units that a day brings.

    Attributes:
        per_day: Gain of a day when every unit gets the treatment.
        per_day_ci_low, per_day_ci_high: Its interval; an open end is None.
        std_error: Of `per_day`.
        units_per_day: Units of the whole traffic in a day.
        p_value: The effect's own.
        reason: The effect's own.
    """

    per_day: float | None = None
    per_day_ci_low: float | None = None
    per_day_ci_high: float | None = None
    std_error: float | None = None
    units_per_day: float
    p_value: float | None = None
    reason: Reason | Literal["not_additive"] | None = None


def scaled_impact(effect: Effect, *, units: int, days: float, share: float = 1.0) -> Impact:
    """Effect × units per day of the whole traffic, units/(days·share).

    The number of units is taken as known. Only for metrics that sum over units: a ratio or a
    quantile has no total (`not_additive`).

    Args:
        effect: Of a mean or proportion per unit.
        units: Units in the experiment, all variants.
        days: How long it took them to come.
        share: Of the traffic that was in the experiment, in (0, 1].

    Source: GrowthBook, "Scaled impact": effect · total users / (traffic share · days).

    >>> e = Effect(control=5.5, treatment=5.8, control_n=400, treatment_n=380, effect=0.3,
    ...            effect_ci_low=-0.1, effect_ci_high=0.7, std_error=0.2, method="z", alpha=0.05)
    >>> i = scaled_impact(e, units=780, days=14, share=0.1)
    >>> round(i.per_day, 1), round(i.per_day_ci_low, 1), round(i.per_day_ci_high, 1)
    (167.1, -55.7, 390.0)
    """
    if units < 0 or days <= 0.0 or not 0.0 < share <= 1.0:
        raise RecordError(
            f"units = {units}, days = {days!r}, share = {share!r}, must be ≥ 0, > 0, in (0, 1]"
        )
    scale = units / (days * share)
    if effect.kind in ("ratio", "quantile", "clustered"):
        return Impact(units_per_day=scale, p_value=effect.p_value, reason="not_additive")

    def times(value: float | None) -> float | None:
        return None if value is None else value * scale

    return Impact(
        per_day=times(effect.effect),
        per_day_ci_low=times(effect.effect_ci_low),
        per_day_ci_high=times(effect.effect_ci_high),
        std_error=times(effect.std_error),
        units_per_day=scale,
        p_value=effect.p_value,
        reason=effect.reason,
    )
