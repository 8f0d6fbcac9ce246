"""Personalizer's protocol, so that an application written for it only changes its base address.

Its clients put three prefixes before the same operations. Which surface is meant is part of the
base address (`http://host/s/<surface>`), or of a header, or it is the surface `personalizer`.
"""

from typing import Annotated, Any

import msgspec
from litestar import Request, Router, delete, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, JSONBody

from api.authorising import HEADERS, PERSONALIZER, SCOPE
from api.bodies import JsonRequest
from api.observing import PROTOCOL
from api.personalizer_errors import error_handler
from api.personalizer_shapes import (
    MultiSlotAnswer,
    MultiSlotRank,
    MultiSlotReward,
    PersonalizerRank,
    RankAnswer,
    RewardValue,
    asked_of,
    asked_of_slots,
    multi_slot_answer,
    rank_answer,
)
from api.services import Services
from bandit.errors import JournalUnavailable, NotFound, NotOffered, RecordError
from bandit.service.key_ring import Principal
from bandit.service.personalizer_loops import (
    LearningSettings,
    LoopService,
    ModelProperties,
    ServiceConfiguration,
    iso_time,
)
from bandit.service.personalizing import Ranked

SURFACE = "personalizer"
"""The surface where neither the address nor a header names one."""
HEADER = "x-bandit-surface"
VERSIONS = ("/personalizer", "/personalizer/v1.0", "/personalizer/v1.1-preview.2")
"""What its clients of 2022-09-01-preview, 1.0 and 1.1 preview put before an operation."""
OF_SURFACE = "/s/{named:str}"

Loop = NamedDependency[str]
All = NamedDependency[Services]
Loops = NamedDependency[LoopService]


def personalizer_routes(services: Services) -> list[Router]:
    """Every operation under every prefix.

    Args:
        services: The worker's; its meter counts what is refused.
    """
    return [
        Router(
            f"{place}{version}",
            route_handlers=OPERATIONS,
            dependencies={
                "surface": Provide(surface_of, sync_to_thread=False),
                "loops": Provide(loops_of, sync_to_thread=False),
            },
            exception_handlers={Exception: error_handler(services.meter.refuse)},
            request_class=JsonRequest,
            opt={PROTOCOL: "personalizer", HEADERS: PERSONALIZER},
            include_in_schema=False,  # Microsoft's documents describe it; ours lists it
        )
        for place in ("", OF_SURFACE)
        for version in VERSIONS
    ]


def surface_of(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
) -> str:
    """The surface that a request means, if the key's project has it."""
    named: str | None = request.path_params.get("named")
    key = named or request.headers.get(HEADER) or SURFACE
    if principal.project is not None:
        services.serving.state.of(principal.project).surface(key)
    return key


def loops_of(
    services: NamedDependency[Services], principal: NamedDependency[Principal]
) -> LoopService:
    """The loops of the key's project, changed by its client."""
    return services.loops.of(principal.project, principal.client)


async def _settle(ranked: Ranked, services: Services) -> None:
    """Wait for the disk; the protocol has no word for a decision that is not logged, metrics do."""
    logged = ranked.logged
    try:
        await services.journal.durable()
    except JournalUnavailable:
        logged = False
    if not logged:
        services.meter.unlogged.labels("decision").inc()


@post("/rank", status_code=201, opt={"refused": "InvalidRankRequest", SCOPE: "rank"})
async def rank(data: JSONBody[PersonalizerRank], surface: Loop, services: All) -> RankAnswer:
    """Decide which action to show."""
    ranked = await services.personalizing.rank(surface, data.event_id, asked_of(data))
    await _settle(ranked, services)
    return rank_answer(ranked)


@post(
    "/events/{event_id:str}/reward",
    status_code=204,
    opt={"refused": "InvalidRewardRequest", SCOPE: "reward"},
)
async def reward(
    event_id: FromPath[str], data: JSONBody[RewardValue], surface: Loop, services: All
) -> None:
    """Accept what an event's action earned."""
    accepted = await services.personalizing.reward(surface, named(event_id), data.value)
    await services.journal.durable()
    services.meter.accepted.labels("reward").inc(accepted)


