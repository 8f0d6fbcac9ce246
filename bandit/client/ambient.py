"""The machine's clock and entropy: the one file of the client that reads them.

An application that imports the client has no composition root of ours around it, so these are the
defaults; tests give their own.
"""

import os
import time
from collections.abc import Callable
from typing import NamedTuple


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Ambient(NamedTuple):
    """What the client wants to know of the machine.

    Attributes:
        now_ms: Milliseconds since 1970 UTC.
        monotonic_s: A clock that never goes back.
        entropy: So many random bytes.
    """

    now_ms: Callable[[], int] = _now_ms
    monotonic_s: Callable[[], float] = time.monotonic
    entropy: Callable[[int], bytes] = os.urandom
