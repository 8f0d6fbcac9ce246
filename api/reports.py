"""Routes that report; the numbers are `bandit.service.reporting`'s."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from api.services import Services
from bandit.service.key_ring import Principal
from bandit.service.reporting import ExperimentReport, Overview, ReportService, SurfaceReport

AsOf = Annotated[int | None, QueryParameter(ge=0, le=7_258_118_400_000)]
"""Milliseconds since 1970 UTC; ClickHouse's times end with the year 2199."""
Version = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1)]
"""Of the surface whose window, bounds, default, weights and aggregation hold."""
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
    return _reports(services, principal).overview(alpha, archived=archived)


@get("/v1/reports/experiments/{key:str}", sync_to_thread=True)
def report_experiment(
    key: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    alpha: FromQuery[float] = ALPHA,
    at_ms: AsOf = None,
    surface_version: Version = None,
) -> ExperimentReport:
    """Report an experiment, now or as of a time: effects at any look and at one planned look.

    Intervals have the level 1 − alpha. Rewards are judged by the rules of the surface's newest
    version, or of the one asked for.
    """
    return _reports(services, principal).experiment(key, alpha, at_ms, surface_version)


@get("/v1/reports/surfaces/{key:str}", sync_to_thread=True)
def report_surface(
    key: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    alpha: FromQuery[float] = ALPHA,
    at_ms: AsOf = None,
    surface_version: Version = None,
) -> SurfaceReport:
    """Report a surface, now or as of a time: value of its policies, counts, learning.

    Rewards are judged by the rules of its newest version, or of the one asked for.
    """
    return _reports(services, principal).surface(key, alpha, at_ms, surface_version)


def _reports(services: Services, principal: Principal) -> ReportService:
    return ReportService(
        services.link.store(),
        services.now_ms,
        principal.project,
        silent_after_ms=services.silent_host_ms,
    )
