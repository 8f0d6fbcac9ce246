import pytest

from bandit.journal.base import Progress
from bandit.store.client import Store
from bandit.store.drained import Drained, Drains
from bandit.store.sink import ClickHouseSink

T0 = 1_767_225_600_000
MINUTE = 60_000
DAY = 86_400_000


class Hosts:
    """What drains report, and what a reader makes of it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.drains = Drains(store)

    def report(self, host: str, through_ms: int, at_ms: int, *, done: bool = False) -> None:
        sink = ClickHouseSink(self.store, now_ms=lambda: at_ms)
        sink.report(Progress(host, through_ms, 0, 0, done=done))

    def through(self, now_ms: int) -> Drained:
        return self.drains.through(now_ms)


@pytest.fixture
def hosts(store: Store) -> Hosts:
    return Hosts(store)


def test_it_is_the_slowest_host_that_reported_lately(hosts: Hosts) -> None:
    assert hosts.through(T0) == Drained(None, 0, 0)
    hosts.report("h1", T0 - 50, T0)
    hosts.report("h2", T0 - 90, T0)
    hosts.report("h2", T0 - 70, T0 + 10)
    assert hosts.through(T0 + 20) == Drained(T0 - 70, 2, 0)
    hosts.report("h1", T0 + 300_000, T0 + 300_005)
    assert hosts.through(T0 + 300_011) == Drained(T0 + 300_000, 2, 1)
    assert hosts.through(T0 + 900_000) == Drained(None, 2, 2)
    patient = Drains(hosts.store, silent_after_ms=900_000)
    assert patient.through(T0 + 900_000) == Drained(T0 - 70, 2, 0)


def test_a_host_that_was_shut_down_holds_nobody_up(hosts: Hosts) -> None:
    hosts.report("h1", T0, T0)
    hosts.report("h2", T0 - 90, T0)
    hosts.report("h2", T0 - 80, T0, done=True)
    assert hosts.through(T0 + 5) == Drained(T0, 1, 0)
    hosts.report("h1", T0 + 10, T0 + 10, done=True)
    assert hosts.through(T0 + 20) == Drained(T0 + 10, 0, 0)
    hosts.report("h2", T0 + 3, T0 + 30)
    assert hosts.through(T0 + 40) == Drained(T0 + 3, 1, 0)


def test_a_host_that_reports_and_does_not_move_holds_nobody_up_for_ever(hosts: Hosts) -> None:
    for minute in range(17):
        now_ms = T0 + minute * MINUTE
        hosts.report("h1", now_ms, now_ms)
        hosts.report("stuck", T0, now_ms)
        expected = Drained(T0, 2, 0) if minute <= 15 else Drained(now_ms, 2, 1)
        assert hosts.through(now_ms) == expected
    hosts.report("stuck", T0 + 1, T0 + 17 * MINUTE)
    assert hosts.through(T0 + 17 * MINUTE) == Drained(T0 + 1, 2, 0), "it moves again"


def test_if_nobody_moves_everybody_is_waited_for(hosts: Hosts) -> None:
    for minute in range(0, 60, 4):
        now_ms = T0 + minute * MINUTE
        hosts.report("h1", T0, now_ms)
        hosts.report("h2", T0 + 5, now_ms)
        assert hosts.through(now_ms) == Drained(T0, 2, 0)


def test_a_host_that_has_been_silent_for_a_day_is_not_counted_any_more(hosts: Hosts) -> None:
    hosts.report("container-1", T0, T0)
    hosts.report("h1", T0 + DAY, T0 + DAY)
    assert hosts.through(T0 + DAY) == Drained(T0 + DAY, 2, 1)
    assert hosts.through(T0 + DAY + 1) == Drained(T0 + DAY, 1, 0)
    hosts.report("h1", T0 + DAY, T0 + DAY, done=True)
    assert hosts.through(T0 + DAY + 1) == Drained(T0 + DAY, 0, 0)
    hosts.report("container-1", T0 + 7, T0 + 2 * DAY)
    assert hosts.through(T0 + 2 * DAY) == Drained(T0 + 7, 1, 0), "it came back"
