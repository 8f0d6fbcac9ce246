"""Routes that report; the numbers are `bandit.service.reporting`'s."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from api.services import Services
from bandit.errors import RecordError
from bandit.service.key_ring import Principal
from bandit.service.reporting import ExperimentReport, Overview, ReportService, SurfaceReport
from bandit.service.reporting_exploration import Exploration, ExplorationQuestion
from bandit.service.reporting_payloads import ExperimentHistory, SequentialMode
from bandit.service.reporting_sql import ReportSql
from bandit.service.reporting_times import LAST_MS, moment_ms
from bandit.store.kept import POINTS

At = Annotated[str | None, QueryParameter(max_length=50)]
"""As of when: RFC 3339 with an offset, a day (its start in UTC), or milliseconds since 1970 UTC."""
AsOf = Annotated[int | None, QueryParameter(ge=0, le=LAST_MS)]
"""The same as milliseconds alone; ClickHouse's times end with the year 2199."""
Points = Annotated[int, QueryParameter(ge=1, le=POINTS)]
Version = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1)]
"""Of the surface whose window, bounds, default, weights and aggregation hold."""
Positive = Annotated[float, QueryParameter(gt=0, le=1e6)]
Wanted = Annotated[float | None, QueryParameter(gt=0, le=1e6)]
ALPHA = 0.05
"""1 − the level of the intervals, where nothing is asked for."""


@get("/v1/reports/overview", sync_to_thread=True)
def report_overview(
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    alpha: FromQuery[float] = ALPHA,
    archived: FromQuery[bool] = False,
) -> Overview:
    """Report every experiment and surface in one line each; archived ones if asked for."""
    return reports_of(services, principal).overview(alpha, archived=archived)


@get("/v1/reports/experiments/{key:str}", sync_to_thread=True)
def report_experiment(
    key: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    alpha: FromQuery[float] = ALPHA,
    at: At = None,
    at_ms: AsOf = None,
    surface_version: Version = None,
    sequential: FromQuery[SequentialMode | None] = None,
    fresh: FromQuery[bool] = False,
) -> ExperimentReport:
    """Report an experiment, now or as of a time: effects, guardrails, verdict, health.

    Intervals have the level 1 − alpha; `sequential` says which of them decides. The numbers are
    those that are kept, or with `fresh` those of the log; `as_of_ms` says of what time they are.
    Rewards are judged by the rules of the surface's newest version, or of the one asked for.
    """
    return reports_of(services, principal).experiment(
        key, alpha, time_asked(at, at_ms), surface_version, sequential=sequential, fresh=fresh
    )


@get("/v1/reports/experiments/{key:str}/history", sync_to_thread=True)
def report_history(
    key: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    alpha: FromQuery[float] = ALPHA,
    n: Points = POINTS,
    at: At = None,
    at_ms: AsOf = None,
    metric: FromQuery[str | None] = None,
) -> ExperimentHistory:
    """Report an experiment's effects over time, each with the band that holds at every look.

    From kept numbers alone, of `n` times at most, evenly spread over the time that they are of.
    """
    return reports_of(services, principal).history(
        key, alpha, n, time_asked(at, at_ms), metric=metric
    )


@get("/v1/reports/experiments/{key:str}/sql", sync_to_thread=True)
def report_sql(
    key: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    at: At = None,
    at_ms: AsOf = None,
    metric: FromQuery[str | None] = None,
) -> ReportSql:
    """Report the SQL behind an experiment's numbers, with its parameters; it is not run.

    Each statement makes one metric's numbers from the log itself; kept numbers are the same sums.
    """
    return reports_of(services, principal).sql(key, time_asked(at, at_ms), metric=metric)


@get("/v1/reports/surfaces/{key:str}", sync_to_thread=True)
def report_surface(
    key: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    alpha: FromQuery[float] = ALPHA,
    at: At = None,
    at_ms: AsOf = None,
    surface_version: Version = None,
    fresh: FromQuery[bool] = False,
) -> SurfaceReport:
    """Report a surface, now or as of a time: value of its policies, counts, learning.

    The numbers are those that are kept, or with `fresh` those of the log. Rewards are judged by the
    rules of its newest version, or of the one asked for.
    """
    return reports_of(services, principal).surface(
        key, alpha, time_asked(at, at_ms), surface_version, fresh=fresh
    )


@get("/v1/reports/surfaces/{key:str}/exploration", sync_to_thread=True)
def report_exploration(
    key: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    difference: Wanted = None,
    days: Positive = 7.0,
    changes: Positive = 1.0,
    alpha: FromQuery[float] = ALPHA,
    at: At = None,
    at_ms: AsOf = None,
) -> Exploration:
    """Report what a surface's policy gives up per day by drawing at random.

    With a `difference` (of challenger − live per decision) also how long it takes until the gate
    sees it, and the floor with which `days` are enough, for a challenger that does something else
    in the share `changes` of decisions.
    """
    question = None
    if difference is not None:
        question = ExplorationQuestion(difference=difference, days=days, changes=changes)
    return reports_of(services, principal).exploration(key, question, alpha, time_asked(at, at_ms))


def time_asked(at: str | None, at_ms: int | None) -> int | None:
    """The time asked for, by either name.

    Raises:
        RecordError: It is no time, or both are given.
    """
    if at is None:
        return at_ms
    if at_ms is not None:
        raise RecordError("at and at_ms are both given, must be one of them")
    return moment_ms(at)


def reports_of(services: Services, principal: Principal) -> ReportService:
    """Reports of what the caller's project sees."""
    return ReportService(
        services.link.store(),
        services.now_ms,
        principal.project,
        silent_after_ms=services.silent_host_ms,
    )
