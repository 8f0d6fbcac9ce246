"""The SQL behind a report's numbers, so that anybody can ask the store for them again."""

from collections.abc import Iterator, Sequence

import msgspec

from bandit.errors import RecordError
from bandit.records import Record
from bandit.service.reporting_declared import DeclaredAt
from bandit.service.reporting_numbers import Judging
from bandit.specs import Metric
from bandit.store.client import Statement, Store
from bandit.store.numbers import ExperimentNumbers
from bandit.store.unit_numbers import UnitNumbers
from bandit.store.unit_plan import UnitPlan


class MetricSql(Record, frozen=True, kw_only=True):
    """A statement that a metric's numbers come from.

    Attributes:
        metric: Its key.
        name: Of the query.
        description: What it answers.
        sql: Its text; parameters stand in it as `{name:Type}`.
        parameters: What each is, as the server reads it.
        text: Both together, to be pasted into `clickhouse-client`.
    """

    metric: str
    name: str
    description: str
    sql: str
    parameters: dict[str, str]
    text: str


class ReportSql(Record, frozen=True, kw_only=True):
    """The SQL behind an experiment's report.

    Statements read the log itself: kept numbers are the same sums, made step by step. Moments come
    by day of a unit's first decision, and add up to the report's.

    Attributes:
        as_of_ms: The time that the report's numbers are of.
        closed_ms: Decisions up to then are in them.
        database: Where the statements are to be asked.
        statements: Of each metric, in the report's order.
    """

    key: str
    as_of_ms: int
    closed_ms: int
    database: str
    statements: tuple[MetricSql, ...]


def sql_of(
    store: Store,
    declared: DeclaredAt,
    judging: Judging,
    as_of_ms: int,
    numbers: ExperimentNumbers | None,
    metric: str | None = None,
) -> ReportSql:
    """The SQL behind an experiment's numbers; nothing is asked of the store.

    Args:
        store: Whose it is.
        declared: As of when.
        judging: What the numbers are made by.
        as_of_ms: The time that they are of.
        numbers: Kept ones of that time, with the caps that were found; None: none are.
        metric: Only this one; None: all of them.

    Raises:
        RecordError: The experiment is not judged by that metric.
    """
    keys = [each.key for each in judging.metrics]
    if metric is not None and metric not in keys:
        raise RecordError(f"metric is {metric!r}, must be one of {', '.join(keys) or 'none'}")
    wanted = [each for each in judging.metrics if metric in (None, each.key)]
    closed_ms = as_of_ms - judging.window_ms
    return ReportSql(
        key=judging.experiment.key,
        as_of_ms=as_of_ms,
        closed_ms=closed_ms,
        database=store.database,
        statements=tuple(
            _told(each.key, statement)
            for each in wanted
            for statement in _statements(store, declared, judging, each, closed_ms, numbers)
        ),
    )


def _statements(
    store: Store,
    declared: DeclaredAt,
    judging: Judging,
    metric: Metric,
    closed_ms: int,
    numbers: ExperimentNumbers | None,
) -> Sequence[Statement]:
    """Of one metric alone, so that its statement has no column of another."""
    alone = msgspec.structs.replace(judging.experiment, segments=[])
    plan = UnitPlan.of(alone, judging.surface, [metric], declared.covariates_of([metric]))
    found = () if numbers is None else numbers.metrics
    caps = {one.metric: one.cap for one in found if one.cap is not None}
    return UnitNumbers(store).statements(plan, closed_ms, caps)


def _told(metric: str, statement: Statement) -> MetricSql:
    return MetricSql(metric=metric, **statement._asdict(), text="\n".join(_lines(statement)))


def _lines(statement: Statement) -> Iterator[str]:
    yield f"-- {statement.description}"
    for name, value in statement.parameters.items():
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        yield f"SET param_{name} = '{escaped}';"
    yield f"{statement.sql};"
