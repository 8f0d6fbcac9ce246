"""The route that reports single actions; the numbers are `bandit.service.reporting_actions`'."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from api.reports import ALPHA, AsOf, At, Version, time_asked
from api.services import Services
from bandit.service.key_ring import Principal
from bandit.service.reporting_actions import MOST, ActionReports, ActionsReport

Limit = Annotated[int, QueryParameter(ge=1, le=MOST)]
"""How many actions, the most shown first."""
Reference = Annotated[str | None, QueryParameter(min_length=1, max_length=256)]
"""Action that others are compared with; the most shown one where none is named."""


@get("/v1/reports/surfaces/{key:str}/actions", sync_to_thread=True)
def report_actions(
    key: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    alpha: FromQuery[float] = ALPHA,
    limit: Limit = 20,
    reference: Reference = None,
    since: At = None,
    at: At = None,
    at_ms: AsOf = None,
    surface_version: Version = None,
) -> ActionsReport:
    """Report what always showing each of a surface's most shown actions would earn.

    From the logged propensities, so that it is right although the policy learnt meanwhile.
    Intervals have the level 1 − alpha, each by itself.
    """
    reports = ActionReports(services.link.store(), services.now_ms, principal.project)
    return reports.actions(
        key,
        alpha,
        limit=limit,
        reference=reference,
        since_ms=time_asked(since, None) or 0,
        at_ms=time_asked(at, at_ms),
        surface_version=surface_version,
    )
