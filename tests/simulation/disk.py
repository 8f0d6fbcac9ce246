"""A file system that can be cut in the middle of a write, and that forgets what was not synced."""

import os
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bandit.journal.disk import Disk
from bandit.journal.segments import NEXT, SUFFIX


class Crash(BaseException):
    """`kill -9`: nothing catches it, nothing is tidied up."""


@dataclass
class _File:
    link: Path
    """A second name, by which the content is found when the first one is gone."""
    synced: int = 0
    name: str | None = None
    """The name that a power loss leaves it; None: none yet."""
    folder: Path | None = None


class SimulatedDisk(Disk):
    """The real one, with a record of what is safe.

    Attributes:
        cut: The next write puts so much of itself in, then the process dies.
    """

    def __init__(self, shadows: Path) -> None:
        self.cut: float | None = None
        self._shadows = shadows
        self._shadows.mkdir(parents=True)
        self._files: dict[int, _File] = {}  # by inode

    def create(self, path: Path) -> int:
        fd = super().create(path)
        inode = os.fstat(fd).st_ino
        link = self._shadows / f"{len(list(self._shadows.iterdir()))}"
        os.link(path, link)
        self._files[inode] = _File(link, folder=path.parent)
        return fd

    def write(self, fd: int, data: bytes) -> int:
        if self.cut is None:
            return super().write(fd, data)
        share, self.cut = self.cut, None
        super().write(fd, data[: round(share * len(data))])
        raise Crash

    def sync(self, fd: int) -> None:
        stat = os.fstat(fd)
        self._files[stat.st_ino].synced = stat.st_size

    def sync_folder(self, path: Path) -> None:
        for entry in os.scandir(path):
            file = self._files.get(entry.inode())
            if file is not None:
                file.name, file.folder = entry.name, path

    def lose_power(self, root: Path, rng: Random) -> None:
        """Leave of every file under a root what was synced, and of the rest what chance leaves."""
        for file in self._files.values():
            if file.folder is None or root not in file.folder.parents:
                continue
            names = [e for e in _entries(file.folder) if e.samefile(file.link)]
            self._shorten(file, rng)
            if file.name is None and names and rng.random() < 0.5:
                names[0].unlink()  # its name was not safe
            elif file.name is not None and not names and rng.random() < 0.3:
                self._come_back(file)

    def _shorten(self, file: _File, rng: Random) -> None:
        size = file.link.stat().st_size
        kept = rng.choice([file.synced, size, rng.randint(file.synced, size)])
        zeros_n = rng.choice([0, size - kept])
        with file.link.open("r+b") as stream:
            stream.truncate(kept)
            stream.seek(kept)
            stream.write(bytes(zeros_n))

    def _come_back(self, file: _File) -> None:
        """Its removal was not safe: the drain finds it once more."""
        assert file.folder is not None
        assert file.name is not None
        if not file.name.endswith(SUFFIX) or file.name == NEXT:
            return
        file.folder.mkdir(exist_ok=True)
        if not (file.folder / file.name).exists():
            os.link(file.link, file.folder / file.name)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []
