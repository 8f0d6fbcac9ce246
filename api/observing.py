"""What a worker tells of itself once a second, and after every answer."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request

from api.metrics import Meter
from api.services import Services

PROTOCOL = "protocol"
"""Option of a router: whose protocol its routes speak."""


def look(services: Services, *, late_s: float) -> None:
    """Show in the metrics how this worker is.

    Args:
        services: The worker's.
        late_s: How much later than wanted the event loop came here.
    """
    meter, journal, refresher = services.meter, services.journal, services.refresher
    meter.serving(
        services.serving.state,
        store_reached=refresher.freshness.error is None,
        refused=refresher.refused,
    )
    meter.journaled(journal.appended, journal.appended_bytes)
    meter.journal_pressure.set(journal.pressure)
    meter.keep_share.set(journal.keep_share)
    meter.worker(late_s=late_s, shadows_failed=services.deciding.shadows_failed)


def counter_of(meter: Meter) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """What Litestar is to call after an answer that is no problem.

    Args:
        meter: Counts it.
    """

    async def count(request: Request[Any, Any, Any]) -> None:
        handler = request.route_handler
        operation = handler.handler_name.rpartition(".")[2]
        meter.answered.labels(handler.opt.get(PROTOCOL, "bandit"), operation).inc()

    return count
