"""A service under load with something that can be broken, and a note of when it was."""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.chaos.proxy import Proxy
from tests.chaos.service import Gateway, Service


class Event(NamedTuple):
    """A fault: what, and from when to when on the machine's monotonic clock."""

    what: str
    began_s: float
    ended_s: float


class Budget(NamedTuple):
    """How much of it."""

    kills: int
    seconds: float
    """For the kills together."""
    away_s: float = 120.0
    hold_s: float = 20.0
    """How long any other fault holds."""


class Rig:
    """What faults are given."""

    def __init__(
        self,
        service: Service,
        rng: random.Random,
        budget: Budget,
        *,
        proxy: Proxy | None = None,
        gateway: Gateway | None = None,
    ) -> None:
        self.service = service
        self.rng = rng
        self.budget = budget
        self.events: list[Event] = []
        self.figures: dict[str, str] = {}
        """What only the fault itself can measure, by name."""
        self.problems: list[str] = []
        self._proxy = proxy
        self._gateway = gateway

    @property
    def proxy(self) -> Proxy:
        """Between the service and ClickHouse."""
        assert self._proxy is not None
        return self._proxy

    @property
    def gateway(self) -> Gateway:
        """Behind the proxy."""
        assert self._gateway is not None
        return self._gateway

    @contextmanager
    def during(self, what: str) -> Iterator[None]:
        """Note a fault that holds while the block runs."""
        began_s = time.monotonic()
        try:
            yield
        finally:
            self.events.append(Event(what, began_s, time.monotonic()))

    def note(self, what: str) -> None:
        """Note a fault that has just happened."""
        now_s = time.monotonic()
        self.events.append(Event(what, now_s, now_s))


@contextmanager
def embedded(
    folder: Path,
    rng: random.Random,
    budget: Budget,
    window_s: float,
    *,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Rig]:
    """`bandit up` with its own ClickHouse."""
    service = Service(folder, window_s=window_s, environ=environ)
    with started(service):
        yield Rig(service, rng, budget)


@contextmanager
def proxied(
    folder: Path,
    rng: random.Random,
    budget: Budget,
    window_s: float,
    *,
    prefix: Sequence[str] = (),
) -> Iterator[Rig]:
    """`bandit up` that reaches its ClickHouse through the proxy."""
    with ExitStack() as stack:
        gateway = stack.enter_context(Gateway(folder / "store"))
        proxy = stack.enter_context(Proxy(gateway.port, rng))
        url = gateway.url(proxy.port)
        service = Service(folder, clickhouse_url=url, prefix=prefix, window_s=window_s)
        service.past_proxy = gateway.url(gateway.port)
        stack.enter_context(started(service))
        yield Rig(service, rng, budget, proxy=proxy, gateway=gateway)


@contextmanager
def started(service: Service) -> Iterator[None]:
    """Start, declare, and end in order."""
    try:
        service.start()
        service.declare()
        yield
    finally:
        service.stop()
