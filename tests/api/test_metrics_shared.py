"""Numbers that workers share, while some die."""

import threading
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict, mmap_key

from api.metrics_shared import HEIR, bury_the_dead, collected, forget_gauges


def counted(folder: Path, pid: int, by: float, kind: str = "counter") -> None:
    """A worker that counted `by` things, and is there no more."""
    file = MmapedDict(str(folder / f"{kind}_{pid}.db"))
    file.write_value(mmap_key("things", "things_total", ("kind",), ("a",), "Help."), by, 0.0)
    file.close()


def total(folder: Path) -> float:
    return sum(sample.value for family in collected(folder) for sample in family.samples)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.db")}


def test_what_the_dead_have_counted_stays_in_one_file(tmp_path: Path) -> None:
    for pid in range(1, 6):
        counted(tmp_path, pid, pid)
    bury_the_dead(tmp_path, lambda pid: pid == 5)
    assert files(tmp_path) == {f"counter_{HEIR}.db", "counter_5.db"}
    assert total(tmp_path) == 15.0
    bury_the_dead(tmp_path, lambda pid: False)
    assert files(tmp_path) == {f"counter_{HEIR}.db"}
    assert total(tmp_path) == 15.0
    bury_the_dead(tmp_path, lambda pid: False)
    assert total(tmp_path) == 15.0


def test_gauges_of_the_dead_are_dropped(tmp_path: Path) -> None:
    for pid in (1, 2, 3):
        counted(tmp_path, pid, 1.0, "gauge_liveall")
    bury_the_dead(tmp_path, lambda pid: pid != 1)
    assert files(tmp_path) == {"gauge_liveall_2.db", "gauge_liveall_3.db"}
    forget_gauges(tmp_path, 2)
    assert files(tmp_path) == {"gauge_liveall_3.db"}


def test_what_one_left_who_was_killed_at_it_is_in_nobodys_way(tmp_path: Path) -> None:
    counted(tmp_path, 1, 2.0)
    (tmp_path / f"counter_{HEIR}.new").write_bytes(b"\x01half")
    bury_the_dead(tmp_path, lambda pid: False)
    assert total(tmp_path) == 2.0
    assert not list(tmp_path.glob("*.new"))


def test_nobody_who_reads_meanwhile_sees_a_count_go_back_or_twice(tmp_path: Path) -> None:
    for pid in range(1, 40):
        counted(tmp_path, pid, 1.0)
    seen: list[float] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(total(tmp_path))

    reader = threading.Thread(target=read)
    reader.start()
    for alive in range(40, 0, -4):
        bury_the_dead(tmp_path, lambda pid, alive=alive: pid < alive)
    done.set()
    reader.join()
    assert set(seen) | {total(tmp_path)} == {39.0}
