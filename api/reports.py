"""Routes that report; the numbers are `bandit.service.reporting`'s."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from api.services import Services
from bandit.service.reporting import ExperimentReport, Overview, ReportService, SurfaceReport

AsOf = Annotated[int | None, QueryParameter(ge=0, le=7_258_118_400_000)]
"""Milliseconds since 1970 UTC; ClickHouse's times end with the year 2199."""
ALPHA = 0.05
"""1 − the level of the intervals, where nothing is asked for."""


@get("/v1/reports/overview", sync_to_thread=True)
def report_overview(
    services: NamedDependency[Services], alpha: FromQuery[float] = ALPHA
) -> Overview:
    """Report every experiment and surface in one line each."""
    return _reports(services).overview(alpha)


@get("/v1/reports/experiments/{key:str}", sync_to_thread=True)
def report_experiment(
    key: FromPath[str],
    services: NamedDependency[Services],
    alpha: FromQuery[float] = ALPHA,
    at_ms: AsOf = None,
) -> ExperimentReport:
    """Report an experiment, now or as of a time: effects at any look and at one planned look.

    Intervals have the level 1 − alpha.
    """
    return _reports(services).experiment(key, alpha, at_ms)


@get("/v1/reports/surfaces/{key:str}", sync_to_thread=True)
def report_surface(
    key: FromPath[str],
    services: NamedDependency[Services],
    alpha: FromQuery[float] = ALPHA,
    at_ms: AsOf = None,
) -> SurfaceReport:
    """Report a surface, now or as of a time: value of its policies, counts, learning."""
    return _reports(services).surface(key, alpha, at_ms)


def _reports(services: Services) -> ReportService:
    return ReportService(services.link.store(), services.now_ms)
