"""Connections: how they are made, what their trouble means, and that a fork never shares them."""

import os
import weakref
from collections.abc import Callable
from typing import Protocol

import httpx

from bandit.client.answers import Reason
from bandit.client.lanes import Reply

LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=100, keepalive_expiry=30.0)
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Failures that leave no doubt: the service never saw the request."""
TRIES = 2
"""A kept connection may have been closed under us; the second try is the same decision."""


class Deadline(dict[str, float]):
    """What is left of a deadline, as the time-out of every phase of a request.

    httpx has a time-out for each phase (pool, connect, write, read) and none for the whole; its
    transport looks the phase's up when it begins.
    """

    def __init__(self, within_s: float, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._end_s = monotonic_s() + within_s

    @property
    def left_s(self) -> float:
        """Seconds; never less than a millisecond, because 0 would mean something else."""
        return max(self._end_s - self._monotonic_s(), 0.001)

    @property
    def over(self) -> bool:
        """Whether nothing is left."""
        return self._monotonic_s() >= self._end_s

    def get(self, _phase: str, _default: object = None) -> float:
        """What is left now."""
        return self.left_s


def headers_with(own: dict[str, str] | None, api_key: str | None) -> dict[str, str]:
    """Headers of every request.

    Raises:
        ValueError: The key can not be sent; its text is not told, for this ends up in logs.
    """
    asking = {}
    if api_key is not None:
        text = api_key.strip()  # a key out of a file ends in a newline
        if not (text.isascii() and text.isprintable() and text and " " not in text):
            raise ValueError("api_key holds what no header can, must be a key as it was shown")
        asking["authorization"] = f"Bearer {text}"
    common = {"content-type": "application/json", "user-agent": "bandit-client"}
    return {**common, **asking, **(own or {})}


def reason_of(exc: httpx.HTTPError) -> Reason:
    """What trouble with a request is called."""
    return "deadline" if isinstance(exc, httpx.TimeoutException) else "away"


def reply_of(response: httpx.Response, content: bytes) -> Reply:
    """The part of a response that matters."""
    headers = response.headers
    return Reply(
        response.status_code, content, headers.get("retry-after", ""), headers.get("date", "")
    )


class Forked(Protocol):
    """Something that must start anew in a process that was forked off."""

    def _after_fork(self) -> None: ...


_living: "weakref.WeakSet[Forked]" = weakref.WeakSet()
_hooked: list[int] = []


def renew_after_fork(client: Forked) -> None:
    """Have `client._after_fork` called in every process that is forked off while it lives."""
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked.append(os.getpid())
        os.register_at_fork(after_in_child=_renew)
    _living.add(client)


def _renew() -> None:
    for client in list(_living):
        client._after_fork()
