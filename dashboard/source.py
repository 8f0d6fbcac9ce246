"""Where pages get reports: shared between viewers for a moment, kept while the store is away."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

from bandit.errors import BanditError, StoreError
from bandit.service.reporting import ExperimentReport, Overview, SurfaceReport

Payload = TypeVar("Payload")

KEPT = 64
"""The most reports that are remembered."""


class Reporter(Protocol):
    """What pages need of `bandit.service.reporting.ReportService`."""

    def overview(self, alpha: float = 0.05) -> Overview:
        """One line about everything."""
        ...

    def experiment(self, key: str, alpha: float = 0.05) -> ExperimentReport:
        """All about an experiment."""
        ...

    def surface(self, key: str, alpha: float = 0.05) -> SurfaceReport:
        """All about a surface."""
        ...


class Fetched(NamedTuple, Generic[Payload]):
    """A report, fresh or kept, and what went wrong if it is not fresh."""

    payload: Payload | None
    problem: str = ""


class _Kept(NamedTuple):
    payload: object
    good_until_s: float


class Source:
    """Reports of one store; threads share it.

    A report is shared for `ttl_s`, and for 10 times as long as it took: what is dear is not made
    anew for every viewer and every second.
    """

    def __init__(
        self,
        connect: Callable[[], Reporter],
        *,
        monotonic_s: Callable[[], float],
        ttl_s: float = 1.0,
    ) -> None:
        self._connect = connect
        self._monotonic_s = monotonic_s
        self._ttl_s = ttl_s
        self._kept: OrderedDict[tuple[object, ...], _Kept] = OrderedDict()
        self._guard = threading.Lock()
        self._making: dict[tuple[object, ...], threading.Lock] = {}

    def overview(self, alpha: float) -> Fetched[Overview]:
        """One line about everything."""
        return self._fetch(("overview", alpha), lambda r: r.overview(alpha))

    def experiment(self, key: str, alpha: float) -> Fetched[ExperimentReport]:
        """All about an experiment."""
        return self._fetch(("experiment", key, alpha), lambda r: r.experiment(key, alpha))

    def surface(self, key: str, alpha: float) -> Fetched[SurfaceReport]:
        """All about a surface."""
        return self._fetch(("surface", key, alpha), lambda r: r.surface(key, alpha))

    def _fetch(
        self, name: tuple[object, ...], make: Callable[[Reporter], Payload]
    ) -> Fetched[Payload]:
        with self._guard:
            lock = self._making.setdefault(name, threading.Lock())
        with lock:  # one viewer makes it, the others wait for it
            kept = self._kept.get(name)
            if kept is not None and self._monotonic_s() < kept.good_until_s:
                return Fetched(kept.payload)  # type: ignore[arg-type]  # made under this name
            started_s = self._monotonic_s()
            try:
                payload = make(self._connect())
            except StoreError as exc:
                return Fetched(kept.payload if kept else None, str(exc))  # type: ignore[arg-type]
            except BanditError as exc:
                return Fetched(None, str(exc))
            now_s = self._monotonic_s()
            self._keep(name, _Kept(payload, now_s + max(self._ttl_s, 10 * (now_s - started_s))))
            return Fetched(payload)

    def _keep(self, name: tuple[object, ...], kept: _Kept) -> None:
        with self._guard:
            self._kept[name] = kept
            self._kept.move_to_end(name)
            while len(self._kept) > KEPT:
                oldest, _ = self._kept.popitem(last=False)
                self._making.pop(oldest, None)
