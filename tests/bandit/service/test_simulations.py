from pathlib import Path

import msgspec
import pytest

from bandit.errors import NotFound, RecordError
from bandit.service.simulations import (
    VERSION,
    RunOptions,
    SavedRun,
    SimulatedPolicy,
    SimulatedWorld,
    folder_of,
    load,
    runs,
)


def run(run_id: str, made_at: str, version: int = VERSION) -> SavedRun:
    return SavedRun(
        version=version,
        id=run_id,
        name="by hand",
        made_at=made_at,
        seconds=1.5,
        code_version="0",
        options=RunOptions(
            rounds_n=10, seeds=[1], delay_n=0, join_n=None, alpha=0.05, correction="holm"
        ),
        worlds=[SimulatedWorld(name="linear", about="")],
        policies=[SimulatedPolicy(key="uniform", what="")],
        reference="uniform",
        finals=[],
        pairs=[],
        wins=[],
        curves=[],
        files=[],
    )


def save(data_dir: Path, content: bytes, run_id: str) -> None:
    folder = folder_of(data_dir, run_id)
    folder.mkdir(parents=True)
    (folder / "run.json").write_bytes(content)


def test_runs_are_listed_newest_first_beside_what_can_not_be_read(tmp_path: Path) -> None:
    for name, made_at in (("old", "2026-11-01T00:00:00+00:00"), ("new", "2026-11-02T00:00:00Z")):
        save(tmp_path, msgspec.json.encode(run(name, made_at)), name)
    save(tmp_path, b"{", "torn")
    save(tmp_path, msgspec.json.encode(run("later", "2027", version=VERSION + 1)), "later")
    (tmp_path / "simulations" / "still-running").mkdir()
    found = runs(tmp_path)
    assert [head.id for head in found.runs] == ["new", "old"]
    assert [problem.partition(":")[0] for problem in found.problems] == ["later", "torn"]
    assert f"must be {VERSION}" in found.problems[0]


def test_no_folder_is_no_runs(tmp_path: Path) -> None:
    assert runs(tmp_path).runs == []


def test_loaded_run_is_what_was_saved(tmp_path: Path) -> None:
    saved = run("r-1", "2026-11-01T00:00:00Z")
    save(tmp_path, msgspec.json.encode(saved), "r-1")
    assert load(tmp_path, "r-1") == saved


def test_run_that_is_not_there_or_not_readable_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="'r-2' is not saved"):
        load(tmp_path, "r-2")
    save(tmp_path, b'{"version":1}', "r-3")
    with pytest.raises(RecordError, match="'r-3' can not be read"):
        load(tmp_path, "r-3")


@pytest.mark.parametrize("run_id", ["", "..", "../secrets", "a/b", ".hidden", "x" * 101])
def test_id_that_leads_elsewhere_is_refused(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(RecordError, match="run id is"):
        load(tmp_path, run_id)
