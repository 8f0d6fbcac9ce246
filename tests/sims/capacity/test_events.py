"""The engine against queueing theory: waits of M/M/c and M/G/1 are known exactly."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from sims.capacity.events import Clock, Station

JOBS_N = 40_000


def mean_wait(
    servers: int, rate: float, work_s: Callable[[np.random.Generator], float], seed: int = 3
) -> float:
    """Mean time that jobs of a Poisson stream wait before they are served."""
    clock, rng = Clock(), np.random.default_rng(seed)
    station = Station(clock, servers)
    waits: list[float] = []

    def arrive() -> None:
        began_s, own_s = clock.now_s, work_s(rng)
        station.enter(own_s, lambda: waits.append(clock.now_s - began_s - own_s))
        clock.after(float(rng.exponential(1.0 / rate)), arrive)

    arrive()
    clock.run(JOBS_N / rate)
    return float(np.mean(waits))


def erlang_c(servers: int, offered: float) -> float:
    """Probability that a job waits. Source: Erlang (1917), M/M/c."""
    terms = [offered**n / math.factorial(n) for n in range(servers)]
    last = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return last / (math.fsum(terms) + last)


@pytest.mark.parametrize(("servers", "busy"), [(1, 0.5), (1, 0.8), (4, 0.7)])
def test_waits_of_exponential_jobs_are_erlangs(servers: int, busy: float) -> None:
    rate = servers * busy  # jobs take 1 s on average
    expected = erlang_c(servers, rate) / (servers - rate)
    assert mean_wait(servers, rate, lambda rng: float(rng.exponential())) == pytest.approx(
        expected, rel=0.12
    )


@pytest.mark.parametrize("spread", [0.0, 1.5])
def test_waits_of_any_jobs_are_pollaczek_and_khinchines(spread: float) -> None:
    """λ·E[S²] ÷ 2(1 − ρ). Source: Khinchine (1932)."""
    rate, times = 0.6, [1.0 - spread / 2, 1.0 + spread / 2]
    expected = rate * np.mean(np.square(times)) / (2.0 * (1.0 - rate))
    assert mean_wait(1, rate, lambda rng: times[int(rng.integers(2))]) == pytest.approx(
        expected, rel=0.1
    )


def test_busy_time_is_what_was_worked() -> None:
    clock = Clock()
    station, done = Station(clock, 2), []
    for work_s in (1.0, 2.0, 3.0):
        station.enter(work_s, lambda: done.append(clock.now_s))
    assert station.waiting_n == 1
    clock.run(10.0)
    assert done == [1.0, 2.0, 4.0]  # the third begins when the first ends
    assert station.utilisation(10.0) == pytest.approx(6.0 / 20.0)
    assert station.done_n == 3


def test_events_of_one_moment_come_in_the_order_in_which_they_were_planned() -> None:
    clock, seen = Clock(), []
    for number in range(5):
        clock.after(1.0, lambda number=number: seen.append(number))
    clock.run(0.5)
    assert seen == []
    clock.run(1.0)
    assert seen == [0, 1, 2, 3, 4]
