"""The Open Bandit Dataset, both ways, from the command."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from bandit.cli.simulate_obd import command
from bandit.errors import RecordError
from sims.obd import SMALL, Judgement, judge


def test_policies_are_judged_from_each_others_logs_and_what_can_not_be_is_refused(tmp_path: Path):
    result = CliRunner().invoke(command, ["--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    found = msgspec.json.decode((tmp_path / "obd.json").read_bytes(), type=list[Judgement])
    by = {(one.campaign, one.logged_by): one for one in found}
    assert len(by) == 6
    refused = by.pop(("women", "bts"))
    assert refused.evaluation.verdict == "refuse"
    assert refused.evaluation.diagnostics.ess == pytest.approx(2.08, abs=0.01)
    assert refused.holds is refused.evaluation.best is None
    lines = [line.strip() for line in result.output.splitlines()]
    [line] = [line for line in lines if line.startswith("women") and "bts → random" in line]
    assert line.split("±")[1].split()[2:8] == ["–"] * 6  # a refusal shows no number
    for one in by.values():
        assert one.evaluation.verdict in {"ok", "caution"}
        assert one.holds
        interval = one.evaluation.best.interval
        assert interval.low <= one.full <= interval.high
    # By the table of obp's and vw-estimators' own numbers (reference/ope_peers.md).
    assert by["all", "random"].evaluation["snips"].value == pytest.approx(4.78e-3, abs=5e-6)
    assert by["men", "bts"].evaluation["ips"].value == pytest.approx(3.01e-3, abs=5e-6)
    assert by["all", "random"].truth == 0.0042


def test_a_folder_without_the_data_is_named(tmp_path: Path):
    with pytest.raises(RecordError, match=r"bts_all\.csv.*is not there"):
        list(judge(tmp_path))
    result = CliRunner().invoke(command, ["--data", str(tmp_path), "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "--data" in result.output


def test_a_clones_small_copy_is_there():
    assert SMALL.is_dir()
