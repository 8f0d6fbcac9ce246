"""Waiting for what another process does."""

import time
from collections.abc import Callable


def until(condition: Callable[[], object], what: str, within_s: float = 30.0) -> None:
    """Return as soon as a condition holds; fail and say which if it does not."""
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, f"{what} did not come true within {within_s:g} s"
        time.sleep(0.01)
