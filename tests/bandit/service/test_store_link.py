"""The link to a store that may be away."""

import pytest

from bandit.errors import StoreUnavailable
from bandit.service.store_link import PAUSE_S, StoreLink


class Connecting:
    def __init__(self) -> None:
        self.tries = 0
        self.closed = 0
        self.away = True

    def __call__(self) -> "Connecting":
        self.tries += 1
        if self.away:
            raise StoreUnavailable("connection refused")
        return self

    def close(self) -> None:
        self.closed += 1


def test_link_connects_when_first_asked_and_keeps_the_connection() -> None:
    connecting, now_s = Connecting(), [0.0]
    link = StoreLink(connecting, monotonic_s=lambda: now_s[0])  # type: ignore[arg-type]
    assert connecting.tries == 0
    for _ in range(2):  # a refusal stands for a moment
        with pytest.raises(StoreUnavailable, match="refused"):
            link.store()
    assert connecting.tries == 1
    connecting.away, now_s[0] = False, PAUSE_S
    assert link.store() is link.store()
    assert connecting.tries == 2
    link.close()
    link.close()
    assert connecting.closed == 1
