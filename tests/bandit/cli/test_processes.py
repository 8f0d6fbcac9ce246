import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bandit.cli.child import Child, Pulse
from bandit.cli.heartbeat import HEARTBEAT_FD, ORDERS_FD
from bandit.cli.processes import Processes
from bandit.cli.supervisor import Supervisor
from tests.until import until

# A server with a worker: it says who they are, and the worker outlives a killed main process.
SERVER = ("/bin/sh", "-c", "sleep 1000 & echo main $$ worker $!; wait")


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def worker_of(log: Path, main: int) -> int | None:
    lines = log.read_text().splitlines() if log.exists() else []
    return next((int(line.split()[3]) for line in lines if line.split()[1] == str(main)), None)


@contextmanager
def running(*children: Child, logs: Path) -> Iterator[Supervisor]:
    processes = Processes(logs=logs)
    supervisor = Supervisor(
        children,
        spawn=processes.spawn,
        monotonic_s=time.monotonic,
        tell=lambda line: None,
    )
    with supervisor.running():
        yield supervisor
    processes.close()


def test_a_killed_server_takes_its_workers_with_it_and_starts_again(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with running(Child("server", SERVER, os.environ), logs=tmp_path) as supervisor:
        until(lambda: "server" in supervisor.pids, "the start")
        first = supervisor.pids["server"]
        until(lambda: worker_of(log, first), "the first worker")
        worker = worker_of(log, first)
        assert worker is not None
        os.kill(first, signal.SIGKILL)
        until(lambda: not is_alive(worker), "the end of the orphan")
        until(lambda: supervisor.pids.get("server", first) != first, "the second start")
        second = supervisor.pids["server"]
        until(lambda: worker_of(log, second), "the second worker")
        last_worker = worker_of(log, second)
        assert last_worker is not None
    assert not is_alive(second)
    assert not is_alive(last_worker)


def test_lines_of_children_are_objects_where_the_log_is_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    says = (
        "/bin/sh",
        "-c",
        """echo '{"event":"started"}'; echo; echo '  a banner'; echo oops >&2""",
    )
    processes = Processes(as_json_s=lambda: 0.0)
    process = processes.spawn(Child("child", says, os.environ))
    shown: list[str] = []

    def is_said() -> bool:
        shown.extend(capsys.readouterr().out.splitlines())
        return len(shown) == 3

    until(is_said, "three lines")
    until(lambda: process.ended() is not None, "the end")
    processes.close()
    found = [json.loads(line) for line in shown]
    assert found[0] == {"event": "started"}
    assert [(each["process"], each["event"], each["message"]) for each in found[1:]] == [
        ("child", "output", "  a banner"),
        ("child", "output", "oops"),
    ]


def test_a_child_that_ignores_sigterm_is_killed_with_its_group(tmp_path: Path) -> None:
    deaf = ("/bin/sh", "-c", "trap '' TERM; sleep 1000 & echo main $$ worker $!; wait; wait")
    processes = Processes(logs=tmp_path)
    process = processes.spawn(Child("deaf", deaf, os.environ))
    until(lambda: worker_of(tmp_path / "deaf.log", process.pid), "the worker")
    worker = worker_of(tmp_path / "deaf.log", process.pid)
    assert worker is not None
    process.terminate()
    assert process.ended() is None
    process.kill()
    until(lambda: process.ended() == -signal.SIGKILL, "the end")
    until(lambda: not is_alive(worker), "the end of its worker")
    processes.close()


def test_a_program_that_does_not_exist_ends_at_once(tmp_path: Path) -> None:
    processes = Processes(logs=tmp_path)
    process = processes.spawn(Child("gone", ("/no/such/program",), os.environ))
    until(lambda: process.ended() is not None, "the end")
    assert process.ended() == 127
    processes.close()


def test_lines_are_printed_under_their_child_s_name(capsys: pytest.CaptureFixture[str]) -> None:
    processes = Processes()
    argv = ("/bin/sh", "-c", "echo one; printf '\\377 two' >&2; test -z \"$(cat)\"")
    process = processes.spawn(Child("api", argv, os.environ))
    until(lambda: process.ended() is not None, "the end")
    assert process.ended() == 0  # its input is empty
    processes.close()
    printed = ""

    def has_both_lines() -> bool:
        nonlocal printed
        printed += capsys.readouterr().out
        return printed.count("\n") == 2

    until(has_both_lines, "two printed lines")
    assert printed == "api       | one\napi       | \N{REPLACEMENT CHARACTER} two\n"


SUPERVISED = f"""
import os, sys, time
from pathlib import Path
from bandit.cli.processes import Processes
from bandit.cli.heartbeat import HEARTBEAT_FD, ORDERS_FD
from bandit.cli.child import Child, Pulse
from bandit.cli.supervisor import Supervisor

processes = Processes(logs=Path(sys.argv[1]))
children = [Child(name, {SERVER!r}, os.environ) for name in ("one", "two")]
Supervisor(children, spawn=processes.spawn, monotonic_s=time.monotonic, tell=print).run()
"""


def test_kill_9_of_the_supervisor_leaves_nobody_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISED, str(tmp_path)]
    logs = [tmp_path / "one.log", tmp_path / "two.log"]
    with subprocess.Popen(command) as supervisor:
        until(lambda: all(log.exists() and log.read_text() for log in logs), "two servers")
        pids = [int(word) for log in logs for word in log.read_text().split()[1::2]]
        assert len(pids) == 4
        assert all(map(is_alive, pids))
        supervisor.kill()
    until(lambda: not any(map(is_alive, pids)), "the end of children and their workers")


