"""The past of one surface's log, part by part: for whoever judges by it, not for who follows it.

A part holds decisions made in some seconds and everything that was ever said of them, so that each
can be joined by itself and memory holds one part at a time. Decisions come as Arrow: of the
actions, which are most of the bytes, every different one is made once. What was declared a gap is
left out, as learners leave it out.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from bandit.records import Action, LoggedDecision
from bandit.store.catalogue_history import CatalogueHistory
from bandit.store.client import Store
from bandit.store.gaps import gaps_of
from bandit.store.logged import (
    LoggedExposure,
    LoggedReward,
    decision_of,
    exposure_of,
    reward_of,
)

PART_ROWS = 10_000
"""Decisions of a part, about: a second is never cut. Each part is four statements, and reads the
rewards of two hours beside its own, so larger ones cost ClickHouse less."""
SKEW_MS = 3_600_000
"""The time in an event id is at most this far from its decision's (the service sees to it)."""
QUERIES = ("logged_parts", "logged_decisions", "logged_rewards", "logged_exposures")
_ACTIONS_N = 50_000  # different ones that are kept from one part to the next
_FEATURES, _IDS, _CATALOGUE, _WRITER, _SEQ = 11, 10, 29, 21, 22
_AS_BYTES = ("context", "action_features", "slot_features")


class Part(NamedTuple):
    """Decisions made in `[from_ms, through_ms]`, and how many rows they are."""

    from_ms: int
    through_ms: int
    rows_n: int


class PartRows(NamedTuple):
    """What a part holds, each list by (time of acceptance, writer, seq)."""

    decisions: list[LoggedDecision]
    rewards: list[LoggedReward]
    exposures: list[LoggedExposure]


