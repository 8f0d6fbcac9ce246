"""Routes that report what a surface shows, to whom, and what its policies have learned."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from api.reports import AsOf, At, time_asked
from api.services import Services
from bandit.service.key_ring import Principal
from bandit.service.reporting_surface import LONGEST_MEMBER, MOST, SurfaceReports
from bandit.service.reporting_surface_payloads import (
    AllocationReport,
    BehaviourReport,
    FeedbackReport,
    NewcomersReport,
    WeightsReport,
)
from bandit.store.allocation import ACTIONS

Top = Annotated[int, QueryParameter(ge=1, le=ACTIONS)]
"""How many actions of each policy are told by name."""
Limit = Annotated[int, QueryParameter(ge=1, le=MOST)]
Member = Annotated[str, QueryParameter(max_length=LONGEST_MEMBER)]
"""Of the context; '' for the first one that tells segments apart."""
Only = Annotated[str, QueryParameter(max_length=100)]
"""Key of a policy; '' for all."""


@get("/v1/reports/surfaces/{key:str}/allocation", sync_to_thread=True)
def report_allocation(
    key: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    top: Top = 8,
    at: At = None,
    at_ms: AsOf = None,
) -> AllocationReport:
    """Report what each policy of a surface showed over time, how it explored, and its floor."""
    return _reports(services, principal).allocation(key, top=top, at_ms=time_asked(at, at_ms))


@get("/v1/reports/surfaces/{key:str}/behaviour", sync_to_thread=True)
def report_behaviour(
    key: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    by: Member = "",
    policy: Only = "",
    at: At = None,
    at_ms: AsOf = None,
) -> BehaviourReport:
    """Report how the newest decisions differ by a member of the context: shown and earned."""
    return _reports(services, principal).behaviour(
        key, by, policy=policy, at_ms=time_asked(at, at_ms)
    )


@get("/v1/reports/surfaces/{key:str}/newcomers", sync_to_thread=True)
def report_newcomers(
    key: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    limit: Limit = 20,
    at: At = None,
    at_ms: AsOf = None,
) -> NewcomersReport:
    """Report actions that a surface offers since lately, and how often it shows them."""
    return _reports(services, principal).newcomers(key, limit=limit, at_ms=time_asked(at, at_ms))


@get("/v1/reports/surfaces/{key:str}/feedback", sync_to_thread=True)
def report_feedback(
    key: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    at: At = None,
    at_ms: AsOf = None,
) -> FeedbackReport:
    """Report what came back for the newest decisions: join rate, delays, late and orphans."""
    return _reports(services, principal).feedback(key, at_ms=time_asked(at, at_ms))


@get("/v1/reports/policies/{key:str}/weights", sync_to_thread=True)
def report_weights(
    key: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    limit: Limit = 40,
) -> WeightsReport:
    """Report what a policy's newest snapshot has learned, in the names of features."""
    return _reports(services, principal).weights(key, limit=limit)


SURFACE_REPORTS = (
    report_allocation,
    report_behaviour,
    report_newcomers,
    report_feedback,
    report_weights,
)


def _reports(services: Services, principal: Principal) -> SurfaceReports:
    return SurfaceReports(services.link.store(), services.now_ms, principal.project)