def test_a_killed_guard_is_replaced_and_told_everything(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISED, str(tmp_path)]
    log = tmp_path / "one.log"
    with subprocess.Popen(command) as supervisor:
        until(lambda: log.exists() and log.read_text(), "a server")
        first, _ = pids = [int(word) for word in log.read_text().split()[1::2]]
        (guard,) = (pid for pid in children_of(supervisor.pid) if b"guard.py" in command_of(pid))
        os.kill(guard, signal.SIGKILL)
        os.kill(first, signal.SIGKILL)  # the restart finds the guard gone
        until(lambda: log.read_text().count("\n") == 2, "the restarted server")
        pids = [int(word) for word in log.read_text().split()[1::2]]
        supervisor.kill()
    until(lambda: not any(map(is_alive, pids)), "the end of children and their workers")


def children_of(pid: int) -> list[int]:
    return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_child_that_is_nice_lets_others_go_first(tmp_path: Path) -> None:
    argv = (sys.executable, "-c", "import os; print(os.getpriority(os.PRIO_PROCESS, 0))")
    processes = Processes(logs=tmp_path)
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    process = processes.spawn(Child("kind", argv, os.environ, nice=3))
    until(lambda: process.ended() is not None, "the end")
    processes.close()
    assert (tmp_path / "kind.log").read_text() == f"{min(ours + 3, 19)}\n"


def test_a_child_is_heard_and_a_spare_one_hears(tmp_path: Path) -> None:
    script = f"read -r order <&${ORDERS_FD}; echo $order; echo >&${HEARTBEAT_FD}; sleep 1000"
    # Not every shell takes a file descriptor out of a variable.
    argv = ("/bin/bash", "-c", script)
    child = Child("spare", argv, os.environ, pulse=Pulse(60.0, 60.0), is_spare=True)
    processes = Processes(logs=tmp_path)
    process = processes.spawn(child)
    assert not process.heard()
    process.order("7")
    until(process.heard, "the heartbeat")
    assert not process.heard(), "once is once"
    assert (tmp_path / "spare.log").read_text() == "7\n"
    process.kill()
    until(lambda: process.ended() is not None, "the end")
    processes.close()


def test_an_end_is_told_at_once(tmp_path: Path) -> None:
    ended = threading.Event()
    processes = Processes(logs=tmp_path, when_ended=ended.set)
    process = processes.spawn(Child("short", ("/bin/true",), os.environ))
    assert ended.wait(30.0)
    assert process.ended() == 0
    processes.close()


def test_a_child_inherits_the_files_it_is_given(tmp_path: Path) -> None:
    given, taken = os.pipe()
    argv = ("/bin/bash", "-c", f"echo heard >&{taken}")
    processes = Processes(logs=tmp_path)
    process = processes.spawn(Child("heir", argv, os.environ, fds=(taken,)))
    assert os.read(given, 100) == b"heard\n"
    until(lambda: process.ended() is not None, "the end")
    processes.close()
    os.close(given)
    os.close(taken)
