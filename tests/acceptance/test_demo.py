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

from tests.chaos.tree import roles

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
    waiting = deque(["learn", "refresh", "gateway", "api", "dashboard", "api", "drain"])
    lines = []
    # As long as twice as much would take: there must be time for each to come back.
    with demo(tmp_path / "demo", "--scale", "0.2", "--rate", "65") as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if waiting and re.match(r" *[\d,]+ of [\d,]+ decisions", line):
                pids = roles(process.pid).get(waiting[0])
                if pids:
                    os.kill(pids[0], signal.SIGKILL)
                    waiting.popleft()
        output = "".join(lines)
        assert process.wait(PATIENCE_S) == 0, output
    assert not waiting, f"{waiting} were not killed: {output}"
    assert len(passed(output)) == CHECKS_N, output
