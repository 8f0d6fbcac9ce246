"""New rows of the log, stream by stream, none skipped and none twice.

A stream is what one writer put into one table for one surface; its rows are numbered 1, 2, 3 … A
row is read once all before it are there: a hole stops its stream (and no other) until it is filled,
or declared a gap (`bandit.store.gaps`). What is in a gap is never read, even if it is there.
Times are no cursors: rows become visible in any order.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from bandit.errors import NotFound, StoreUnavailable
from bandit.records import LoggedDecision
from bandit.store.catalogue_history import CatalogueHistory
from bandit.store.client import Store
from bandit.store.drained import SILENT_AFTER_MS, Drained, Drains
from bandit.store.gaps import NO_GAPS, gaps_of
from bandit.store.logged import LoggedExposure, LoggedReward, exposure_of, reward_of
from bandit.store.tail_stretches import (
    Run,
    Stretch,
    by_table_and_surface,
    end_of_run,
    shared_out,
    streams_of,
)

Cursor = dict[str, int]
"""`table/surface/writer` → the last number read of that stream."""

ARRIVAL_SLACK_MS = 300_000
"""Rows may become visible this much later than the store's clock says they came."""
SWEEP_EVERY = 1_000
"""One in so many reads looks at all rows, in case one came even later than that."""
_END_OF_TIME_MS = 7_258_118_400_000  # the year 2200: DateTime64 has an end

_PLACES = {"decisions": (21, 22), "rewards": (0, 1), "exposures": (0, 1)}
"""Where writer and seq stand among the columns of `tail_<table>`."""


class TailBatch(NamedTuple):
    """What was read; each list in the order of (time of acceptance, writer, seq)."""

    decisions: list[LoggedDecision]
    rewards: list[LoggedReward]
    exposures: list[LoggedExposure]
    cursor: Cursor
    """Where the next read goes on."""
    more: bool = False
    """Whether the limit left rows that could be read now."""
    holes: tuple[str, ...] = ()
    """Streams in which a later row is there and the next one is not."""
    given_up_n: int = 0
    """Numbers in gaps that the cursor went over."""
    unread_n: int = 0
    """Numbers after the new cursor that rows have reached already."""


class _Bookmark(NamedTuple):
    """What the last read of a surface learned about where new rows can be."""

    cursor: Cursor
    arrived_since_ms: int
    reads_n: int


