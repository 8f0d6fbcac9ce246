"""What reports have computed, kept with the time it is of, so that reading one costs no scan.

A row is `bandit.store.numbers` of one experiment, `bandit.store.numbers_surface` or
`bandit.store.allocation` of one surface, or what a refresher says of itself. Rows go by themselves
(a TTL, see migration 0011): those of a midnight (UTC) stay for good, those of a full hour 60 days,
all others an hour.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from bandit.records import Record
from bandit.store.allocation import FORMAT as ALLOCATION_FORMAT
from bandit.store.allocation import AllocationNumbers
from bandit.store.client import ONE_ORDER, Store
from bandit.store.numbers import FORMAT, ExperimentNumbers
from bandit.store.numbers_surface import SURFACE_FORMAT, RefresherNumbers, SurfaceNumbers

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
POINTS = 120
"""The most points of a history."""
FOR_GOOD_S = 4_291_747_200
"""The year 2106: where ClickHouse's DateTime ends."""

MOST_LOOKS = 10_000
"""More planned looks than an experiment's metrics can have."""

REFRESHER = "reports"
"""Key under which every refresher says what it did last."""

Kind = Literal["experiment", "surface", "look", "refresher", "allocation"]
"""A `look` is an experiment's numbers when a part of its plan was in; looks stay for good."""
Numbers = ExperimentNumbers | SurfaceNumbers | RefresherNumbers | AllocationNumbers

_TYPES: Mapping[str, tuple[type[Record], int]] = {
    "experiment": (ExperimentNumbers, FORMAT),
    "surface": (SurfaceNumbers, SURFACE_FORMAT),
    "look": (ExperimentNumbers, FORMAT),
    "refresher": (RefresherNumbers, SURFACE_FORMAT),
    "allocation": (AllocationNumbers, ALLOCATION_FORMAT),
}


class Kept(NamedTuple):
    """Numbers and the time they are of.

    Attributes:
        as_of_ms: Whatever had been accepted by then is in them, as far as it counts by then.
        generation: Digest of the definitions that they are made by.
        took_ms: How long it took to make them.
    """

    as_of_ms: int
    generation: str
    numbers: Any
    took_ms: int


class KeptNumbers:
    """The kept numbers of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(
        self,
        kind: Kind,
        key: str,
        as_of_ms: int,
        generation: str,
        numbers: Numbers,
        took_ms: int,
        *,
        for_good: bool = False,
    ) -> None:
        """Keep numbers; keeping some of the same time twice, or from two hosts, does no harm.

        Args:
            kind: Of the thing that they are of.
            key: Of the thing.
            as_of_ms: The time that they are of.
            generation: Digest of the definitions that they are made by.
            numbers: What is kept.
            took_ms: How long it took to make them.
            for_good: Whether they stay, whatever their time.

        Raises:
            StoreUnavailable: The outcome is unknown: do it again.
        """
        columns: dict[str, Sequence[Any]] = {
            "kind": [kind],
            "key": [key],
            "as_of": [as_of_ms],
            "generation": [generation],
            "numbers": [msgspec.json.encode(numbers)],
            "took_ms": [min(max(0, took_ms), 2**32 - 1)],
        }
        if for_good:
            columns["until"] = [FOR_GOOD_S]
        # A repeated row does no harm here; a remembered token whose row was lost would.
        settings = {**ONE_ORDER, "insert_deduplicate": 0}
        self._store.insert("kept_numbers", columns, settings=settings)

    def newest(
        self, kind: Kind, key: str, at_ms: int, generation: str | None = None
    ) -> Kept | None:
        """The newest numbers of a thing that are not of a later time.

        Args:
            kind: Of the thing.
            key: Of the thing.
            at_ms: The latest time that they may be of.
            generation: Only of that one; None: of any.

        Returns:
            None if there are none, or only of another layout.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        found = self.newest_of([(kind, key, generation or "")], at_ms)
        return found.get((kind, key))

    def newest_of(
        self, asked: Sequence[tuple[Kind, str, str]], at_ms: int
    ) -> dict[tuple[str, str], Kept]:
        """The newest numbers of some things that are not of a later time; one query.

        Args:
            asked: Kind, key and generation of each; '' for any generation.
            at_ms: The latest time that they may be of.

        Returns:
            By kind and key; what has none is not there.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        kinds, keys, generations = zip(*asked, strict=True)
        # What refreshers say has no generation: '' is the only one.
        are_known = all(kind == "refresher" or generation for kind, _, generation in asked)
        rows = self._store.rows(
            "kept_newest_of_generation" if are_known else "kept_newest",
            kinds=kinds,
            keys=keys,
            generations=generations,
            at_ms=at_ms,
        )
        wanted = {(kind, key) for kind, key, _ in asked}
        found = {(kind, key): _kept(kind, row) for kind, key, *row in rows}
        return {
            place: kept for place, kept in found.items() if kept is not None and place in wanted
        }

    def newest_of_each(self, kind: Kind, at_ms: int) -> dict[str, Kept]:
        """The newest numbers of all things of a kind, by key, that are not of a later time.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        rows = self._store.rows("kept_newest_of_each", kind=kind, at_ms=at_ms)
        found = {key: _kept(kind, row) for _, key, *row in rows}
        return {key: kept for key, kept in found.items() if kept is not None}

    def history(
        self,
        kind: Kind,
        key: str,
        generation: str,
        *,
        at_ms: int,
        since_ms: int = 0,
        n: int = POINTS,
    ) -> list[Kept]:
        """Numbers over time, oldest first, at most `n` and evenly spread over the time.

        Args:
            kind: Of the thing.
            key: Of the thing.
            generation: Of the definitions that they are made by.
            at_ms: None of a later time.
            since_ms: None of an earlier time.
            n: How many at most, at least 1.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        place = {"kind": kind, "key": key, "generation": generation}
        rows = self._store.rows("kept_times", **place, at_ms=at_ms, since_ms=since_ms)
        times_ms = spread([int(as_of_ms) for (as_of_ms,) in rows], n)
        if not times_ms:
            return []
        found = self._store.rows("kept_at", **place, times_ms=times_ms)
        every = (_kept(kind, row) for row in found)
        return [kept for kept in every if kept is not None]

    def stays_until_s(self, kind: Kind, key: str, kept: Kept) -> int:
        """When kept numbers may go, as seconds since 1970; 0 if they are gone.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        [(until,)] = self._store.rows(
            "kept_leaves",
            kind=kind,
            key=key,
            generation=kept.generation,
            as_of_ms=kept.as_of_ms,
        )
        return int(until)


def spread(times_ms: Sequence[int], n: int) -> list[int]:
    """At most `n` of ascending times: the last of each of `n` equal parts of the time.

    >>> spread([0, 1, 2, 50, 51, 99, 100], 2), spread([5, 6], 3), spread([], 4)
    ([50, 100], [5, 6], [])
    """
    if n < 1:
        raise ValueError(f"n is {n}, must be at least 1")
    if len(times_ms) <= n:
        return list(times_ms)
    first, span = times_ms[0], times_ms[-1] - times_ms[0] + 1
    last = {(at - first) * n // span: at for at in times_ms}
    return list(last.values())


def _kept(kind: Kind, row: Sequence[Any]) -> Kept | None:
    """A row's numbers; None if they are of another layout: the log has them all."""
    as_of_ms, generation, numbers, took_ms = row
    made_as, version = _TYPES[kind]
    try:
        found = msgspec.json.decode(numbers, type=made_as)
    except msgspec.DecodeError:
        return None
    if getattr(found, "version", None) != version:
        return None
    return Kept(int(as_of_ms), str(generation), found, int(took_ms))
