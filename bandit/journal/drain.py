"""The delivering end: one process per host brings every writer's records to the store."""

import logging
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bandit.errors import StoreError
from bandit.journal.base import Progress, Sink
from bandit.journal.delivery import Delivery
from bandit.journal.folders import Folder, Limits
from bandit.journal.giving_up import GivingUp
from bandit.journal.outages import Outages
from bandit.journal.quarantine import Quarantine
from bandit.journal.segments import DRAIN_LOCK, hold, writers_in
from bandit.logs import event

log = logging.getLogger(__name__)

PASS_MS = 500
"""A pass that has lasted so long begins nothing new: progress is to be told."""


class DrainStep(NamedTuple):
    """What one pass did."""

    delivered: int = 0
    """Records that reached the sink."""
    resent: int = 0
    """Records that the sink turned out not to have."""
    rejected: int = 0
    """Records that it refused and that were set aside."""
    spoilt: int = 0
    """Pieces of segments that hold no record and were set aside."""
    removed: int = 0
    """Segments of which every record was found in the sink."""
    progress: Progress | None = None
    """None while another drain does the work."""


class Drain:
    """Delivers a host's journal, pass by pass.

    The files are the only state: a new drain begins by asking the sink what it has. A second drain
    on the same journal stands by until the first one ends.
    """

    def __init__(
        self,
        root: Path,
        sink: Sink,
        *,
        host: str,
        now_ms: Callable[[], int],
        slack_ms: int = 250,
        report_every_ms: int = 500,
        limits: Limits | None = None,
        give_up_after_s: float | None = None,
    ) -> None:
        """Make a drain; it touches nothing before its first pass.

        Args:
            root: `Settings.journal_dir`.
            sink: Where the records are kept for good.
            host: Name under which progress is reported, one per `root`.
            now_ms: The clock that also stamps records on this host.
            slack_ms: A record may be appended so long after its `ts_ms`.
            report_every_ms: Progress is told after every delivery, and at least this often.
            limits: How much is done at once.
            give_up_after_s: So long learners wait for what was set aside, and for a writer's folder
                that can not be read; None: for ever.
        """
        self._root = root
        self._sink = sink
        self._host = host
        self._now_ms = now_ms
        self._slack_ms = slack_ms
        self._report_every_ms = report_every_ms
        self._limits = limits or Limits()
        self._quarantine = Quarantine(root)
        self._delivery = Delivery(sink, self._quarantine, now_ms)
        self._giving_up = (
            None
            if give_up_after_s is None
            else GivingUp(root, sink, now_ms=now_ms, after_s=give_up_after_s)
        )
        self._patience_ms = float("inf") if give_up_after_s is None else give_up_after_s * 1000
        self._folders: dict[str, Folder] = {}
        self._unreadable = Outages("the journal can not be read", now_ms)
        self._unreported = Outages("progress is not reported", now_ms)
        self._lock: int | None = None
        self._recovering = True
        self._passes_n = 0
        self._through_ms = 0
        self._reported_ms: int | None = None

    @property
    def counts(self) -> Counter[str]:
        """Since the start: `delivered, resent, rejected, spoilt, removed`."""
        return self._delivery.counts

    def step(self) -> DrainStep:
        """One pass: read, deliver, reconcile, report."""
        if not self._leads():
            return DrainStep()
        before, started_ms = self.counts.copy(), self._now_ms()
        self._delivery.begin_pass()
        self._look()
        folders = self._in_turn()
        for folder in folders:
            self._guard(folder, lambda f: f.deliver(lambda: self._is_over(started_ms)))
        for folder in folders:
            self._guard(folder, self._tidy)
        if self._giving_up is not None:
            self.counts["given_up"] += self._giving_up.step().rows_n
        progress = self._progress(started_ms)
        done = self.counts - before
        self._report(progress, delivered=bool(done))
        return DrainStep(
            delivered=done["delivered"],
            resent=done["resent"],
            rejected=done["rejected"],
            spoilt=done["spoilt"],
            removed=done["removed"],
            progress=progress,
        )

    def finish(self) -> None:
        """After the last pass: say that nothing is left here, if so, and nobody waits for us."""
        if self._lock is None:
            return
        started_ms = self._now_ms()
        self._look()
        if all(folder.is_dead and not folder.segments for folder in self._folders.values()):
            self._report(self._progress(started_ms)._replace(done=True), delivered=True)

    def close(self) -> None:
        """Let another drain do the work."""
        for writer in list(self._folders):
            self._forget(writer)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _leads(self) -> bool:
        if self._lock is None:
            self._root.mkdir(parents=True, exist_ok=True)
            self._lock = hold(self._root / DRAIN_LOCK)
        return self._lock is not None

    def _is_over(self, started_ms: int) -> bool:
        return self._now_ms() - started_ms >= PASS_MS

    def _look(self) -> None:
        """See which writers there are and what they have written."""
        writers = writers_in(self._root)
        for writer in self._folders.keys() - set(writers):
            self._forget(writer)
        for writer in writers:
            if writer not in self._folders:
                self._folders[writer] = Folder(
                    self._root / writer,
                    self._delivery,
                    self._quarantine,
                    self._limits,
                    recovering=self._recovering,
                )
            self._guard(self._folders[writer], Folder.refresh)
        self._recovering = False

    def _in_turn(self) -> list[Folder]:
        """Folders, beginning with another one each time: none waits for the others for ever."""
        self._passes_n += 1
        folders = list(self._folders.values())
        first = self._passes_n % max(len(folders), 1)
        return folders[first:] + folders[:first]

    def _guard(self, folder: Folder, action: Callable[[Folder], None]) -> None:
        """Do something with a folder unless the disk just refused it."""
        writer = folder.path.name
        if not self._unreadable.is_due(writer):
            return
        try:
            action(folder)
        except OSError as exc:
            self._unreadable.failed(writer, exc)
        except Exception as exc:  # a bug with one folder must not stop the others, nor the process
            if writer not in self._unreadable:
                log.exception(
                    "the journal of %s can not be drained", writer, extra=event("drain_failed")
                )
            self._unreadable.failed(writer, exc)

    def _tidy(self, folder: Folder) -> None:
        """Remove what is known to be in the sink; the last thing a pass does with a folder."""
        self.counts["removed"] += folder.reconcile()
        if folder.remove_if_empty():
            self._forget(folder.path.name)
        self._unreadable.succeeded(folder.path.name)

    def _forget(self, writer: str) -> None:
        self._folders.pop(writer).close()
        self._delivery.rejected.pop(writer, None)
        self._unreadable.succeeded(writer)

    def _progress(self, started_ms: int) -> Progress:
        """How far everything is delivered that was there when the pass began."""
        through_ms = started_ms - self._slack_ms
        for folder in self._folders.values():
            writer = folder.path.name
            if writer in self._unreadable:
                # Or one broken folder would hold every learner up for as long as it is there.
                if self._unreadable.lasts_ms(writer) < self._patience_ms:
                    through_ms = min(through_ms, self._through_ms)
            elif folder.bound_ms is not None:
                through_ms = min(through_ms, folder.bound_ms - 1)
        self._through_ms = max(self._through_ms, through_ms)
        return Progress(
            self._host,
            self._through_ms,
            backlog_bytes=sum(f.backlog_bytes for f in self._folders.values()),
            segments_n=sum(len(f.segments) for f in self._folders.values()),
        )

    def _report(self, progress: Progress, *, delivered: bool) -> None:
        now_ms = self._now_ms()
        is_due = self._reported_ms is None or now_ms - self._reported_ms >= self._report_every_ms
        if not (delivered or (is_due and self._unreported.is_due(self._host))):
            return
        try:
            self._sink.report(progress)
        except (StoreError, OSError) as exc:
            self._unreported.failed(self._host, exc)
        else:
            self._reported_ms = now_ms
            self._unreported.succeeded(self._host)
