"""Routes that report; the numbers are `bandit.service.reporting`'s."""

from bandit.service.reporting import ExperimentReport, ReportService, SurfaceReport
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from api.services import Services


@get("/v1/reports/experiments/{key:str}", sync_to_thread=True)
def report_experiment(
    key: FromPath[str], services: NamedDependency[Services], alpha: FromQuery[float] = 0.05
) -> ExperimentReport:
    """Report an experiment: effect per metric with intervals of level 1 − alpha, checks, counts."""
    return _reports(services).experiment(key, alpha=alpha)


@get("/v1/reports/surfaces/{key:str}", sync_to_thread=True)
def report_surface(key: FromPath[str], services: NamedDependency[Services]) -> SurfaceReport:
    """Report a surface: value of its policies, counts, learning."""
    return _reports(services).surface(key)


def _reports(services: Services) -> ReportService:
    return ReportService(services.link.store(), services.now_ms)
