import socket
import sys
from collections import Counter

import click
import pytest

from bandit.cli.listeners import Listeners


def calls_by_queue(listeners: Listeners, n: int) -> dict[int, int]:
    """Connect so often, and see in which queue each waits."""
    callers = [socket.create_connection(("127.0.0.1", listeners.port)) for _ in range(n)]
    found: Counter[int] = Counter()
    for queue, fd in enumerate(listeners.fds):
        with socket.socket(fileno=fd) as listening:
            listening.setblocking(False)
            while True:
                try:
                    listening.accept()[0].close()
                except BlockingIOError:
                    break
                found[queue] += 1
            listening.detach()
    for caller in callers:
        caller.close()
    return dict(found)


@pytest.mark.skipif(sys.platform != "linux", reason="the packet filter is Linux's")
def test_connections_wait_where_they_are_steered_to_evenly() -> None:
    listeners = Listeners("127.0.0.1", 0, 3)
    try:
        listeners.steer([0, 2])
        found = calls_by_queue(listeners, 200)
        assert set(found) == {0, 2}
        assert found[0] + found[2] == 200
        assert abs(found[0] - 100) <= 4.4 * 200**0.5 / 2, "further from half than a fair coin goes"
        listeners.steer([1])
        assert calls_by_queue(listeners, 50) == {1: 50}
        listeners.steer([])
        assert calls_by_queue(listeners, 50) == {1: 50}, "nobody is ready: they wait where they did"
    finally:
        listeners.close()


def test_an_address_that_somebody_listens_on_is_refused() -> None:
    listeners = Listeners("127.0.0.1", 0, 2)
    try:
        with pytest.raises(click.UsageError, match="can't be listened on"):
            Listeners("127.0.0.1", listeners.port, 1)
    finally:
        listeners.close()