class Tail:
    """Reads the log for learners; not for several threads at once."""

    def __init__(self, store: Store, *, silent_after_ms: int = SILENT_AFTER_MS) -> None:
        """Know nothing of any stream yet.

        Args:
            store: Where the log is.
            silent_after_ms: A host that has said nothing for longer is not waited for.
        """
        self._store = store
        self._drains = Drains(store, silent_after_ms=silent_after_ms)
        self._bookmarks: dict[str, _Bookmark] = {}
        self._build: Mapping[str, Callable[[Sequence[Sequence[Any]]], Iterable[Any]]] = {
            "decisions": CatalogueHistory(store).decisions_of,
            "rewards": partial(map, reward_of),
            "exposures": partial(map, exposure_of),
        }

    def read(
        self, surface: str, cursor: Cursor, *, limit: int = 10_000, until_ms: int | None = None
    ) -> TailBatch:
        """Rows after `cursor` that can be read now.

        Args:
            surface: Its decisions, rewards and exposures, and the rewards and exposures of ''.
            cursor: As an earlier batch gave it; `{}` is the beginning.
            limit: The most rows of each table, but for one of each stream.
            until_ms: Only rows accepted by then: a stream ends for now before its first later one,
                which is neither `more` nor a hole.

        Raises:
            StoreUnavailable: The store did not answer; read again.
        """
        since_ms, reads_n = self._where_to_look(surface, cursor)
        heads = self._store.rows("tail_heads", surface=surface, arrived_since_ms=since_ms)
        news = self._with_gaps(
            Stretch(stream, cursor.get(stream, 0), head)
            for stream, head in ((f"{row[0]}/{row[1]}/{row[2]}", row[3]) for row in heads)
            if head > cursor.get(stream, 0)
        )
        runs, arrived_ms = self._runs(news, since_ms, limit, until_ms)
        taken = shared_out([run.stretch for run in runs], limit)
        batch = self._fetch(taken, arrived_since_ms=since_ms)
        if _rows_n(batch) != sum(stretch.rows_n for stretch in taken):
            raise StoreUnavailable(f"the log of {surface!r} changed while it was read")
        new = cursor | {s.stream: s.upto for s in taken if s.upto > s.after}
        left = [stretch for stretch in news if new.get(stretch.stream, 0) < stretch.upto]
        if heads:
            arrivals = [max(row[4] for row in heads), *(arrived_ms[s.stream] for s in left)]
            since_ms = max(since_ms, min(arrivals) - ARRIVAL_SLACK_MS)
        self._bookmarks[surface] = _Bookmark(new, since_ms, reads_n)
        stopped = {
            run.stretch.stream
            for run in runs
            if run.is_cut and new.get(run.stretch.stream, 0) == run.stretch.upto
        }
        holes = sorted(stretch.stream for stretch in left if stretch.stream in stopped)
        more = len(holes) < len(left)
        if until_ms is not None:  # a later row looks like a hole
            holes = []
        given_up_n = sum(stretch.given_up_n for stretch in taken)
        unread_n = sum(s.upto - max(s.after, new.get(s.stream, 0)) for s in left)
        return batch._replace(
            cursor=new,
            more=more,
            holes=tuple(holes),
            given_up_n=given_up_n,
            unread_n=unread_n,
        )

    def reread(
        self,
        surface: str,
        cursor: Cursor,
        since_ms: int,
        *,
        decisions_since_ms: int | None = None,
    ) -> TailBatch:
        """Rows up to `cursor` once more, to restore what was read but not closed.

        Args:
            surface: As for `read`.
            cursor: As for `read`; the batch gives it back.
            since_ms: Only of decisions made then or later.
            decisions_since_ms: If given, only decisions made then or later.

        Raises:
            StoreUnavailable: The store did not answer; read again.
        """
        stretches = self._with_gaps(
            Stretch(stream, 0, seq) for stream, seq in streams_of(surface, cursor)
        )
        if decisions_since_ms is None:
            return self._fetch(stretches, decided_since_ms=since_ms)._replace(cursor=cursor)
        decisions = [stretch for stretch in stretches if stretch.stream.startswith("decisions/")]
        others = [stretch for stretch in stretches if stretch not in decisions]
        return self._fetch(others, decided_since_ms=since_ms)._replace(
            decisions=self._fetch(decisions, decided_since_ms=decisions_since_ms).decisions,
            cursor=cursor,
        )

    def event_ids(
        self, surface: str, cursor: Cursor, since_ms: int, until_ms: int
    ) -> Sequence[str]:
        """Event ids of the decisions up to `cursor` that were made in `[since_ms, until_ms]`.

        Raises:
            StoreUnavailable: The store did not answer; read again.
        """
        stretches = [
            Stretch(stream, 0, seq)
            for stream, seq in streams_of(surface, cursor)
            if stream.startswith("decisions/")
        ]
        if not stretches:
            return ()
        return self._store.columns(
            "tail_event_ids",
            surface=surface,
            writers=[stretch.writer for stretch in stretches],
            upto=[stretch.upto for stretch in stretches],
            since_ms=since_ms,
            until_ms=until_ms,
        )["event_id"]

    def between(self, surface: str, after: Cursor, upto: Cursor) -> TailBatch:
        """Rows that were read on the way from one cursor to a later one, to learn them again.

        Raises:
            NotFound: The log does not hold them all any more.
            StoreUnavailable: The store did not answer; read again.
        """
        stretches = self._with_gaps(
            Stretch(stream, after.get(stream, 0), seq)
            for stream, seq in streams_of(surface, upto)
            if seq > after.get(stream, 0)
        )
        given_up_n = sum(stretch.given_up_n for stretch in stretches)
        batch = self._fetch(stretches)._replace(cursor=upto, given_up_n=given_up_n)
        have, need = _rows_n(batch), sum(stretch.rows_n for stretch in stretches)
        if have != need:
            raise NotFound(f"the log of {surface!r} holds {have} of {need} rows to learn from")
        return batch

    def check_retained(self, surface: str, after: Cursor, upto: Cursor, since_ms: int) -> None:
        """Refuse to learn rows again whose retention has ended since they were learned from.

        Args:
            surface: As for `between`.
            after: As for `between`.
            upto: As for `between`.
            since_ms: When what is to be learned again was begun.

        Raises:
            NotFound: Naming how many rows of which streams.
            StoreUnavailable: The store did not answer.
        """
        streams = dict(streams_of(surface, upto))
        if not streams:
            return
        expired = self._store.rows(
            "expired_numbers",
            since_ms=since_ms,
            streams=list(streams),
            after=[after.get(stream, 0) for stream in streams],
            upto=list(streams.values()),
        )
        if expired:
            raise NotFound(
                f"the log of {surface!r} does not retain all that was learned from: of "
                f"{', '.join(stream for stream, _ in expired[:3])} "
                f"{sum(n for _, n in expired)} rows have expired"
            )

    def drained_through_ms(self, now_ms: int) -> Drained:
        """`Drains.through`; ask before `read`, or rows may come in between.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        return self._drains.through(now_ms)

    def _where_to_look(self, surface: str, cursor: Cursor) -> tuple[int, int]:
        """Since when rows that matter can have arrived, and how often that was relied on."""
        mark = self._bookmarks.get(surface)
        if mark is None or mark.cursor != cursor or mark.reads_n >= SWEEP_EVERY:
            return 0, 0
        return mark.arrived_since_ms, mark.reads_n + 1

    def _with_gaps(self, stretches: Iterable[Stretch]) -> list[Stretch]:
        plain = list(stretches)
        gaps = gaps_of(self._store, {stretch.stream: stretch.after for stretch in plain})
        return [stretch._replace(gaps=gaps.get(stretch.stream, NO_GAPS)) for stretch in plain]

    def _runs(
        self, news: Sequence[Stretch], since_ms: int, limit: int, until_ms: int | None
    ) -> tuple[list[Run], dict[str, int]]:
        """The part of each stretch without holes, and when its earliest row arrived."""
        runs: list[Run] = []
        arrived_ms: dict[str, int] = {}
        for (table, surface), stretches in by_table_and_surface(news):
            ends = [
                min(stretch.upto, stretch.gaps.reach(stretch.after, limit)) for stretch in stretches
            ]
            found = {
                f"{table}/{surface}/{writer}": (seqs, arrived)
                for writer, seqs, arrived in self._store.rows(
                    "tail_seqs",
                    table=table,
                    surface=surface,
                    writers=[stretch.writer for stretch in stretches],
                    after=[stretch.after for stretch in stretches],
                    upto=ends,
                    arrived_since_ms=since_ms,
                    until_ms=_END_OF_TIME_MS if until_ms is None else until_ms,
                )
            }
            for stretch, end in zip(stretches, ends, strict=True):
                seqs, arrived_ms[stretch.stream] = found.get(stretch.stream, ((), since_ms))
                upto = min(end, end_of_run(stretch.after, seqs, stretch.gaps))
                runs.append(Run(stretch._replace(upto=upto), is_cut=upto < end))
        return runs, arrived_ms

    def _fetch(
        self, stretches: Sequence[Stretch], *, decided_since_ms: int = 0, arrived_since_ms: int = 0
    ) -> TailBatch:
        batch = TailBatch([], [], [], {})
        for (table, surface), streams in by_table_and_surface(s for s in stretches if s.rows_n):
            rows = self._store.rows(
                f"tail_{table}",
                surface=surface,
                writers=[stretch.writer for stretch in streams],
                after=[stretch.after for stretch in streams],
                upto=[stretch.upto for stretch in streams],
                decided_since_ms=decided_since_ms,
                arrived_since_ms=arrived_since_ms,
            )
            getattr(batch, table).extend(self._build[table](_given(rows, table, streams)))
        batch.rewards.sort(key=_place)  # of two surfaces
        batch.exposures.sort(key=_place)
        return batch


def _place(row: LoggedReward | LoggedExposure) -> tuple[int, str, int, str]:
    return row.record.ts_ms, row.writer, row.seq, row.record.surface


def _rows_n(batch: TailBatch) -> int:
    return len(batch.decisions) + len(batch.rewards) + len(batch.exposures)


def _given(
    rows: Sequence[Sequence[Any]], table: str, streams: Iterable[Stretch]
) -> Sequence[Sequence[Any]]:
    """Rows that are in no gap."""
    gaps = {stretch.writer: stretch.gaps for stretch in streams if stretch.gaps}
    if not gaps:
        return rows
    writer, seq = _PLACES[table]
    return [row for row in rows if row[seq] not in gaps.get(row[writer], NO_GAPS)]
