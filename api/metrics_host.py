"""What a host's disk and its processes without an HTTP server add to `/metrics`."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from bandit.journal.segments import REJECTED, SUFFIX
from bandit.service import metering

STALE_S = 15.0
"""Numbers that are older are left out: who wrote them hangs or is dead, and only that is told."""


class HostMeter:
    """Looks at the data directory whenever somebody asks; remembers nothing."""

    def __init__(
        self, *, journal_dir: Path, sheets_dir: Path | None, now_s: Callable[[], float]
    ) -> None:
        """Know the places.

        Args:
            journal_dir: `Settings.journal_dir`.
            sheets_dir: Where the host's other processes write their metrics; None: nowhere.
            now_s: The clock that files are stamped with.
        """
        self._journal_dir = journal_dir
        self._sheets_dir = sheets_dir
        self._now_s = now_s

    def families(self) -> Iterator[Metric]:
        """Everything, as metric families; reads files."""
        yield from journal_families(self._journal_dir)
        yield from disk_families(self._journal_dir)
        if self._sheets_dir is not None:
            yield from self._sheets(self._sheets_dir)

    def _sheets(self, folder: Path) -> Iterator[Metric]:
        silent = GaugeMetricFamily(
            "bandit_process_silent_seconds",
            "How long ago a process of this host wrote its numbers. Absent: it ended as it should, "
            "or never ran. Above 15 its numbers are left out.",
            labels=["process"],
        )
        for path in sorted(folder.glob(f"*{metering.SUFFIX}")):
            try:
                age_s = max(0.0, self._now_s() - path.stat().st_mtime)
                families = list(text_string_to_metric_families(path.read_text()))
            except FileNotFoundError:  # it has just ended
                continue
            except (OSError, ValueError):  # not one of ours, or not readable: its age is told
                families = []
            silent.add_metric([path.stem], age_s)
            if age_s <= STALE_S:
                yield from families
        yield silent


def journal_families(folder: Path) -> Iterator[Metric]:
    """How much waits in the journal, and how much was set aside."""
    found = list(_files(folder))
    segments = [path for path, _ in found if path.suffix == SUFFIX and path.parent.parent == folder]
    aside = [size for path, size in found if path.parent.name == REJECTED]
    yield _gauge(
        "bandit_journal_bytes",
        "Size of this host's journal, what is delivered and not yet removed included.",
        sum(size for path, size in found if path.parent != folder),
    )
    yield _gauge("bandit_journal_segments", "Files of this host's journal.", len(segments))
    yield _gauge(
        "bandit_journal_rejected_files",
        "Files that were set aside because ClickHouse refused them or they are damaged.",
        len(aside),
    )


def disk_families(folder: Path) -> Iterator[Metric]:
    """How much room the journal's file system has; nothing while it can not be asked."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return
    usable = room.f_blocks - room.f_bfree + room.f_bavail
    yield _gauge(
        "bandit_disk_free_bytes",
        "Room left for us where the journal is.",
        room.f_bavail * room.f_frsize,
    )
    if usable:
        yield _gauge(
            "bandit_disk_used_ratio",
            "Share of the journal's file system in use; bandit_journal_pressure says what follows.",
            (usable - room.f_bavail) / usable,
        )


def merged(*sources: Iterable[Metric]) -> list[Metric]:
    """Families of several processes as one: no name may come twice in an answer."""
    found: dict[str, Metric] = {}
    for family in (family for source in sources for family in source):
        samples = [each for each in family.samples if not each.name.endswith("_created")]
        if not samples:
            continue
        known = found.setdefault(
            family.name, Metric(family.name, family.documentation, family.type)
        )
        known.samples += samples
    for family in found.values():  # of two samples of one name and labels the last one counts
        once = {(each.name, *sorted(each.labels.items())): each for each in family.samples}
        family.samples = list(once.values())
    return [found[name] for name in sorted(found)]


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root) / name
            try:
                yield path, path.stat().st_size
            except FileNotFoundError:  # the drain has unlinked it
                continue


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
