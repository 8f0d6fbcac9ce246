"""`bandit simulate service` as a user runs it, for a few seconds: real processes, real ports."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from sims.closed.loop import LoopReport

pytestmark = pytest.mark.acceptance
PATIENCE_S = 600.0


def test_service_joins_what_clumsy_clients_sent_and_reports_hold_it_against_the_truth(
    tmp_path: Path,
) -> None:
    sizes = ["--rate", "60", "--seconds", "4", "--repetitions", "2", "--learning", "1"]
    # By this seed both variants of the surface that learns are asked for, and what is late there
    # comes while it still learns.
    sizes += ["--seed", "37"]
    window = [
        "--clients",
        "1",
        "--window",
        "1",
        "--lost",
        "0.1",
        "--late",
        "0.1",
        "--doubled",
        "0.2",
    ]
    folders = ["--data-dir", tmp_path / "data", "--out", tmp_path / "out"]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("BANDIT_")}
    ended = subprocess.run(
        [sys.executable, "-m", "bandit", "simulate", "service", *sizes, *window, *folders],
        capture_output=True,
        text=True,
        env=environ,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (tmp_path / "out" / "service.json").exists(), ended.stdout + ended.stderr
    found = msgspec.json.decode((tmp_path / "out" / "service.json").read_bytes(), type=LoopReport)
    # So few repetitions say nothing of coverage; that nothing is lost holds of any number.
    assert [check.name for check in found.checks if not check.passed] == [], found.checks
    assert found.decisions_n > 50
    assert {one.variant for one in found.regrets} == {"uniform", "mixed", "learned"}
    assert "A/B of a learning policy" in {one.what for one in found.estimates}
