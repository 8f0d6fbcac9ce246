"""`bandit demo --once` as a user runs it: real processes, real ports, real files."""

import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest

pytestmark = pytest.mark.acceptance
PATIENCE_S = 120.0
CHECKS_N = 8


@contextmanager
def demo(data_dir: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A demo without the network; whoever hangs is ended."""
    command = [sys.executable, "-m", "bandit", "demo", "--once", "--world", "synthetic"]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("BANDIT_")}
    process = subprocess.Popen(
        [*command, "--data-dir", data_dir, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environ,
    )
    assert process.stdout is not None
    alarm = Timer(PATIENCE_S, process.send_signal, [signal.SIGINT])
    alarm.start()
    try:
        yield process
    finally:
        alarm.cancel()
        process.kill()  # does nothing if it has ended; its guard ends the children
        process.wait()
        process.stdout.close()


def children_of(parent: int) -> dict[str, int]:
    """Living processes that a process started, by what they run."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, started_by = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            words = (entry / "cmdline").read_text().split("\0")
        except OSError:  # it has just ended
            continue
        if int(started_by) == parent and state != "Z":
            found[_name_of(words)] = int(entry.name)
    return found


def _name_of(words: list[str]) -> str:
    if "streamlit" in words:  # the dashboard's process becomes Streamlit's
        return "dashboard"
    return words[words.index("bandit") + 1] if "bandit" in words else words[0]


def find(victim: str, demo: int) -> int | None:
    """A process of a demo; None while it is not running."""
    running = children_of(demo)
    if victim != "worker":
        return running.get(victim)
    return children_of(running["api"]).get("api") if "api" in running else None  # it is a fork


def passed(output: str) -> list[str]:
    return re.findall(r"^ok +(.*?)  ", output, re.MULTILINE)


def test_demo_proves_that_the_learned_policy_wins_and_that_all_counts_agree(tmp_path: Path) -> None:
    with demo(tmp_path / "demo", "--scale", "0.2") as process:
        assert process.stdout is not None
        output = process.stdout.read()
        assert process.wait(PATIENCE_S) == 0, output
    assert len(passed(output)) == CHECKS_N, output
    assert "FAILED" not in output
    assert "1,600 answered = 1,600 of them in ClickHouse" in output


def test_demo_survives_kill_9_of_each_process_in_turn(tmp_path: Path) -> None:
    waiting = deque(["learn", "gateway", "worker", "dashboard", "api", "drain"])
    lines = []
    with demo(tmp_path / "demo", "--scale", "0.4") as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if waiting and re.match(r" *[\d,]+ of [\d,]+ decisions", line):
                pid = find(waiting[0], process.pid)
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
                    waiting.popleft()
        output = "".join(lines)
        assert process.wait(PATIENCE_S) == 0, output
    assert not waiting, f"{waiting} were not killed: {output}"
    assert len(passed(output)) == CHECKS_N, output
