"""Single decisions out of the log."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from bandit.errors import NotFound
from bandit.records import Action, LoggedDecision
from bandit.store.catalogue_history import CatalogueHistory, actions_of
from bandit.store.client import Store
from bandit.store.logged import decision_of, place_of

_AROUND_MS = 2 * 3_600_000
"""A client's own event id may be an hour away from when its decision was accepted; twice that."""


class Decisions:
    """The log, asked for decisions."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, event_id: str) -> LoggedDecision:
        """One decision.

        Args:
            event_id: A UUIDv7: its time tells where to look.

        Raises:
            NotFound: The log does not hold it (yet).
            StoreUnavailable: The store did not answer, or lacks the catalogue of the decision.
        """
        try:
            event = UUID(event_id)
        except ValueError:
            raise NotFound(f"decision {event_id[:64]!r} is not in the log") from None
        ts_ms = event.int >> 80
        where: dict[str, object] = {
            "event_id": str(event),
            "since_ms": max(0, ts_ms - _AROUND_MS),
            "until_ms": ts_ms + _AROUND_MS,
        }
        rows = self._store.rows("decision", **where)
        if not rows:
            raise NotFound(f"decision {event_id!r} is not in the log")
        return decision_of(rows[0], self._out_of_catalogue(rows[0], where))

    def overrides(self, event_id: str) -> dict[int, str]:
        """Slots of a decision that showed another item than the one ranked, and which.

        Args:
            event_id: Of a decision that `find` found.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        ts_ms = UUID(event_id).int >> 80
        rows = self._store.rows(
            "decision_overrides",
            event_id=event_id,
            since_ms=max(0, ts_ms - _AROUND_MS),
            until_ms=ts_ms + _AROUND_MS,
        )
        return dict(rows)

    def find_newest(self, event_ids: Sequence[str]) -> LoggedDecision:
        """The decision of the newest of several event ids that is there.

        Args:
            event_ids: UUIDv7s, newest first.

        Raises:
            NotFound: The log holds none of them (yet).
            StoreUnavailable: The store did not answer.
        """
        times = [UUID(event_id).int >> 80 for event_id in event_ids]
        known = self._store.rows(
            "decisions_known",
            event_ids=list(event_ids),
            since_ms=max(0, min(times) - _AROUND_MS),
            until_ms=max(times) + _AROUND_MS,
        )
        there = {row[0] for row in known}
        for event_id in event_ids:
            if event_id in there:
                return self.find(event_id)
        raise NotFound(f"none of {len(event_ids)} event ids is in the log")

    def span(self, surface: str) -> tuple[int, int] | None:
        """When the first and the last decision of a surface were made; None if there is none.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        [(first_ms, last_ms, rows_n)] = self._store.rows("decisions_span", surface=surface)
        return (first_ms, last_ms) if rows_n else None

    def sample(self, surface: str, n: int, seed: int) -> list[LoggedDecision]:
        """Decisions drawn at random without replacement; the same log and seed give the same ones.

        Raises:
            StoreUnavailable: The store did not answer, or lacks the catalogue of a decision.
        """
        rows = self._store.rows("decision_sample", surface=surface, n=n, seed=seed)
        return CatalogueHistory(self._store).decisions_of(rows)

    def newest(self, surface: str, since_ms: int, n: int) -> list[LoggedDecision]:
        """The newest decisions from a time on, newest first.

        Raises:
            StoreUnavailable: The store did not answer, or lacks the catalogue of a decision.
        """
        rows = self._store.rows("recent_whole_decisions", surface=surface, since_ms=since_ms, n=n)
        return CatalogueHistory(self._store).decisions_of(rows)

    def _out_of_catalogue(
        self, row: Sequence[Any], where: Mapping[str, object]
    ) -> tuple[Action, ...] | None:
        """The actions that one decision offered, looked up without loading a whole catalogue."""
        surface, version, ids = place_of(row)
        if not version:
            return None
        found = self._store.rows("catalogue_of_decision", surface=surface, version=version, **where)
        held = {id_: Action(id=id_, features=msgspec.Raw(raw)) for id_, raw in found}
        return actions_of(surface, version, ids, held)
