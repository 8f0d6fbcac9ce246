from pathlib import Path

import pytest

from bandit.journal.clock import NAME, HostClock
from tests.bandit.journal.fakes import FakeSink, make_drain

T0_NS = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


class Machine:
    """A wall clock that can be set, and one that can not."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.wall_ns = T0_NS
        self.monotonic_ns = 5 * SECOND

    def process(self) -> HostClock:
        return HostClock(
            self.root, wall_ns=lambda: self.wall_ns, monotonic_ns=lambda: self.monotonic_ns
        )

    def wait(self, seconds: float) -> None:
        self.wall_ns += round(seconds * SECOND)
        self.monotonic_ns += round(seconds * SECOND)

    def step(self, seconds: float) -> None:
        self.wall_ns += round(seconds * SECOND)

    def ahead_s(self, clock: HostClock) -> float:
        return clock.now_ms() / 1000 - self.wall_ns / SECOND


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_it_tells_the_wall_clocks_time_and_follows_it_forwards_at_once(machine: Machine) -> None:
    clock = machine.process()
    for wait_s, step_s in ((0.0, 0.0), (0.001, 0.0), (3.0, 0.0), (0.0, 3000.0), (0.001, 86_400.0)):
        machine.wait(wait_s)
        machine.step(step_s)
        assert machine.ahead_s(clock) == pytest.approx(0.0, abs=0.002)


def test_it_does_not_go_back_but_slower_until_the_wall_clock_has_caught_up(
    machine: Machine,
) -> None:
    clock = machine.process()
    before_ms = clock.now_ms()
    machine.step(-30.0)
    assert clock.now_ms() == before_ms
    machine.wait(100.0)
    assert clock.now_ms() == before_ms + 90_000
    machine.wait(199.0)
    assert machine.ahead_s(clock) == pytest.approx(0.1)
    machine.wait(2.0)
    assert machine.ahead_s(clock) == pytest.approx(0.0, abs=0.002)


def test_asking_often_does_not_slow_it_down(machine: Machine) -> None:
    clock = machine.process()
    before_ms = clock.now_ms()
    machine.step(-30.0)
    for _ in range(100_000):
        machine.wait(0.000_01)
        clock.now_ms()
    assert clock.now_ms() == pytest.approx(before_ms + 900, abs=2)


def test_a_process_that_starts_after_the_step_tells_the_hosts_time(machine: Machine) -> None:
    clock = machine.process()
    before_ms = clock.now_ms()
    machine.step(-300.0)
    clock.close()
    machine.wait(1.0)  # in which nobody looked: time stood still
    assert machine.process().now_ms() == before_ms


def test_a_process_learns_what_another_told_while_it_slept(machine: Machine) -> None:
    sleeper, waker = machine.process(), machine.process()
    machine.step(3000.0)
    told_ms = waker.now_ms()
    machine.wait(0.03)
    machine.step(-3000.0)
    assert sleeper.now_ms() >= told_ms
    machine.wait(0.03)
    assert abs(sleeper.now_ms() - waker.now_ms()) <= 50


def test_it_follows_a_wall_clock_that_was_wrong_by_more_than_an_hour(machine: Machine) -> None:
    clock, other = machine.process(), machine.process()
    machine.step(30 * 86_400.0)
    assert machine.ahead_s(clock) == pytest.approx(0.0, abs=0.002)
    machine.step(-30 * 86_400.0)
    for each in (clock, other, machine.process()):
        machine.wait(0.03)
        assert machine.ahead_s(each) == pytest.approx(0.0, abs=0.002)


def test_without_its_file_each_process_goes_by_what_it_knows(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "no-folder")
    clock = machine.process()
    before_ms = clock.now_ms()
    machine.step(-30.0)
    assert clock.now_ms() == before_ms
    assert machine.process().now_ms() == before_ms - 30_000


@pytest.mark.parametrize("rubbish", [b"", b"\xff", b"\xff" * 8, b"\x7f" * 8, b"x" * 100])
def test_rubbish_in_the_file_is_written_over(machine: Machine, rubbish: bytes) -> None:
    path = machine.root / NAME
    path.write_bytes(rubbish)
    assert machine.ahead_s(machine.process()) == pytest.approx(0.0, abs=0.002)
    assert int.from_bytes(path.read_bytes()[:8], "little") == machine.wall_ns


def test_nothing_is_accepted_at_a_time_of_which_the_drain_said_that_all_is_delivered(
    machine: Machine,
) -> None:
    # A clock that was set back cost the learner 6 of 76 lessons: they came "late".
    sink, drained_by, accepted_by = FakeSink(), machine.process(), machine.process()
    drain = make_drain(machine.root, sink, drained_by.now_ms)
    for step_s in (300.0, -300.0, -2.0, 3000.0, -3000.0):
        machine.step(step_s)
        machine.wait(1.0)
        drain.step()
        promised_ms = max(each.drained_through_ms for each in sink.reports)
        assert min(accepted_by.now_ms(), machine.process().now_ms()) > promised_ms
    drain.close()
