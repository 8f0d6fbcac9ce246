"""The hot routes, as bare ASGI handlers: decode once, decide, encode once.

A typed handler costs more than the decision (FACTS.md, "Serving"); and between the last byte of a
request and its answer nothing here waits, but for a repeated event id and `durability=disk`.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import ASGIRouteHandler, asgi
from litestar.types import HTTPScope, Receive, Scope, Send

from api.authorising import Authoriser
from api.bodies import decode, read_json_body
from api.metrics import Meter
from api.problems import MEDIA_TYPE, headers_of, problem_of, report
from api.security import RAW_HEADERS
from api.tracing import Annotate
from bandit.errors import JournalUnavailable
from bandit.journal import Journal
from bandit.service.accepting import AcceptingService
from bandit.service.deciding import DecisionService
from bandit.wire import Accepted, RankRequest, RewardRequest

Rewards = (
    RewardRequest | Annotated[list[RewardRequest], msgspec.Meta(min_length=1, max_length=1000)]
)
RANK = msgspec.json.Decoder(RankRequest)
REWARDS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Rewards)
ENCODE = msgspec.json.Encoder().encode
JSON_HEADERS = [(b"content-type", b"application/json"), *RAW_HEADERS]

Hot = Callable[[HTTPScope, Receive, str | None], Awaitable[bytes]]
"""Reads a request of a project, returns its answer's body."""


def rank_route(
    deciding: DecisionService,
    journal: Journal,
    meter: Meter,
    authoriser: Authoriser,
    *,
    max_body_bytes: int,
    perf_counter_s: Callable[[], float],
    annotate: Annotate | None = None,
) -> ASGIRouteHandler:
    """`POST /v1/rank`; `annotate` is told every answer while requests are traced."""
    observe = meter.rank_seconds.observe
    count_unlogged = meter.unlogged.labels("decision").inc

    async def answer(scope: HTTPScope, receive: Receive, project: str | None) -> bytes:
        body = await read_json_body(scope, receive, max_body_bytes)
        started_s = perf_counter_s()
        request = decode(RANK, body)
        if request.event_id is not None:
            await deciding.recall(request.event_id, project)
        answer = deciding.rank(request, body, project)
        try:
            await journal.durable()
        except JournalUnavailable:
            answer = deciding.not_durable(answer, project)
        if not answer.logged:
            count_unlogged()
        if annotate is not None:
            annotate(answer)
        payload = ENCODE(answer)
        observe(perf_counter_s() - started_s)
        return payload

    return _route("/v1/rank", 200, answer, meter, authoriser, "rank")


def rewards_route(
    accepting: AcceptingService,
    journal: Journal,
    meter: Meter,
    authoriser: Authoriser,
    *,
    max_body_bytes: int,
) -> ASGIRouteHandler:
    """`POST /v1/rewards`."""
    count = meter.accepted.labels("reward").inc

    async def answer(scope: HTTPScope, receive: Receive, project: str | None) -> bytes:
        body = await read_json_body(scope, receive, max_body_bytes)
        accepted = accepting.rewards(decode(REWARDS, body), project)
        await journal.durable()
        count(accepted)
        return ENCODE(Accepted(accepted=accepted))

    return _route("/v1/rewards", 202, answer, meter, authoriser, "reward")


def _route(
    path: str, status: int, answer: Hot, meter: Meter, authoriser: Authoriser, needed: str
) -> ASGIRouteHandler:
    authorise = authoriser.authorise
    start = {"type": "http.response.start", "status": status, "headers": JSON_HEADERS}

    @asgi(path, copy_scope=False)
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] != "POST":  # type: ignore[typeddict-item]
                raise MethodNotAllowedException(
                    detail="only POST is allowed", headers={"allow": "POST"}
                )
            project = authorise(scope["headers"], needed).project
            payload = await answer(scope, receive, project)  # type: ignore[arg-type]
        except Exception as exc:
            await _send_problem(exc, meter, send)
            return
        await send(start)  # type: ignore[arg-type]
        await send({"type": "http.response.body", "body": payload, "more_body": False})

    return handler


async def _send_problem(exc: Exception, meter: Meter, send: Send) -> None:
    problem = problem_of(exc)
    report(exc, problem)
    meter.refuse(problem)
    await send(
        {
            "type": "http.response.start",
            "status": problem.status,
            "headers": [
                (b"content-type", MEDIA_TYPE.encode()),
                *(
                    (name.encode(), value.encode())
                    for name, value in headers_of(exc, problem).items()
                ),
            ],
        }
    )
    await send({"type": "http.response.body", "body": ENCODE(problem), "more_body": False})
