"""Routes that plan an experiment; the numbers are `bandit.service.planning`'s."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from api.reports import ALPHA, AsOf, At, reports_of, time_asked
from api.services import Services
from bandit.service.key_ring import Principal
from bandit.service.planning import Hypothesis, Planning, PlanQuestion
from bandit.specs import MetricType

Wanted = Annotated[float | None, QueryParameter(gt=0, le=1e15)]
Mean = Annotated[float | None, QueryParameter(ge=-1e15, le=1e15)]
Spread = Annotated[float | None, QueryParameter(ge=0, le=1e15)]
Share = Annotated[float, QueryParameter(gt=0, le=1)]
Treatments = Annotated[int, QueryParameter(ge=1, le=49)]
MetricKey = Annotated[str | None, QueryParameter(max_length=200)]
POWER = 0.8


@get("/v1/reports/surfaces/{key:str}/planning", sync_to_thread=True)
def report_planning(
    key: FromPath[str],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    metric: MetricKey = None,
    effect: Wanted = None,
    absolute: FromQuery[bool] = False,
    shows: FromQuery[Hypothesis] = "different",
    power: FromQuery[float] = POWER,
    alpha: FromQuery[float] = ALPHA,
    treatments: Treatments = 1,
    share: Share = 1.0,
    units_per_day: Wanted = None,
    mean: Mean = None,
    sd: Spread = None,
    type: FromQuery[MetricType] = "mean",  # noqa: A002 (the metric's word)
    covariates: FromQuery[bool] = True,
    at: At = None,
    at_ms: AsOf = None,
) -> Planning:
    """Report how many units and days an experiment on a surface needs, and what it can find.

    From numbers that are kept of the surface's experiments: arrivals, and each metric's mean,
    spread and covariates; what is given counts before them. An `effect` is a share of the mean
    unless `absolute`; without one it is the metric's margin.
    """
    question = PlanQuestion(
        effect=effect,
        effect_scale="absolute" if absolute else "relative",
        shows=shows,
        power=power,
        alpha=alpha,
        treatments=treatments,
        share=share,
        units_per_day=units_per_day,
        mean=mean,
        sd=sd,
        type=type,
        covariates=covariates,
    )
    return reports_of(services, principal).planning(key, question, metric, time_asked(at, at_ms))


@get("/v1/reports/planning", sync_to_thread=True)
def report_typed_planning(
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    mean: Annotated[float, QueryParameter(ge=-1e15, le=1e15)],
    sd: Spread = None,
    type: FromQuery[MetricType] = "mean",  # noqa: A002 (the metric's word)
    effect: Wanted = None,
    absolute: FromQuery[bool] = False,
    shows: FromQuery[Hypothesis] = "different",
    power: FromQuery[float] = POWER,
    alpha: FromQuery[float] = ALPHA,
    treatments: Treatments = 1,
    share: Share = 1.0,
    units_per_day: Wanted = None,
) -> Planning:
    """Report the same by typed-in numbers alone: a mean, and a spread unless it is a share."""
    question = PlanQuestion(
        effect=effect,
        effect_scale="absolute" if absolute else "relative",
        shows=shows,
        power=power,
        alpha=alpha,
        treatments=treatments,
        share=share,
        units_per_day=units_per_day,
        mean=mean,
        sd=sd,
        type=type,
    )
    return reports_of(services, principal).planning(None, question)
