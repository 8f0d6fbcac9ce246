"""Waiting for a condition, with an end."""

from collections.abc import Callable
from typing import TypeVar

import httpx

from bandit.errors import StoreUnavailable

T = TypeVar("T")
PAUSE_S = 0.1


class Stuck(RuntimeError):
    """Something did not come about in time."""


class Waiting:
    """Asks until there is an answer.

    Args:
        monotonic_s: A clock.
        sleep: Lets some seconds go by.
    """

    def __init__(self, *, monotonic_s: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._monotonic_s = monotonic_s
        self._sleep = sleep

    def until(
        self, what: str, patience_s: float, ask: Callable[[], T | None], *, pause_s: float = PAUSE_S
    ) -> T:
        """Ask until the answer is not None; who can not be reached is asked again.

        Args:
            what: Is waited for.
            patience_s: How long to go on.
            ask: None means not yet.
            pause_s: Between two questions; more of those that cost the answerer something.

        Raises:
            Stuck: Not within `patience_s`.
        """
        give_up_s = self._monotonic_s() + patience_s
        while True:
            trouble = "not yet so"
            try:
                answer = ask()
            except (StoreUnavailable, httpx.TransportError) as exc:
                answer, trouble = None, str(exc)
            if answer is not None:
                return answer
            if self._monotonic_s() >= give_up_s:
                raise Stuck(f"{what}: {trouble} after {patience_s:g} s")
            self._sleep(pause_s)
