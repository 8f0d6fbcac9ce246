"""Reports as flat rows, for spreadsheets and notebooks; pure."""

import csv
import io
from collections.abc import Sequence

import msgspec

from bandit.service.reporting_payloads import GroupCounts, MetricEffect, PolicyValue

Row = dict[str, object]


def effect_rows(effects: Sequence[MetricEffect]) -> list[Row]:
    """One row per metric and comparison: which, and every field of its effect.

    First as at one planned look; fields that start with `anytime_` are of the judgement that holds
    at any look. The variants' keys are `control_variant` and `treatment_variant`, because
    `control` and `treatment` are their means.
    """
    return [
        {
            "metric": found.metric,
            "per": found.per,
            "better": found.better,
            "is_primary": found.is_primary,
            "control_variant": found.control,
            "treatment_variant": found.treatment,
            **_plain(found.effect),
            **{f"anytime_{name}": cell for name, cell in _plain(found.anytime).items()},
        }
        for found in effects
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


def _plain(record: msgspec.Struct) -> Row:
    """A struct's fields; several codes become one text, a struct inside becomes `name_field`."""
    row: Row = {}
    for name, value in msgspec.structs.asdict(record).items():
        if isinstance(value, msgspec.Struct):
            row |= {f"{name}_{inner}": cell for inner, cell in _plain(value).items()}
        else:
            row[name] = " ".join(value) if isinstance(value, tuple) else value
    return row
