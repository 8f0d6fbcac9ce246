from bandit.client.breaker import Breaker
from tests.bandit.client.serving import Clock


def breaker(clock: Clock) -> Breaker:
    return Breaker(failures=3, pause_s=2.0, monotonic_s=lambda: clock.s)


def test_breaker_opens_after_failures_in_a_row_only() -> None:
    one = breaker(Clock())
    for _ in range(2):
        one.failed()
        one.failed()
        one.succeeded()
    assert one.allows()
    for _ in range(3):
        one.failed()
    assert not one.allows()


def test_open_breaker_lets_one_probe_through_per_pause() -> None:
    clock = Clock()
    one = breaker(clock)
    for _ in range(3):
        one.failed()
    clock.s = 2.0
    assert [one.allows() for _ in range(3)] == [True, False, False]
    one.failed()
    clock.s = 3.9
    assert not one.allows()
    clock.s = 4.0
    assert one.allows()
    one.succeeded()
    assert [one.allows() for _ in range(3)] == [True] * 3


def test_probe_that_never_reports_is_forgotten_after_a_pause() -> None:
    clock = Clock()
    one = breaker(clock)
    for _ in range(3):
        one.failed()
    clock.s = 2.0
    assert one.allows()
    clock.s = 4.0
    assert one.allows()
