"""OpenFeature's remote evaluation protocol (OFREP), so that every OpenFeature SDK is a client.

A flag is an experiment without a surface, its value the payload of the unit's variant. An
evaluation is an assignment, and logged as one. A flag without a value tells the SDK to use the
default that its caller gave: the unit is in no variant, or the experiment does not run.

Source: open-feature/protocol, `service/openapi.yaml`.
"""

import hashlib
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, post
from litestar.di import NamedDependency
from litestar.exceptions import ValidationException
from litestar.params import FromPath, HeaderParameter, JSONBody

from api.authorising import HEADERS, OFREP, SCOPE
from api.bodies import BadBody, JsonRequest
from api.observing import PROTOCOL
from api.problems import Problem, headers_of, problem_of, report
from api.services import Services
from bandit.errors import NotDeclared, RecordError
from bandit.records import Id
from bandit.service.assigning import Told
from bandit.service.key_ring import Principal

REASONS = {"split": "SPLIT", "override": "TARGETING_MATCH"}
"""OpenFeature's word for why a unit is in its variant."""
UNIT_ID = msgspec.json.Decoder(Id)
IfNoneMatch = Annotated[str | None, HeaderParameter(name="If-None-Match")]


class FlagRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation's body.

    Attributes:
        context: `targetingKey` is the unit's id; the rest is what targeting looks at.
    """

    context: dict[str, msgspec.Raw] = {}


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluated flag.

    Attributes:
        value: Unset where the SDK is to use its caller's default.
        variant: Empty for none; clients read it without asking whether it is there.
    """

    key: str
    reason: str
    variant: str
    metadata: dict[str, int | bool]
    value: Any = msgspec.UNSET


class Flags(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of a bulk evaluation."""

    flags: list[Flag]


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """An error in the protocol's shape."""

    error_code: str
    error_details: str
    key: str | None = None


class TargetingKeyMissing(RecordError):
    """A context that does not say which unit it is."""


def ofrep_routes(services: Services) -> Router:
    """The protocol's routes.

    Args:
        services: The worker's; its meter counts what is refused.
    """
    return Router(
        "/ofrep/v1/evaluate/flags",
        route_handlers=[evaluate, evaluate_all],
        exception_handlers={Exception: error_handler(services.meter.refuse)},
        request_class=JsonRequest,
        opt={PROTOCOL: "ofrep", SCOPE: "rank", HEADERS: OFREP},
        include_in_schema=False,  # the protocol's own document describes it; ours lists it
    )


@post("/{key:str}", status_code=200)
async def evaluate(
    key: FromPath[str],
    data: JSONBody[FlagRequest],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
) -> Flag:
    """Evaluate a flag for a unit."""
    unit_id, context = _asked(data)
    (told,) = services.assigning.tell(unit_id, context, [key], log=True, project=principal.project)
    if not _is_flag(told):
        raise NotDeclared("flag", key)
    await services.journal.durable()
    return _flag(told)


@post("/", status_code=200)
async def evaluate_all(
    data: JSONBody[FlagRequest],
    services: NamedDependency[Services],
    principal: NamedDependency[Principal],
    if_none_match: IfNoneMatch = None,
) -> Response[bytes | None]:
    """Evaluate every flag for a unit; 304 if nothing is other than the client has it."""
    unit_id, context = _asked(data)
    told = services.assigning.tell(unit_id, context, None, log=True, project=principal.project)
    await services.journal.durable()
    body = msgspec.json.encode(Flags(flags=[_flag(each) for each in told if _is_flag(each)]))
    etag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    known = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    if etag in known:
        return Response(None, status_code=304, headers={"etag": etag})
    return Response(body, media_type="application/json", headers={"etag": etag})


def _asked(data: FlagRequest) -> tuple[str, bytes]:
    """The unit and its context."""
    context = dict(data.context)
    key = context.pop("targetingKey", None)
    if key is None or bytes(key) == b'""':
        raise TargetingKeyMissing("targetingKey is missing, must be the unit's id")
    try:
        return UNIT_ID.decode(key), msgspec.json.encode(context)
    except msgspec.ValidationError as exc:
        raise RecordError(f"targetingKey is no id: {exc}") from exc


def _is_flag(told: Told) -> bool:
    spec = told.experiment.spec
    return spec.surface is None and spec.status != "archived"


def _flag(told: Told) -> Flag:
    experiment, placed = told
    metadata: dict[str, int | bool] = {"experiment_version": experiment.version}
    if placed is None:
        reason = "DEFAULT" if experiment.spec.status == "running" else "DISABLED"
        return Flag(key=experiment.spec.key, reason=reason, variant="", metadata=metadata)
    payload = placed.variant.payload
    return Flag(
        key=experiment.spec.key,
        reason=REASONS[placed.reason],
        variant=placed.variant.key,
        metadata=metadata | {"forced": placed.forced},
        value=msgspec.UNSET if payload is None else payload,
    )


def error_handler(
    count: Callable[[Problem], None],
) -> Callable[[Request[Any, Any, Any], Exception], Response[Failure]]:
    """Litestar's exception handler of these routes.

    Args:
        count: Told of every problem that is answered.
    """

    def answer(request: Request[Any, Any, Any], exc: Exception) -> Response[Failure]:
        problem = problem_of(exc)
        report(exc, problem)
        count(problem)
        code = _code(exc, problem.status)
        return Response(
            Failure(
                error_code=code,
                error_details=problem.detail,
                key=request.path_params.get("key"),
            ),
            status_code=400 if code == "PARSE_ERROR" else problem.status,
            headers=headers_of(exc, problem),
        )

    return answer


def _code(exc: Exception, status: int) -> str:
    """OpenFeature's word for what went wrong."""
    if isinstance(exc, NotDeclared):
        return "FLAG_NOT_FOUND"
    if isinstance(exc, TargetingKeyMissing):
        return "TARGETING_KEY_MISSING"
    if status == 415 or isinstance(exc, ValidationException):  # a body that is empty
        return "PARSE_ERROR"
    if isinstance(exc, BadBody) and not isinstance(exc.__cause__, msgspec.ValidationError):
        return "PARSE_ERROR"
    return "INVALID_CONTEXT" if isinstance(exc, RecordError) else "GENERAL"
