"""A short seed of `make chaos`: real processes, real load, three of them killed."""

from pathlib import Path

import pytest

from tests.chaos.campaign import PHASES, run
from tests.chaos.rig import Budget
from tests.chaos.table import told

pytestmark = pytest.mark.acceptance


def test_nothing_acknowledged_is_lost_or_doubled_when_processes_are_killed(tmp_path: Path) -> None:
    phase = PHASES["kills"]._replace(window_s=0.5)
    row = run(phase, tmp_path, seed=3, rate=60.0, budget=Budget(kills=3, seconds=1.0), replay_n=0)
    assert row.verdict.problems == [], "\n".join(told(row))
    assert (row.verdict.lost, row.verdict.duplicates_n) == ([], 0)
    assert row.verdict.digest_equal
    assert row.verdict.acknowledged_n > 0