@post(
    "/events/{event_id:str}/activate",
    status_code=204,
    opt={"refused": "InvalidEventIdToActivate", SCOPE: "reward"},
)
async def activate(event_id: FromPath[str], surface: Loop, services: All) -> None:
    """Record that an event's action was seen."""
    accepted = await services.personalizing.activate(surface, named(event_id))
    await services.journal.durable()
    services.meter.accepted.labels("exposure").inc(accepted)


@post("/multislot/rank", status_code=201, opt={"refused": "InvalidRankRequest", SCOPE: "rank"})
async def rank_slots(
    data: JSONBody[MultiSlotRank], surface: Loop, services: All
) -> MultiSlotAnswer:
    """Decide what to show in each slot."""
    ranked = await services.personalizing.rank(surface, data.event_id, asked_of_slots(data))
    await _settle(ranked, services)
    return multi_slot_answer(ranked)


@post(
    "/multislot/events/{event_id:str}/reward",
    status_code=204,
    opt={"refused": "InvalidRewardRequest", SCOPE: "reward"},
)
async def reward_slots(
    event_id: FromPath[str], data: JSONBody[MultiSlotReward], surface: Loop, services: All
) -> None:
    """Accept what an event's slots earned."""
    values = {each.slot_id: each.value for each in data.reward}
    if len(values) < len(data.reward):
        raise RecordError("a slotId is repeated, must be named once - at `$.reward`")
    accepted = await services.personalizing.reward_slots(surface, named(event_id), values)
    await services.journal.durable()
    services.meter.accepted.labels("reward").inc(accepted)


@post(
    "/multislot/events/{event_id:str}/activate",
    status_code=204,
    opt={"refused": "InvalidEventIdToActivate", SCOPE: "reward"},
)
async def activate_slots(event_id: FromPath[str], surface: Loop, services: All) -> None:
    """Record that an event's slots were seen."""
    accepted = await services.personalizing.activate(surface, named(event_id), slots=True)
    await services.journal.durable()
    services.meter.accepted.labels("exposure").inc(accepted)


@get("/configurations/service", sync_to_thread=True)
def show_configuration(surface: Loop, loops: Loops) -> ServiceConfiguration:
    """Show a loop's configuration."""
    return loops.configuration(surface)


@put(
    "/configurations/service",
    sync_to_thread=True,
    opt={"refused": "InvalidServiceConfiguration"},
)
def configure(
    data: JSONBody[ServiceConfiguration], surface: Loop, loops: Loops
) -> ServiceConfiguration:
    """Change a loop."""
    return loops.configure(surface, data)


@get("/configurations/policy", sync_to_thread=True)
def show_settings(surface: Loop, loops: Loops) -> LearningSettings:
    """Show what a loop learns with."""
    return loops.settings(surface)


@put("/configurations/policy", sync_to_thread=True, opt={"refused": "InvalidPolicyConfiguration"})
def change_settings(
    data: JSONBody[LearningSettings], surface: Loop, loops: Loops
) -> LearningSettings:
    """Learn with other settings."""
    return loops.set_settings(surface, data)


@delete("/configurations/policy", status_code=200, sync_to_thread=True)
def reset_settings(surface: Loop, loops: Loops) -> LearningSettings:
    """Learn with the default settings."""
    return loops.reset_settings(surface)


@get("/model/properties", sync_to_thread=True)
def show_model(surface: Loop, loops: Loops) -> ModelProperties:
    """Show when a loop's model was made."""
    return loops.model(surface)


class DateRange(msgspec.Struct, frozen=True, kw_only=True):
    """From when to when."""

    since: Annotated[str, msgspec.Meta(description="inclusive")] = msgspec.field(name="from")
    to: str


