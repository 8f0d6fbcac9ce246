"""The files in which the workers of a host share their numbers.

Each worker has a file per type of metric, named by its process id, which nobody else writes. What
a dead one counted must stay, or counters would go back; so it is added to the files of a process
that never lives, and there are never more files than workers.
"""

import fcntl
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

HEIR = 0
"""Process id of the files that hold what the dead have counted."""
_COUNTED = ("counter", "histogram")
_LOCK = "lock"


def collected(shared_dir: Path) -> list[Metric]:
    """The numbers of all workers, living and dead."""
    with _locked(shared_dir, fcntl.LOCK_SH):
        return list(MultiProcessCollector(None, path=str(shared_dir)).collect())  # type: ignore[no-untyped-call]


def forget_gauges(shared_dir: Path, pid: int) -> None:
    """Drop what was only true of a worker while it lived."""
    with _locked(shared_dir, fcntl.LOCK_EX):
        mark_process_dead(pid, str(shared_dir))  # type: ignore[no-untyped-call]


def bury_the_dead(shared_dir: Path, is_alive: Callable[[int], bool]) -> None:
    """Drop the gauges of workers that are no more, and add up their counters in one file each.

    Who is killed within it may leave one worker's counts twice, but loses none.
    """
    with _locked(shared_dir, fcntl.LOCK_EX):
        for path in sorted(shared_dir.glob("*_*.db")):
            kind, _, pid = path.stem.rpartition("_")
            if int(pid) == HEIR or is_alive(int(pid)):
                continue
            if kind in _COUNTED:
                _inherit(path, shared_dir / f"{kind}_{HEIR}.db")
            path.unlink()


def _inherit(path: Path, heir: Path) -> None:
    totals: defaultdict[str, float] = defaultdict(float)
    for each in (heir, path):
        if each.exists():
            for key, value, *_ in MmapedDict.read_all_values_from_file(str(each)):  # type: ignore[no-untyped-call]
                totals[key] += value
    made = heir.with_suffix(".new")
    made.unlink(missing_ok=True)  # of one who was killed here
    written = MmapedDict(str(made))  # type: ignore[no-untyped-call]
    for key, total in totals.items():
        written.write_value(key, total, 0.0)  # type: ignore[no-untyped-call]
    written.close()  # type: ignore[no-untyped-call]
    made.replace(heir)


@contextmanager
def _locked(shared_dir: Path, how: int) -> Iterator[None]:
    """Nobody reads while files are moved together."""
    with (shared_dir / _LOCK).open("ab") as file:
        fcntl.flock(file, how)
        yield