class LogRange:
    """Reads a surface's past; not for several threads at once."""

    def __init__(self, store: Store, surface: str, *, rows_n: int = PART_ROWS) -> None:
        """Read nothing yet.

        Args:
            store: Where the log is.
            surface: Key of the surface.
            rows_n: Decisions of a part, about.
        """
        self._store = store
        self._surface = surface
        self._rows_n = rows_n
        self._history = CatalogueHistory(store)
        self._actions: dict[tuple[str, bytes], Action] = {}

    def parts(self, since_ms: int, until_ms: int) -> list[Part]:
        """The parts of `[since_ms, until_ms)`, oldest first.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        rows = self._store.rows(
            "logged_parts",
            surface=self._surface,
            since_ms=since_ms,
            until_ms=until_ms,
            rows_n=self._rows_n,
        )
        return [
            Part(max(since_ms, from_ms), min(until_ms - 1, through_ms), rows_n)
            for from_ms, through_ms, rows_n in rows
        ]

    def read(self, part: Part) -> PartRows:
        """All rows of a part.

        Raises:
            StoreUnavailable: The store did not answer, or lacks the catalogue of a decision.
        """
        when = {"surface": self._surface, "from_ms": part.from_ms, "through_ms": part.through_ms}
        decisions = self._decisions_of(self._store.arrow("logged_decisions", **when))
        when["skew_ms"] = SKEW_MS
        rewards = [reward_of(row) for row in self._store.rows("logged_rewards", **when)]
        exposures = [exposure_of(row) for row in self._store.rows("logged_exposures", **when)]
        return self._without_gaps(PartRows(decisions, rewards, exposures))

    def _decisions_of(self, table: pa.Table) -> list[LoggedDecision]:
        """Rows as decisions; equal actions are one object."""
        if not table.num_rows:
            return []
        columns = [_plain(table, name) for name in table.column_names]
        offered = self._offered(table)
        columns[_IDS] = columns[_FEATURES] = [()] * table.num_rows
        found: list[LoggedDecision] = []
        listed = list(zip(*columns, strict=True))
        versions = columns[_CATALOGUE]
        if not any(versions):
            return [decision_of(row, actions) for row, actions in zip(listed, offered, strict=True)]
        ids = table.column("actions").to_pylist()
        for row, actions, version, named in zip(listed, offered, versions, ids, strict=True):
            if version:
                whole = [*row]
                whole[_IDS] = named
                found += self._history.decisions_of([whole])
            else:
                found.append(decision_of(row, actions))
        return found

    def _offered(self, table: pa.Table) -> Iterator[tuple[Action, ...]]:
        """Each row's actions, out of as many objects as there are different ones."""
        features = table.column("action_features").combine_chunks()
        offsets = _offsets(features)
        raw = features.flatten().cast(pa.binary()).dictionary_encode()
        ids = table.column("actions").combine_chunks()
        if not len(raw):
            yield from [()] * table.num_rows
            return
        # A decision out of a catalogue has ids and no features: its ids are passed over here.
        counts, lengths = np.diff(_offsets(ids)), np.diff(offsets)
        kept = np.repeat(lengths > 0, counts)
        names = ids.flatten().filter(pa.array(kept)).dictionary_encode()
        codes = names.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        codes = codes * len(raw.dictionary) + raw.indices.to_numpy(zero_copy_only=False)
        different, places = np.unique(codes, return_inverse=True)
        texts, bodies = names.dictionary.to_pylist(), raw.dictionary.to_pylist()
        made = [
            self._action(texts[code // len(bodies)], bodies[code % len(bodies)])
            for code in different.tolist()
        ]
        each = [made[place] for place in places.tolist()]
        ends = offsets.tolist()
        for start, end in itertools.pairwise(ends):
            yield tuple(each[start:end])

    def _action(self, id_: str, raw: bytes) -> Action:
        key = (id_, raw)
        found = self._actions.get(key)
        if found is None:
            if len(self._actions) >= _ACTIONS_N:
                self._actions.clear()
            found = self._actions[key] = Action(id=id_, features=msgspec.Raw(raw))
        return found

    def _without_gaps(self, rows: PartRows) -> PartRows:
        """Rows that learners read."""
        streams = [
            {f"decisions/{d.surface}/{d.writer}" for d in rows.decisions},
            {f"rewards/{r.record.surface}/{r.writer}" for r in rows.rewards},
            {f"exposures/{e.record.surface}/{e.writer}" for e in rows.exposures},
        ]
        gaps = gaps_of(self._store, dict.fromkeys(set().union(*streams), 0))
        if not gaps:
            return rows

        def kept(table: str, surface: str, writer: str, seq: int) -> bool:
            found = gaps.get(f"{table}/{surface}/{writer}")
            return found is None or seq not in found

        return PartRows(
            [d for d in rows.decisions if kept("decisions", d.surface, d.writer, d.seq)],
            [r for r in rows.rewards if kept("rewards", r.record.surface, r.writer, r.seq)],
            [e for e in rows.exposures if kept("exposures", e.record.surface, e.writer, e.seq)],
        )


def _plain(table: pa.Table, name: str) -> Sequence[Any]:
    """A column as Python values; client's own texts as bytes."""
    if name in ("actions", "action_features"):
        return ()
    column = table.column(name).combine_chunks()
    if name == "context":
        column = column.cast(pa.binary())
    elif name in _AS_BYTES:
        column = column.cast(pa.list_(pa.binary()))
    elif pa.types.is_list(column.type) and not len(column.flatten()):
        return [()] * len(column)
    plain: Sequence[Any] = column.to_pylist()
    return plain


def _offsets(column: pa.ListArray) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Where each row's items begin, and where the last one's end, from 0."""
    offsets = column.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    found: np.ndarray[Any, np.dtype[np.int64]] = offsets - offsets[0]
    return found


def closed_parts(parts: Iterable[Part], closed_ms: int) -> list[Part]:
    """Parts of decisions whose join window ended by a time; the last one may be cut."""
    return [
        part._replace(through_ms=min(part.through_ms, closed_ms))
        for part in parts
        if part.from_ms <= closed_ms
    ]
