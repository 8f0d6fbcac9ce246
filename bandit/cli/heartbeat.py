"""How a child tells its supervisor that it is ready, and that it still moves.

The supervisor hands down one end of a pipe and names it in the environment. The first line says
"ready", each further one "alive"; a child that says nothing for too long hangs, and is killed.
"""

import os
from collections.abc import Mapping
from contextlib import suppress

HEARTBEAT_FD = "HEARTBEAT_FD"
"""Names the pipe. (No `BANDIT_` name: it is no setting.)"""
ORDERS_FD = "ORDERS_FD"
"""Names another one the other way, for a child that stands by until it is needed."""


class Heartbeat:
    """The child's end; where nobody supervises, it says nothing to nobody."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Find the pipe.

        Args:
            environ: The process environment.
        """
        given = environ.get(HEARTBEAT_FD)
        self._fd = int(given) if given else None
        if self._fd is not None:
            os.set_blocking(self._fd, False)

    def beat(self) -> None:
        """Say that this process moves; it waits for nothing and raises nothing."""
        if self._fd is not None:
            with suppress(OSError):  # nobody listens, or nobody has read for long
                os.write(self._fd, b"\n")
