"""Ends process groups when whoever started them is gone, however it went.

It runs on its own (`python -I -S guard.py GRACE_S`), reads `+<group>` and `-<group>` from its
input, and acts when that ends: a kill -9 of the supervisor closes the pipe like any other end.
"""

import os
import signal
import sys
import time
from collections.abc import Callable


def main() -> None:
    """Remember groups until the input ends, then end them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        change = groups.add if line.startswith("+") else groups.discard
        change(int(line[1:]))
    end(groups, grace_s=float(sys.argv[1]))


def end(groups: set[int], grace_s: float) -> None:
    """Ask the leaders of groups to end; kill what they leave, and all that is left after a while.

    While a group has members nobody else can have its number, as a process or as a group.
    """
    groups = set(filter(_has_members, groups))
    for group in groups:
        _signal(os.kill, group, signal.SIGTERM)
    end_s = time.monotonic() + grace_s
    while groups:
        for group in groups:
            if time.monotonic() >= end_s or not _signal(os.kill, group, 0):
                _signal(os.killpg, group, signal.SIGKILL)
        time.sleep(0.05)
        groups = set(filter(_has_members, groups)) if time.monotonic() < end_s + 1.0 else set()


def _has_members(group: int) -> bool:
    return _signal(os.killpg, group, 0)


def _signal(send: Callable[[int, int], None], target: int, number: int) -> bool:
    """Whether there was somebody to get it."""
    try:
        send(target, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    main()
