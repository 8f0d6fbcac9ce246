import threading

import pytest

from bandit.cli.supervisor import Child, Supervisor
from tests.until import until


class Clock:
    s = 1_000.0

    def __call__(self) -> float:
        return self.s


class FakeProcess:
    def __init__(self, name: str, pid: int, *, obeys: bool) -> None:
        self.name = name
        self.pid = pid
        self.obeys = obeys
        self.code: int | None = None
        self.asked: list[str] = []

    def ended(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.asked.append("terminate")
        if self.obeys:
            self.code = 0

    def kill(self) -> None:
        self.asked.append("kill")
        self.code = -9


class Machine:
    """Starts fake processes under a supervisor and remembers all of them."""

    def __init__(self, *names: str) -> None:
        self.clock = Clock()
        self.started: list[FakeProcess] = []
        self.lines: list[str] = []
        self.broken: set[str] = set()
        self.deaf: set[str] = set()
        self.supervisor = Supervisor(
            [Child(name, (name,), {}) for name in names],
            spawn=self.spawn,
            monotonic_s=self.clock,
            tell=self.lines.append,
            grace_s=10.0,
        )

    def spawn(self, child: Child) -> FakeProcess:
        if child.name in self.broken:
            raise FileNotFoundError(child.argv[0])
        pid = len(self.started) + 1
        self.started.append(FakeProcess(child.name, pid, obeys=child.name not in self.deaf))
        return self.started[-1]

    def step(self, after_s: float = 0.0) -> None:
        self.clock.s += after_s
        self.supervisor.step()

    def names(self) -> list[str]:
        return [process.name for process in self.started]


@pytest.fixture
def machine() -> Machine:
    return Machine("gateway", "drain", "api")


def test_children_start_in_order(machine: Machine) -> None:
    machine.step()
    machine.step(100.0)
    assert machine.names() == ["gateway", "drain", "api"]
    assert machine.supervisor.pids == {"gateway": 1, "drain": 2, "api": 3}


def test_one_that_dies_is_started_again_and_the_others_are_left_alone(machine: Machine) -> None:
    machine.step()
    machine.started[1].code = -9
    machine.step()
    assert machine.supervisor.pids == {"gateway": 1, "api": 3}
    machine.step(0.19)
    assert len(machine.started) == 3
    machine.step(0.02)
    assert machine.supervisor.pids == {"gateway": 1, "drain": 4, "api": 3}
    assert machine.lines == ["drain (pid 2) was ended by signal 9, again in 0.2 s"]


def test_the_wait_doubles_up_to_five_seconds_and_health_resets_it() -> None:
    machine = Machine("api")
    machine.step()
    for _ in range(7):
        machine.started[-1].code = 1
        machine.step()
        machine.step(5.0)
    machine.step(10.0)
    machine.started[-1].code = 1
    machine.step()
    waits = [line.split(" again in ")[1] for line in machine.lines]
    assert waits == ["0.2 s", "0.4 s", "0.8 s", "1.6 s", "3.2 s", "5 s", "5 s", "0.2 s"]


def test_one_that_can_not_be_started_is_tried_again(machine: Machine) -> None:
    machine.broken = {"drain"}
    machine.step()
    assert machine.names() == ["gateway", "api"]
    machine.broken = set()
    machine.step(0.2)
    assert machine.names() == ["gateway", "api", "drain"]
    assert machine.lines == ["drain could not be started: drain, again in 0.2 s"]


def test_children_can_be_added_later(machine: Machine) -> None:
    machine.step()
    machine.supervisor.add(Child("learn", ("learn",), {}))
    machine.step()
    assert machine.names()[-1] == "learn"


def test_stopping_goes_backwards_and_waits_for_each(machine: Machine) -> None:
    machine.deaf = {"drain"}
    machine.step()
    gateway, drain, api = machine.started
    machine.supervisor.stop()
    for _ in range(5):
        machine.step(1.0)
    assert (api.asked, drain.asked, gateway.asked) == (["terminate"], ["terminate"], [])
    drain.code = 0
    for _ in range(3):
        machine.step(1.0)
    assert gateway.asked == ["terminate"]
    assert machine.supervisor.is_over
    assert machine.lines == []


def test_whoever_does_not_end_in_time_is_killed_once() -> None:
    machine = Machine("api")
    machine.deaf = {"api"}
    machine.step()
    (api,) = machine.started
    machine.supervisor.stop()
    machine.step()
    machine.step(9.9)
    assert api.asked == ["terminate"]
    machine.step(0.1)
    assert api.asked == ["terminate", "kill"]
    api.code = None  # it takes a moment
    machine.step(0.1)
    assert api.asked == ["terminate", "kill"]
    assert not machine.supervisor.is_over
    api.code = -9
    machine.step(0.1)
    assert machine.supervisor.is_over
    assert machine.lines == ["api did not end within 10 s: killed"]


def test_a_second_request_to_stop_waits_for_nobody(machine: Machine) -> None:
    machine.deaf = {"gateway", "drain", "api"}
    machine.step()
    machine.supervisor.stop()
    machine.step()
    machine.supervisor.stop()
    for _ in range(9):
        machine.step()
    assert [process.code for process in machine.started] == [-9, -9, -9]


def test_nothing_is_started_again_while_stopping(machine: Machine) -> None:
    machine.step()
    machine.started[0].code = 1
    machine.supervisor.stop()
    for _ in range(9):
        machine.step(10.0)
    assert len(machine.started) == 3
    assert machine.supervisor.is_over


def test_it_runs_in_a_thread_until_the_block_ends(machine: Machine) -> None:
    with machine.supervisor.running() as supervisor:
        until(lambda: len(supervisor.pids) == 3, "the start of all children")
        assert "supervisor" in [thread.name for thread in threading.enumerate()]
    assert [process.code for process in machine.started] == [0, 0, 0]
    assert "supervisor" not in [thread.name for thread in threading.enumerate()]


def test_an_error_in_the_block_ends_the_children_too(machine: Machine) -> None:
    def fail() -> None:
        with machine.supervisor.running() as supervisor:
            until(lambda: len(supervisor.pids) == 3, "the start of all children")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert machine.supervisor.is_over
