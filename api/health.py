"""Whether a worker lives, and whether it can serve."""

import os

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from api.services import Services


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker is.

    Nobody is asked for a key here, so where keys are asked for it names nothing that is declared
    and nothing of the network.

    Attributes:
        ready: It can rank: definitions are loaded, and keys where they are asked for.
        writer: What it is called in the log.
        store: `reached`, or why the last look at ClickHouse failed; serving goes on without it.
        disk: `ok`, `warn`, `optional` or `full`: what the journal may still write. Serving goes on
            without it, too, but is not logged.
        snapshots: What serves, by policy.
        refused_snapshots: What failed its checks and does not serve, by policy.
        shadows_failed: Shadow policies that gave no distribution, since the start.
    """

    ready: bool
    writer: str
    pid: int
    revision: int | None
    store: str
    disk: str
    snapshots: dict[str, int]
    refused_snapshots: dict[str, int]
    shadows_failed: int


@get("/health/live", sync_to_thread=False)
def live() -> dict[str, str]:
    """Answer at all."""
    return {"status": "live"}


@get("/health/ready", sync_to_thread=False, opt={"statuses": (200, 503)})
def ready(services: NamedDependency[Services]) -> Response[Health]:
    """200 when this worker can serve, else 503; ClickHouse being away does not matter."""
    state, freshness = services.serving.state, services.refresher.freshness
    may_name = services.ring is None
    error = freshness.error if may_name or freshness.error is None else "away"
    health = Health(
        ready=state.revision is not None and (services.ring is None or services.ring.is_known),
        writer=services.journal.writer,
        pid=os.getpid(),
        revision=state.revision,
        store=error or ("reached" if freshness.reached_s is not None else "not asked yet"),
        disk=services.journal.pressure.name.lower(),
        snapshots={k: policy.snapshot for k, policy in state.policies.items()} if may_name else {},
        refused_snapshots=dict(services.refresher.refused) if may_name else {},
        shadows_failed=services.deciding.shadows_failed,
    )
    return Response(health, status_code=200 if health.ready else 503)
