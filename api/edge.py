"""The Litestar application over a worker's services: routes, errors, documents, background."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from litestar import Litestar
from litestar.datastructures import ResponseHeader
from litestar.di import Provide

from api.bodies import JsonRequest
from api.catalogue import catalogue_routes
from api.decisions import get_decision, replay_decision
from api.definitions import definition_routes
from api.health import live, ready
from api.hot import rank_route, rewards_route
from api.metrics import metrics
from api.observing import counter_of, look
from api.ofrep import ofrep_routes
from api.openapi import openapi_config
from api.personalizer import personalizer_routes
from api.problems import problem_handler
from api.recording import assign, expose, record_outcomes
from api.reports import report_experiment, report_overview, report_surface
from api.security import HEADERS
from api.services import Services

FIRST_LOOK_S = 3.0
"""How long a worker waits for its first look at the store before it serves what it knows."""
TICK_S = 1.0


def litestar_app(
    services: Services, *, max_body_bytes: int, perf_counter_s: Callable[[], float]
) -> Litestar:
    """Make the application; nothing is started before its lifespan is entered."""
    return Litestar(
        route_handlers=[
            rank_route(
                services.deciding,
                services.journal,
                services.meter,
                max_body_bytes=max_body_bytes,
                perf_counter_s=perf_counter_s,
            ),
            rewards_route(
                services.accepting,
                services.journal,
                services.meter,
                max_body_bytes=max_body_bytes,
            ),
            expose,
            record_outcomes,
            assign,
            get_decision,
            replay_decision,
            *definition_routes(),
            catalogue_routes(),
            *personalizer_routes(services),
            ofrep_routes(services),
            report_overview,
            report_experiment,
            report_surface,
            live,
            ready,
            metrics,
        ],
        dependencies={
            "services": Provide(lambda: services, sync_to_thread=False),
        response_headers=[ResponseHeader(name=n, value=v) for n, v in HEADERS.items()],
            "meter": Provide(lambda: services.meter, sync_to_thread=False),
        },
        exception_handlers={Exception: problem_handler(services.meter.refuse)},
        after_response=counter_of(services.meter),
        lifespan=[_running(services)],
        request_class=JsonRequest,
        request_max_body_size=max_body_bytes,
        openapi_config=openapi_config(),
        logging_config=None,
    )


def _running(services: Services) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        services.refresher.start()
        if services.serving.state.revision is None:
            await asyncio.to_thread(services.refresher.looked.wait, FIRST_LOOK_S)
        ticking = asyncio.create_task(_tick(services))
        try:
            yield
        finally:
            ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticking
            await asyncio.to_thread(services.refresher.stop)
            services.close()

    return running

        services.refresh_tokens()

async def _tick(services: Services) -> None:
    """Finish old segments, and show how this worker is."""
    loop, late_s = asyncio.get_running_loop(), 0.0
    while True:
        services.journal.tick()
        look(services, late_s=late_s)
        due_s = loop.time() + TICK_S
        await asyncio.sleep(TICK_S)
        late_s = loop.time() - due_s
