"""Processor time, memory and place by role, of processes that are called like ours."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sims.capacity.processes import cpu_s, place, rss_mb

# Its command line is `python -m bandit learn`, as the kernel tells it; it works, and says so.
BUSY = "sum(n * n for n in range(3_000_000)); print('done', flush=True); input()"


@pytest.fixture
def learner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    package = tmp_path / "bandit"
    package.mkdir()
    (package / "__main__.py").write_text(BUSY)
    process = subprocess.Popen(
        [sys.executable, "-m", "bandit", "learn"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.communicate("\n")


def test_work_of_a_process_is_its_roles(learner: subprocess.Popen[str]) -> None:
    assert learner.stdout is not None
    assert learner.stdout.readline() == "done\n"
    worked = cpu_s(os.getpid())
    assert worked["learn"] > 0.05
    assert cpu_s(learner.pid)["learn"] == 0.0  # nobody is below it
    assert rss_mb(os.getpid())["learn"] > 1.0


def test_processes_stay_where_their_role_was_placed(learner: subprocess.Popen[str]) -> None:
    one = min(os.sched_getaffinity(0))
    place(os.getpid(), {"learn": {one}, "drain": set()})
    assert os.sched_getaffinity(learner.pid) == {one}