class LogProperties(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the log of a loop holds; no range while it is empty."""

    date_range: DateRange | None


@get("/logs/properties", sync_to_thread=True)
def show_log(surface: Loop, services: All, loops: Loops) -> LogProperties:
    """Show what time the log of a loop spans."""
    loops.configuration(surface)  # tells whether there is such a loop
    span = services.link.decisions().span(surface)
    if span is None:
        return LogProperties(date_range=None)
    return LogProperties(date_range=DateRange(since=iso_time(span[0]), to=iso_time(span[1])))


@get(["/evaluations", "/featureImportances"], sync_to_thread=False)
def list_none() -> dict[str, list[str]]:
    """There are none: what would be evaluated is in the surface's report at any time."""
    return {"value": []}


@get(["/evaluations/{named_id:str}", "/featureImportances/{named_id:str}"], sync_to_thread=False)
def find_none(named_id: FromPath[str]) -> None:
    """There are none."""
    raise NotFound(f"{named_id[:64]!r} was not found: {NOT_OFFERED['evaluations']}")


@delete(["/evaluations/{named_id:str}", "/featureImportances/{named_id:str}"], sync_to_thread=False)
def delete_none(named_id: FromPath[str]) -> None:
    """There are none."""
    raise NotFound(f"{named_id[:64]!r} was not found: {NOT_OFFERED['evaluations']}")


NOT_OFFERED = {
    "evaluations": "offline evaluations are not jobs here: name the policy among the surface's "
    "shadows, and GET /v1/reports/surfaces/{key} tells its value at any time",
    "featureImportances": "feature importances are not offered: declare a policy without the "
    "feature as a shadow, and compare the two in the surface's report",
    "applyFromEvaluation": "there are no evaluations to apply: PUT …/configurations/policy",
    "model": "models are not files here: snapshots are published, numbered and replayed from the "
    "log, so none can be taken out, put in or forgotten; `bandit export` has what it learns from",
    "logs": "the log is the proof of every report, so no request deletes it: `bandit retention` "
    "says how long it is kept, `bandit forget UNIT` takes a unit out of it",
}
"""Why an operation is answered 501."""


@put("/evaluations/{named_id:str}", sync_to_thread=False)
def create_evaluation(named_id: FromPath[str]) -> None:
    """Not offered."""
    raise NotOffered(NOT_OFFERED["evaluations"])


@put("/featureImportances/{named_id:str}", sync_to_thread=False)
def create_importance(named_id: FromPath[str]) -> None:
    """Not offered."""
    raise NotOffered(NOT_OFFERED["featureImportances"])


@post("/configurations/applyFromEvaluation", sync_to_thread=False)
def apply_evaluation() -> None:
    """Not offered."""
    raise NotOffered(NOT_OFFERED["applyFromEvaluation"])


@get("/model", sync_to_thread=False)
def export_model() -> None:
    """Not offered."""
    raise NotOffered(NOT_OFFERED["model"])


@put("/model", sync_to_thread=False)
def import_model() -> None:
    """Not offered."""
    raise NotOffered(NOT_OFFERED["model"])


@delete("/model", sync_to_thread=False)
def reset_model() -> None:
    """Not offered."""
    raise NotOffered(NOT_OFFERED["model"])


@delete("/logs", sync_to_thread=False)
def delete_log() -> None:
    """Not offered."""
    raise NotOffered(NOT_OFFERED["logs"])


def named(event_id: str) -> str:
    """The name of an event in an address.

    Raises:
        RecordError: It is longer than an event's name can be.
    """
    if len(event_id) > 256:
        raise RecordError(f"eventId has {len(event_id)} characters, must have at most 256")
    return event_id


OPERATIONS: list[BaseRouteHandler] = [
    rank,
    reward,
    activate,
    rank_slots,
    reward_slots,
    activate_slots,
    show_configuration,
    configure,
    show_settings,
    change_settings,
    reset_settings,
    show_model,
    show_log,
    list_none,
    find_none,
    delete_none,
    create_evaluation,
    create_importance,
    apply_evaluation,
    export_model,
    import_model,
    reset_model,
    delete_log,
]
