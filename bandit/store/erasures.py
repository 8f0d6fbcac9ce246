"""What was forgotten of units: found, taken out of the tables, and noted without naming anybody."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

from bandit.errors import NotFound, StoreRejected
from bandit.records import TABLES, Record
from bandit.store.client import Store

State = Literal["requested", "erased", "rebuilt"]

PLACES_N = 500
"""Rows that one statement removes: it names them one by one."""
_SCRUBBED = (*TABLES, "snapshots", "unit_states")


class Place(NamedTuple):
    """Where a row lies in its table."""

    surface: str
    writer: str
    seq: int


class Erasure(Record, frozen=True, kw_only=True):
    """The receipt of what was forgotten of one unit.

    Attributes:
        unit_digest: Of the unit's id, keyed: it tells whoever knows the unit.
        state: `requested` = begun, `erased` = no row of it is left, `rebuilt` = and no weights
            that were learned from it serve or can be loaded.
        removed: Rows and files, by where they were.
        policies: That had learned from its surfaces, and started over.
        digests: `policy@number` → digest, of the snapshots that they came to instead.
        requested_ms: When it was begun.
        at_ms: When it came to this state.
        author: Who ran it.
    """

    erasure_id: str
    unit_digest: str
    state: State
    removed: dict[str, int] = {}
    policies: list[str] = []
    digests: dict[str, str] = {}
    requested_ms: int
    at_ms: int
    author: str


def unit_digest(unit_id: str, salt: bytes) -> str:
    """What a receipt calls a unit: 32 hex digits, keyed with the project's secret."""
    text = unit_id.encode(errors="surrogatepass")
    return hashlib.blake2b(text, digest_size=16, key=salt, person=b"forgotten").hexdigest()


class Erasures:
    """Receipts, and the statements that they are receipts of."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def note(self, erasure: Erasure) -> None:
        """Keep how far an erasure came; the last word does not undo an earlier one.

        Raises:
            StoreUnavailable: The outcome is unknown: note it again.
        """
        columns: dict[str, Sequence[object]] = {
            name: [getattr(erasure, name)]
            for name in ("erasure_id", "unit_digest", "state", "removed", "policies", "digests")
        }
        columns |= {"at": [erasure.at_ms], "author": [erasure.author]}
        self._store.insert("erasures", columns, settings={"insert_deduplicate": 0})

    def get(self, erasure_id: str) -> Erasure:
        """A receipt.

        Raises:
            NotFound: There is none of that id.
            StoreUnavailable: The store did not answer.
        """
        [row] = self._store.rows("erasure", erasure_id=erasure_id)
        digest, state, removed, policies, digests, requested_ms, at_ms, author, rows_n = row
        if not rows_n:
            raise NotFound(f"erasure {erasure_id!r} is not known")
        return Erasure(
            erasure_id=erasure_id,
            unit_digest=digest,
            state=state,
            removed=dict(removed),
            policies=list(policies),
            digests=dict(digests),
            requested_ms=requested_ms,
            at_ms=at_ms,
            author=author,
        )

    def unfinished(self, digest: str) -> str | None:
        """Id of the erasure of a unit that was begun and not ended, if there is one.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        rows = self._store.rows("unfinished_erasure", unit_digest=digest)
        return rows[0][0] if rows else None

    def of_policies(self) -> dict[str, int]:
        """How many erasures each policy underwent; cheap enough to ask every second.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        return dict(self._store.rows("policy_erasures"))

    def event_ids(self, unit_id: str, until_ms: int) -> list[str]:
        """Event ids of a unit's decisions, accepted by a time. Raises `StoreUnavailable`."""
        found = self._store.columns("unit_event_ids", unit_id=unit_id, until_ms=until_ms)
        return list(found["event"])

    def places(self, table: str, unit_id: str, until_ms: int) -> list[Place]:
        """Where a table holds rows of a unit or about its decisions, accepted by a time.

        What is about decisions is found as long as these are there.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        query = "unit_event_places" if table in {"rewards", "exposures"} else "unit_places"
        rows = self._store.rows(query, table=table, unit_id=unit_id, until_ms=until_ms)
        return [Place(*row) for row in rows]

    def remove(self, table: str, places: Iterable[Place]) -> None:
        """Take rows out of a table; those that are not there do no harm.

        Raises:
            StoreUnavailable: Some may be left: do it again.
            StoreRejected: The store refused.
        """
        for some in _batched(places, PLACES_N):
            self._store.command(
                "erase_places", table=self._local(table), places=[tuple(place) for place in some]
            )

    def policies_that_learned(self, surfaces: Sequence[str]) -> list[str]:
        """Policies whose snapshots have read decisions of surfaces. Raises `StoreUnavailable`."""
        return [row[0] for row in self._store.rows("policies_that_learned", surfaces=surfaces)]

    def remove_weights(self, policy: str, erasures_n: int) -> None:
        """Empty the weights that a policy had before its `erasures_n`-th erasure.

        Raises:
            StoreUnavailable: Some may be left: do it again.
        """
        self._store.command("erase_weights", policy=policy, erasures=erasures_n)

    def remove_promptly(self, *, promptly: bool) -> None:
        """Let the store remove replaced files within the minute, or as it is used to.

        Raises:
            StoreUnavailable: The outcome is unknown: do it again.
        """
        for table in _SCRUBBED:
            self._store.command(
                "remove_promptly" if promptly else "remove_as_usual", table=self._local(table)
            )

    def replaced_files(self) -> set[tuple[str, str]]:
        """Table and name of what still holds rows as they were, on this node; it is asked to go.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        for table in _SCRUBBED:
            with suppress(StoreRejected):  # an older server, or no right to it: it goes by itself
                self._store.command("look_for_replaced_files", table=self._local(table))
        rows = self._store.rows(
            "replaced_parts",
            database=self._store.database,
            tables=[self._local(table) for table in _SCRUBBED],
        )
        return {(table, name) for table, name in rows}

    def _local(self, table: str) -> str:
        """The table that holds a shard's rows."""
        return table if self._store.cluster is None else f"{table}_local"


def _batched(places: Iterable[Place], n: int) -> Iterator[list[Place]]:
    left = list(places)
    for start in range(0, len(left), n):
        yield left[start : start + n]
