from bandit.journal.outages import Outages
from tests.bandit.journal.fakes import Clock


def test_each_failure_doubles_the_wait_and_success_forgets_it(clock: Clock) -> None:
    outages = Outages("it fails", clock)
    for wait_ms in (100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000):
        assert outages.is_due("a")
        outages.failed("a", OSError("no"))
        clock.advance(wait_ms - 1)
        assert not outages.is_due("a")
        clock.advance(1)
    outages.succeeded("a")
    outages.failed("a", OSError("no"))
    clock.advance(100)
    assert outages.is_due("a")


def test_each_waits_for_itself(clock: Clock) -> None:
    outages = Outages("it fails", clock)
    outages.failed("a", OSError("no"))
    assert (outages.is_due("a"), outages.is_due("b")) == (False, True)
    assert ("a" in outages, "b" in outages) == (True, False)


def test_clock_that_is_set_back_makes_nothing_wait_for_it(clock: Clock) -> None:
    outages = Outages("it fails", clock)
    outages.failed("a", OSError("no"))
    clock.advance(-3_000_000)
    assert outages.is_due("a")
