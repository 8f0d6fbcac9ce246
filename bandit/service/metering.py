"""What processes without an HTTP server tell of themselves: a file of metrics beside the journal.

A sheet is Prometheus' text format under `<data_dir>/metrics/<process>.prom`, replaced whole about
once a second. The API's `/metrics` on the same host reads all sheets; node_exporter's textfile
collector reads them, too. A process that ends as it should removes its sheet; one that was killed
leaves it, and its age is what tells.
"""

import gc
import logging
import os
import resource
from collections.abc import Callable
from pathlib import Path

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from bandit.logs import tell

log = logging.getLogger(__name__)

FOLDER = "metrics"
"""Of sheets, under the data directory."""
SUFFIX = ".prom"
EVERY_S = 1.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class ProcessMeter:
    """How a process is: memory, processor, open files, garbage collections."""

    def __init__(self, registry: CollectorRegistry, process: str) -> None:
        """Make the metrics.

        Args:
            registry: Where they are shown.
            process: `api`, `drain` or `learn`.
        """

        def gauge(name: str, text: str) -> Gauge:
            # `liveall` means one series per worker, with its pid, where workers share numbers.
            made = Gauge(name, text, ["process"], registry=registry, multiprocess_mode="liveall")
            return made.labels(process)

        self._resident = gauge("bandit_process_resident_bytes", "Memory that a process holds.")
        self._cpu = gauge(
            "bandit_process_cpu_seconds", "Processor time that a process has used since its start."
        )
        self._files = gauge("bandit_process_open_files", "Files and sockets a process has open.")
        self._collections = Counter(
            "bandit_process_gc_collections",
            "Garbage collections, by generation: 2 is a full one.",
            ["process", "generation"], registry=registry,
        )  # fmt: skip
        self._process = process
        self._collected = [0, 0, 0]

    def look(self) -> None:
        """Take the numbers of now; reads /proc."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        self._cpu.set(used.ru_utime + used.ru_stime)
        try:
            self._resident.set(int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE)
            self._files.set(sum(1 for _ in os.scandir("/proc/self/fd")))
        except OSError:  # no /proc, or no file can be opened any more
            pass
        for generation, stats in enumerate(gc.get_stats()):
            news = stats["collections"] - self._collected[generation]
            self._collected[generation] = stats["collections"]
            self._collections.labels(self._process, str(generation)).inc(news)


class Sheet:
    """One process's numbers, and the file they are written to."""

    def __init__(self, folder: Path, process: str, *, monotonic_s: Callable[[], float]) -> None:
        """Make a registry; nothing is written yet.

        Args:
            folder: `<data_dir>/metrics`.
            process: Name of the file, and what its process metrics are labelled with.
            monotonic_s: A clock that never goes back.
        """
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.path = folder / f"{process}{SUFFIX}"
        self._process = ProcessMeter(self.registry, process.partition("-")[0])
        self._monotonic_s = monotonic_s
        self._due_s = float("-inf")
        self._is_failing = False

    @property
    def is_due(self) -> bool:
        """Whether it is time to write."""
        return self._monotonic_s() >= self._due_s

    def write(self) -> None:
        """Replace the file; a disk that has no room for it is told of once, and no error."""
        self._due_s = self._monotonic_s() + EVERY_S
        self._process.look()
        made = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            made.write_bytes(generate_latest(self.registry))
            made.replace(self.path)
        except OSError as exc:
            if not self._is_failing:
                tell(
                    log, logging.WARNING, "metrics_unwritten",
                    "metrics can not be written: %(why)s", why=exc,
                )  # fmt: skip
            self._is_failing = True
        else:
            self._is_failing = False

    def remove(self) -> None:
        """This process ends, and is not missed."""
        for path in (self.path, self.path.with_suffix(".new")):
            path.unlink(missing_ok=True)
