import threading

import pytest

from bandit.cli.child import Child, Pulse
from bandit.cli.supervisor import Supervisor
from tests.until import until


class Clock:
    s = 1_000.0

    def __call__(self) -> float:
        return self.s


class FakeProcess:
    def __init__(self, name: str, pid: int, *, obeys: bool = True) -> None:
        self.name = name
        self.pid = pid
        self.obeys = obeys
        self.code: int | None = None
        self.asked: list[str] = []
        self.said = False
        self.orders: list[str] = []

    def order(self, line: str) -> None:
        self.orders.append(line)

    def heard(self) -> bool:
        said, self.said = self.said, False
        return said

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

    def __init__(self, *names: str, pulse: Pulse | None = None) -> None:
        self.clock = Clock()
        self.ready: list[set[str]] = []
        self.started: list[FakeProcess] = []
        self.lines: list[str] = []
        self.broken: set[str] = set()
        self.deaf: set[str] = set()
        self.supervisor = Supervisor(
            [
                Child(name, (name,), {}, pulse=pulse, is_spare="spare" in name, order=f"be {name}")
                for name in names
            ],
            spawn=self.spawn,
            monotonic_s=self.clock,
            tell=self.lines.append,
            grace_s=10.0,
            changed=lambda names: self.ready.append(set(names)),
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

    def say(self, *pids: int) -> None:
        for pid in pids:
            self.started[pid - 1].said = True
        self.step()

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


PULSE = Pulse(first_s=60.0, then_s=10.0)


@pytest.fixture
def workers() -> Machine:
    machine = Machine("drain-1", "api-1", "api-2", pulse=PULSE)
    machine.step()
    machine.say(1, 2, 3)
    return machine


def test_two_deaths_in_two_seconds_are_two_restarts() -> None:
    machine = Machine("api-1", "api-2")
    machine.step()
    for _ in range(2):
        machine.started[-1].code = -9
        machine.step(0.5)
        machine.step(0.5)
    assert machine.supervisor.pids == {"api-1": 1, "api-2": 4}


def test_who_is_ready_is_told_when_it_changes() -> None:
    machine = Machine("api-1", "api-2", pulse=PULSE)
    machine.step()
    machine.say(1)
    machine.say(2)
    machine.say(1, 2)
    machine.started[0].code = -9
    machine.step()
    machine.step(0.2)
    machine.step()
    machine.say(3)
    assert machine.ready == [{"api-1"}, {"api-1", "api-2"}, {"api-2"}, {"api-1", "api-2"}]


def test_one_that_hangs_is_killed_and_started_again(workers: Machine) -> None:
    workers.step(9.0)
    workers.say(1, 3)
    workers.step(1.5)
    assert [process.asked for process in workers.started] == [[], ["kill"], []]
    assert workers.lines == ["api-1 (pid 2) said nothing for 10 s: killed"]
    assert workers.ready[-1] == {"drain-1", "api-2"}
    workers.step()
    workers.step(0.2)
    assert workers.supervisor.pids == {"drain-1": 1, "api-1": 4, "api-2": 3}


def test_one_that_never_becomes_ready_is_killed() -> None:
    machine = Machine("api-1", pulse=PULSE)
    machine.step()
    machine.step(59.0)
    assert machine.started[0].asked == []
    machine.step(1.0)
    assert machine.lines == ["api-1 (pid 1) was not ready for 60 s: killed"]


def test_a_rolling_restart_takes_one_after_the_other_each_when_its_successor_is_ready(
    workers: Machine,
) -> None:
    workers.supervisor.roll("api")
    workers.step()
    assert workers.names()[3:] == ["api-1"]
    workers.step(5.0)
    assert workers.started[1].asked == [], "the successor is not ready yet"
    workers.say(1, 3, 4)
    assert workers.started[1].asked == ["terminate"]
    assert workers.supervisor.pids == {"drain-1": 1, "api-1": 4, "api-2": 3}
    workers.step()
    workers.step()
    assert workers.names()[4:] == ["api-2"]
    workers.say(5)
    for _ in range(3):
        workers.step()
    assert workers.supervisor.pids == {"drain-1": 1, "api-1": 4, "api-2": 5}
    assert not workers.supervisor.is_rolling
    assert workers.lines == [
        "api: rolling restart",
        "api-1 was restarted (pid 4)",
        "api-2 was restarted (pid 5)",
    ]
    assert workers.ready == [{"drain-1", "api-1", "api-2"}], "never one less"


def test_a_successor_that_fails_ends_the_rolling_restart(workers: Machine) -> None:
    workers.supervisor.roll("api")
    workers.step()
    workers.started[3].code = 1
    workers.step()
    workers.step(0.5)
    assert workers.supervisor.pids == {"drain-1": 1, "api-1": 2, "api-2": 3}
    assert workers.lines[-1] == (
        "api-1: the new one ended with 1 before it was ready; the rolling restart is given up"
    )
    assert not workers.supervisor.is_rolling


def test_a_successor_takes_over_from_one_that_died_meanwhile(workers: Machine) -> None:
    workers.supervisor.roll("api")
    workers.step()
    workers.started[1].code = -9
    workers.step()
    workers.step(0.5)
    assert workers.names().count("api-1") == 2, "the successor is on its way"
    workers.say(4)
    workers.step()
    assert workers.supervisor.pids["api-1"] == 4


def test_who_does_not_leave_in_a_rolling_restart_is_killed(workers: Machine) -> None:
    workers.started[1].obeys = False
    workers.supervisor.roll("api")
    workers.step()
    workers.say(4)
    workers.step()
    workers.say(1, 3, 4)
    workers.step(9.9)
    workers.say(1, 3, 4)
    workers.step(0.1)
    assert workers.started[1].asked == ["terminate", "kill"]


def test_stopping_in_the_middle_of_a_rolling_restart_leaves_nobody(workers: Machine) -> None:
    workers.supervisor.roll("api")
    workers.step()
    workers.supervisor.stop()
    for _ in range(4):
        workers.step()
    assert workers.supervisor.is_over
    assert [process.code for process in workers.started] == [0, 0, 0, 0]


def test_those_of_one_kind_are_ended_together(workers: Machine) -> None:
    for process in workers.started:
        process.obeys = False
    workers.supervisor.stop()
    workers.step()
    assert [process.asked for process in workers.started] == [[], ["terminate"], ["terminate"]]


@pytest.fixture
def spared() -> Machine:
    machine = Machine("api-1", "api-2", "api-spare1", pulse=PULSE)
    machine.step()
    assert machine.names() == ["api-1", "api-2"], "who is needed comes first"
    machine.say(1, 2)
    machine.step()
    machine.say(3)
    return machine


def test_a_spare_one_takes_the_place_of_one_that_died_at_once(spared: Machine) -> None:
    spared.started[1].code = -9
    spared.step()
    assert spared.started[2].orders == ["be api-2"]
    assert spared.supervisor.pids["api-2"] == 3
    assert spared.supervisor.ready == {"api-1", "api-2"}
    assert spared.lines == [
        "api-2 (pid 2) was ended by signal 9, and the spare one is in its place"
    ]
    spared.step()
    assert spared.names() == ["api-1", "api-2", "api-spare1", "api-spare1"], "there is another"


def test_a_spare_one_that_died_or_is_not_ready_takes_nobody_s_place(spared: Machine) -> None:
    spared.started[2].code = -9
    spared.started[1].code = -9
    spared.step()
    spared.step()
    assert spared.names()[3:] == ["api-2"]
    spared.say(4)
    spared.step()
    spared.started[0].code = -9
    spared.step()
    spared.step()
    assert spared.names()[4:] == ["api-spare1", "api-1"]
    assert [process.orders for process in spared.started[4:]] == [[], []]


def test_whoever_is_ready_first_takes_the_place_and_the_other_is_the_spare_one(
    spared: Machine,
) -> None:
    spared.started[0].code = -9
    spared.step()
    spared.started[1].code = -9  # while the next spare one is on its way
    spared.step()
    spared.step()
    assert spared.names()[3:] == ["api-spare1", "api-2"]
    spared.say(4)
    assert spared.supervisor.pids == {"api-1": 3, "api-2": 4, "api-spare1": 5}
    assert spared.lines[-1] == "api-2: the spare one is in its place"
    spared.say(5)
    assert [process.orders for process in spared.started[2:]] == [["be api-1"], ["be api-2"], []]


def test_one_that_is_ready_is_told_who_it_is_once(spared: Machine) -> None:
    spared.say(1, 2, 3)
    assert [each.orders for each in spared.started] == [["be api-1"], ["be api-2"], []]


def test_whoever_is_killed_while_it_works_is_started_again_at_once_however_often() -> None:
    machine = Machine("learn", pulse=PULSE)
    for pid in range(1, 8):
        machine.step()
        machine.say(pid)
        machine.started[-1].code = -9
        machine.step()
    assert machine.lines[-1] == "learn (pid 7) was ended by signal 9, again at once"


def test_whoever_is_killed_while_it_starts_has_to_wait() -> None:
    machine = Machine("learn", pulse=PULSE)
    machine.step()
    machine.started[0].code = -9
    machine.step()
    assert machine.lines == ["learn (pid 1) was ended by signal 9, again in 0.2 s"]


def test_one_that_hangs_does_not_become_the_spare_one(spared: Machine) -> None:
    spared.step(9.0)
    spared.say(2, 3)
    spared.started[0].obeys = False
    spared.step(1.5)
    assert spared.lines[-1] == "api-1 (pid 1) said nothing for 10 s: killed"
    spared.step()
    assert spared.supervisor.pids["api-1"] == 3


def test_whoever_dies_young_again_and_again_has_to_wait(spared: Machine) -> None:
    for _ in range(6):
        pid = spared.supervisor.pids["api-1"]
        spared.started[pid - 1].code = 1
        spared.step()
        spared.step()
        spared.say(*spared.supervisor.pids.values())
    assert sum("spare" in line for line in spared.lines) == 5
    assert "again in" in spared.lines[5]


def test_a_rolling_restart_begins_with_the_spare_one(spared: Machine) -> None:
    spared.supervisor.roll("api")
    for _ in range(12):
        spared.step()
        for process in spared.started:
            process.said = True
    assert spared.names()[3:] == ["api-spare1", "api-1", "api-2"]
    assert spared.supervisor.pids == {"api-spare1": 4, "api-1": 5, "api-2": 6}
