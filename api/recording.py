"""Routes that record or assign and are not hot: exposures, outcomes, assignments."""

from typing import Annotated

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api.authorising import SCOPE
from api.bodies import JsonRequest
from api.services import Services
from bandit.service.key_ring import Principal
from bandit.wire import (
    Accepted,
    AssignmentAnswer,
    AssignmentRequest,
    ExposureRequest,
    OutcomeRequest,
)

SOME = msgspec.Meta(min_length=1, max_length=1000)
"""How many records one request may bring."""


@post("/v1/exposures", status_code=202, request_class=JsonRequest, opt={SCOPE: "reward"})
async def expose(
    data: JSONBody[ExposureRequest | Annotated[list[ExposureRequest], SOME]],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
) -> Accepted:
    """Record that slots of decisions were seen."""
    accepted = services.accepting.exposures(data, principal.project)
    await services.journal.durable()
    services.meter.accepted.labels("exposure").inc(accepted)
    return Accepted(accepted=accepted)


@post("/v1/outcomes", status_code=202, request_class=JsonRequest, opt={SCOPE: "reward"})
async def record_outcomes(
    data: JSONBody[OutcomeRequest | Annotated[list[OutcomeRequest], SOME]],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
) -> Accepted:
    """Record named numbers about units."""
    accepted = services.accepting.outcomes(data, principal.project)
    await services.journal.durable()
    services.meter.accepted.labels("outcome").inc(accepted)
    return Accepted(accepted=accepted)


@post("/v1/assignments", status_code=200, request_class=JsonRequest, opt={SCOPE: "rank"})
async def assign(
    data: JSONBody[AssignmentRequest],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
) -> AssignmentAnswer:
    """Tell which variants a unit is in, and count it as assigned unless told not to."""
    answer = services.assigning.assign(data, principal.project)
    if data.log:
        await services.journal.durable()
    return answer
