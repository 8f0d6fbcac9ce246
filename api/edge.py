"""The Litestar application over a worker's services: routes, errors, documents, background."""

import asyncio
import contextlib
import inspect
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar, Router
from litestar.datastructures import ResponseHeader
from litestar.di import Provide
from litestar.routes import HTTPRoute

from api.authorising import principal_of
from api.bodies import JsonRequest
from api.catalogue import catalogue_routes
from api.decisions import get_decision, joined_decision, newest_decisions, replay_decision
from api.definitions import definition_routes
from api.evaluations import evaluation_routes
from api.health import live, ready
from api.hot import rank_route, rewards_route
from api.keys import show_own_key
from api.metrics import metrics
from api.observing import counter_of, look
from api.ofrep import ofrep_routes
from api.openapi import openapi_config
from api.personalizer import personalizer_routes
from api.problems import problem_handler
from api.promotions import promotion_routes
from api.recording import assign, expose, record_outcomes
from api.report_actions import report_actions
from api.report_planning import report_planning, report_typed_planning
from api.report_surfaces import SURFACE_REPORTS
from api.reports import (
    report_experiment,
    report_exploration,
    report_history,
    report_overview,
    report_sql,
    report_surface,
)
from api.security import HEADERS
from api.services import Services
from api.tracing import annotate, plugin
from bandit.logs import tell

log = logging.getLogger(__name__)

FIRST_LOOK_S = 3.0
"""How long a worker waits for its first look at the store before it serves what it knows."""
TICK_S = 1.0


def litestar_app(
    services: Services,
    *,
    max_body_bytes: int,
    perf_counter_s: Callable[[], float],
    tracer_provider: Any | None = None,
) -> Litestar:
    """Make the application; nothing is started before its lifespan is entered.

    Args:
        services: What the routes call.
        max_body_bytes: Of the largest body that is read.
        perf_counter_s: Clock for how long a decision takes.
        tracer_provider: Of OpenTelemetry; None: requests are not traced.
    """
    application = Litestar(
        route_handlers=[
            rank_route(
                services.deciding,
                services.journal,
                services.meter,
                services.authoriser,
                max_body_bytes=max_body_bytes,
                perf_counter_s=perf_counter_s,
                annotate=None if tracer_provider is None else annotate(),
            ),
            rewards_route(
                services.accepting,
                services.journal,
                services.meter,
                services.authoriser,
                max_body_bytes=max_body_bytes,
            ),
            _guarded(services),
            live,
            ready,
        ],
        dependencies={
            "services": Provide(lambda: services, sync_to_thread=False),
            "meter": Provide(lambda: services.meter, sync_to_thread=False),
            "serving": Provide(lambda: services.serving, sync_to_thread=False),
        },
        exception_handlers={Exception: problem_handler(services.meter.refuse)},
        after_response=counter_of(services.meter),
        lifespan=[_running(services)],
        plugins=[] if tracer_provider is None else [plugin(tracer_provider)],
        on_shutdown=[] if tracer_provider is None else [tracer_provider.shutdown],
        request_class=JsonRequest,
        response_headers=[ResponseHeader(name=n, value=v) for n, v in HEADERS.items()],
        request_max_body_size=max_body_bytes,
        openapi_config=openapi_config(),
        logging_config=None,
    )
    _tell_all_methods(application)
    return application


def _tell_all_methods(application: Litestar) -> None:
    """Let OPTIONS name every method of a path.

    Litestar makes the handler that answers it with the first of a path's methods, and goes on to
    ask the route of then, which is thrown away when the next one comes.
    """
    for route in application.routes:
        if isinstance(route, HTTPRoute):
            handler, _ = route.route_handler_map["OPTIONS"]
            asked = inspect.getclosurevars(handler.fn).nonlocals.get("self", route)
            asked.methods = route.methods


def _guarded(services: Services) -> Router:
    """Every route that asks who asks; only health and the document are not among them."""
    return Router(
        "/",
        guards=[services.authoriser.guard()],
        dependencies={"principal": Provide(principal_of, sync_to_thread=False)},
        route_handlers=[
            expose,
            record_outcomes,
            assign,
            get_decision,
            replay_decision,
            newest_decisions,
            joined_decision,
            show_own_key,
            *definition_routes(),
            catalogue_routes(),
            promotion_routes(),
            evaluation_routes(),
            *personalizer_routes(services),
            ofrep_routes(services),
            report_overview,
            report_experiment,
            report_history,
            report_sql,
            report_surface,
            report_exploration,
            report_actions,
            report_planning,
            report_typed_planning,
            *SURFACE_REPORTS,
            metrics,
        ],
    )


def _running(services: Services) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        services.refresher.start()
        knows_keys = services.ring is None or services.ring.is_known
        if services.serving.state.revision is None or not knows_keys:
            await asyncio.to_thread(services.refresher.looked.wait, FIRST_LOOK_S)
        ticking = asyncio.create_task(_tick(services))
        writer = services.journal.writer
        tell(log, logging.INFO, "started", "serving, as writer %(writer)s", writer=writer)
        try:
            yield
        finally:
            ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticking
            await asyncio.to_thread(services.refresher.stop)
            services.close()
            tell(log, logging.INFO, "ended", "writer %(writer)s is done", writer=writer)

    return running


async def _tick(services: Services) -> None:
    """Finish old segments, and show how this worker is."""
    loop, late_s = asyncio.get_running_loop(), 0.0
    while True:
        services.journal.tick()
        services.refresh_tokens()
        look(services, late_s=late_s)
        due_s = loop.time() + TICK_S
        await asyncio.sleep(TICK_S)
        late_s = loop.time() - due_s
