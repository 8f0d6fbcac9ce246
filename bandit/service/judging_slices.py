"""Does the effect depend on who the units are, or on when they came? Pure.

Nothing is said of a segment unless the segments differ: the more of them one looks at, the surer
one of them stands out by chance.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial

import msgspec

from bandit.service.judging_estimates import SHARES, Comparison
from bandit.service.judging_payloads import Role, SegmentFinding, SegmentRow, SequentialMode
from bandit.service.judging_tests import TUNED_FOR, anytime, fixed
from bandit.specs import Experiment
from bandit.stats import (
    Effect,
    Estimate,
    Trend,
    adjusted,
    compare,
    corrected,
    delta,
    heterogeneity,
    is_small,
    novelty,
)
from bandit.stats.sequential import compare_anytime
from bandit.store.numbers import SliceNumbers

FEWEST = 30
"""Units of each variant below which a segment's or a day's standard error is not relied on."""
FIRST_DAY = "first_day"


def findings(
    experiment: Experiment,
    comparisons: Sequence[tuple[Role, Comparison]],
    slices: Sequence[SliceNumbers],
    sequential: SequentialMode,
    alpha: float,
) -> tuple[SegmentFinding, ...]:
    """Every comparison by every segment, corrected within the primary metric and the others."""
    found = [
        _finding(by, role, comparison, _cut(comparison, slices, by), sequential, alpha)
        for by in experiment.segments
        for role, comparison in comparisons
        if _cut(comparison, slices, by)
    ]
    for primary in (True, False):
        places = [i for i, one in enumerate(found) if (one.role == "primary") == primary]
        family = adjusted([found[i].p_value for i in places], "holm", alpha=alpha)
        for place, answer in zip(places, family, strict=True):
            if answer is not None:
                found[place] = _claimed(found[place], answer.p_value, alpha)
    return tuple(found)


def _cut(found: Comparison, slices: Sequence[SliceNumbers], by: str) -> dict[str, Comparison]:
    """The comparison within each value."""
    return {
        one.value: found._replace(numbers=one.numbers)
        for one in slices
        if one.by == by and one.numbers.metric == found.metric.key
    }


def _finding(
    by: str,
    role: Role,
    found: Comparison,
    parts: Mapping[str, Comparison],
    sequential: SequentialMode,
    alpha: float,
) -> SegmentFinding:
    estimates = {value: part.estimate() for value, part in parts.items() if _is_enough(part)}
    estimates = {value: one for value, one in estimates.items() if one.usable and one.variance}
    whole = heterogeneity(estimates, alpha=alpha)
    contrasts = _contrasts(estimates, sequential)
    p_value = whole.p_value
    if sequential == "anytime" and contrasts:
        p_value = min(min(contrasts.values()) * len(contrasts), 1.0)
    values = sorted(parts, key=lambda value: -sum(m.n for m in parts[value].moments()))
    effects = _effects([parts[value] for value in values], sequential, alpha)
    believed = whole.segments
    answers = dict(
        zip(contrasts, adjusted(list(contrasts.values()), "holm", alpha=alpha), strict=True)
    )
    rows = []
    for value, effect in zip(values, effects, strict=True):
        shrunk, answer = believed.get(value), answers.get(value)
        rows.append(
            SegmentRow(
                value=value,
                effect=effect,
                shrunk=None if shrunk is None else shrunk.shrunk,
                shrunk_ci_low=None if shrunk is None else shrunk.shrunk_ci_low,
                shrunk_ci_high=None if shrunk is None else shrunk.shrunk_ci_high,
                p_value=contrasts.get(value),
                p_value_adjusted=None if answer is None else answer.p_value,
            )
        )
    return SegmentFinding(
        by=by,
        metric=found.metric.key,
        role=role,
        control=found.control,
        treatment=found.treatment,
        p_value=p_value,
        method="anytime_contrasts" if sequential == "anytime" else "cochran_q",
        q=whole.q,
        df=whole.df,
        i2=whole.i2,
        rows=tuple(rows),
        left_out=tuple(value for value in values if value not in estimates),
        reason=whole.reason or ("few_units" if p_value is None else None),
    )


def _claimed(found: SegmentFinding, p_value: float, alpha: float) -> SegmentFinding:
    """With what may be said: a value differs only where the values do."""
    differs = p_value <= alpha
    rows = tuple(
        msgspec.structs.replace(
            row,
            differs=differs and row.p_value_adjusted is not None and row.p_value_adjusted <= alpha,
        )
        for row in found.rows
    )
    return msgspec.structs.replace(found, p_value_adjusted=p_value, differs=differs, rows=rows)


def _effects(parts: Sequence[Comparison], sequential: SequentialMode, alpha: float) -> list[Effect]:
    """Each value's effect, corrected for the others."""
    if sequential == "anytime":
        tests = [partial(anytime, part, level=alpha) for part in parts]
    else:
        tests = [partial(fixed, part) for part in parts]
    return corrected(tests, "holm", alpha=alpha)


def _is_enough(part: Comparison) -> bool:
    """Whether a standard error of so few units can be relied on."""
    shares = part.shares()
    if part.metric.type in SHARES:
        return shares is not None and not is_small(*shares)
    return min(moments.n for moments in part.moments()) >= FEWEST


def _contrasts(estimates: Mapping[str, Estimate], sequential: SequentialMode) -> dict[str, float]:
    """How likely it is, of each value, that its effect is that of the others together."""
    found: dict[str, float] = {}
    if len(estimates) < 2:
        return found
    for value, one in estimates.items():
        others = [other for key, other in estimates.items() if key != value]
        least = min(other.variance for other in others)
        weights = [least / other.variance for other in others]
        rest = sum(w * other.effect for w, other in zip(weights, others, strict=True))
        contrast = Estimate(
            n=(sum(sum(other.n) for other in others), sum(one.n)),
            values=(rest / sum(weights), one.effect),
            covariance=((least / sum(weights), 0.0), (0.0, one.variance)),
            dfs=(1.0, 1.0),
            df=float("inf"),
            kind="contrast",
        )
        found[value] = _p_of(contrast, sequential)
    return found


def _p_of(contrast: Estimate, sequential: SequentialMode) -> float:
    if sequential == "anytime":
        p_value = compare_anytime(contrast, tuned_for=TUNED_FOR).p_value
    else:
        p_value = compare(contrast, method="z").p_value
    return 1.0 if p_value is None else p_value


def trend_of(found: Comparison, slices: Sequence[SliceNumbers], alpha: float) -> Trend:
    """Whether units that came later have another effect, by their first day.

    On the relative scale where there is one: units that came earlier had more time, so their sums
    and their effects are larger though nothing changed.
    """
    cut = _cut(found, slices, FIRST_DAY)
    estimates = {
        float(date.fromisoformat(day).toordinal()): part.estimate()
        for day, part in cut.items()
        if _is_enough(part)
    }
    usable = {day: one for day, one in estimates.items() if one.usable and one.variance > 0.0}
    relative = all(one.values[0] for one in usable.values())
    days = {
        day: delta(one) if relative else (one.effect, one.std_error) for day, one in usable.items()
    }
    first = min(days, default=0.0)
    return novelty({day - first + 1.0: pair for day, pair in days.items()}, alpha=alpha)
