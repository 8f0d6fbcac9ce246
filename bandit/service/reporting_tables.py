"""Reports as flat rows, for spreadsheets and notebooks; pure."""

import csv
import io
from collections.abc import Sequence

import msgspec

from bandit.service.reporting_payloads import (
    ExperimentHeadline,
    GroupCounts,
    MetricEffect,
    PolicyValue,
    SegmentFinding,
    SequentialMode,
)

Row = dict[str, object]


def effect_rows(effects: Sequence[MetricEffect]) -> list[Row]:
    """One row per metric and comparison: which, and every field of every judgement.

    First as at one planned look; fields that start with `anytime_` are of the judgement that holds
    at any look, with `planned_` at planned ones, with `non_inferiority_` of a guardrail's test,
    with `bayes_`, `outlook_`, `trend_` and `silence_` of these. The variants' keys are
    `control_variant` and `treatment_variant`, because `control` and `treatment` are their means.
    """
    return [
        {
            "metric": found.metric,
            "role": found.role,
            "type": found.type,
            "per": found.per,
            "better": found.better,
            "is_primary": found.is_primary,
            "control_variant": found.control,
            "treatment_variant": found.treatment,
            **_plain(found.effect),
            **_named("anytime", found.anytime),
            **_named("planned", found.planned),
            "guardrail": found.guardrail,
            **_named("non_inferiority", found.non_inferiority),
            **_named("bayes", found.bayes),
            **_named("outlook", found.outlook),
            **_named("trend", found.trend),
            **_named("silence", found.silence),
            "unripe_n": found.unripe_n,
            "none_n": found.none_n,
            "capped_n": found.capped_n,
            "metric_warnings": " ".join(found.warnings),
        }
        for found in effects
    ]


def headline_rows(headlines: Sequence[ExperimentHeadline]) -> list[Row]:
    """One row per experiment and comparison of its primary metric; one at least."""
    rows: list[Row] = []
    for one in headlines:
        known: Row = {
            "experiment": one.key,
            "status": one.status,
            "surface": one.surface,
            "owner": one.owner,
            "units_n": one.units_n,
            "health": one.health,
            "health_reason": one.health_reason,
            "days_left": one.days_left,
            "days_left_reason": one.days_left_reason,
            "sequential": one.sequential,
            "verdict": one.verdict.state,
            "headline": one.verdict.headline,
        }
        rows += [known | _primary(found, one.sequential) for found in one.primary] or [known]
    return rows


def _primary(found: MetricEffect, sequential: SequentialMode) -> Row:
    effect = found.by(sequential)
    return {
        "metric": found.metric,
        "treatment": found.treatment,
        "effect": effect.effect,
        "effect_ci_low": effect.effect_ci_low,
        "effect_ci_high": effect.effect_ci_high,
        "relative_effect": effect.relative_effect,
        "relative_ci_low": effect.relative_ci_low,
        "relative_ci_high": effect.relative_ci_high,
        "p_value": effect.p_value,
    }


def segment_rows(segments: Sequence[SegmentFinding]) -> list[Row]:
    """One row per member of the context, comparison and value."""
    return [
        {
            "by": found.by,
            "value": row.value,
            "metric": found.metric,
            "role": found.role,
            "control_variant": found.control,
            "treatment_variant": found.treatment,
            "segments_p_value": found.p_value,
            "segments_p_value_adjusted": found.p_value_adjusted,
            "segments_differ": found.differs,
            "differs": row.differs,
            "shrunk": row.shrunk,
            "shrunk_ci_low": row.shrunk_ci_low,
            "shrunk_ci_high": row.shrunk_ci_high,
            "other_p_value": row.p_value,
            "other_p_value_adjusted": row.p_value_adjusted,
            **_plain(row.effect),
        }
        for found in segments
        for row in found.rows
    ]


def value_rows(values: Sequence[PolicyValue]) -> list[Row]:
    """One row per policy, log and estimator."""
    return [
        {
            **_plain(estimate),
            "log": found.log,
            "own_n": found.own_n,
            "barred_n": found.barred_n,
            "absent_n": found.absent_n,
        }
        for found in values
        for estimate in (found.snips, found.ips)
    ]


def group_rows(groups: Sequence[GroupCounts]) -> list[Row]:
    """One row per variant or policy."""
    return [_plain(group) for group in groups]


def as_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV with a header; a missing number is an empty cell.

    >>> print(as_csv([{"metric": "reward", "effect": 0.5, "p_value": None}]), end="")
    metric,effect,p_value
    reward,0.5,
    """
    text = io.StringIO()
    if rows:
        names = dict.fromkeys(name for row in rows for name in row)
        writer = csv.DictWriter(text, fieldnames=list(names), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _named(name: str, record: msgspec.Struct | None) -> Row:
    """A record's fields, each with a name before its own; none of a record that is not there."""
    if record is None:
        return {}
    return {f"{name}_{field}": cell for field, cell in _plain(record).items()}


def _plain(record: msgspec.Struct) -> Row:
    """A struct's fields; several codes become one text, a struct inside becomes `name_field`."""
    row: Row = {}
    for name, value in msgspec.structs.asdict(record).items():
        if isinstance(value, msgspec.Struct):
            row |= {f"{name}_{inner}": cell for inner, cell in _plain(value).items()}
        else:
            row[name] = " ".join(value) if isinstance(value, tuple) else value
    return row
