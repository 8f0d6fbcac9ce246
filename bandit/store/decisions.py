"""Single decisions out of the log."""

from uuid import UUID

from bandit.errors import NotFound
from bandit.records import LoggedDecision
from bandit.store.client import Store
from bandit.store.logged import decision_of

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
            StoreUnavailable: The store did not answer.
        """
        try:
            event = UUID(event_id)
        except ValueError:
            raise NotFound(f"decision {event_id[:64]!r} is not in the log") from None
        ts_ms = event.int >> 80
        rows = self._store.rows(
            "decision",
            event_id=str(event),
            since_ms=max(0, ts_ms - _AROUND_MS),
            until_ms=ts_ms + _AROUND_MS,
        )
        if not rows:
            raise NotFound(f"decision {event_id!r} is not in the log")
        return decision_of(rows[0])

    def sample(self, surface: str, n: int, seed: int) -> list[LoggedDecision]:
        """Decisions drawn at random without replacement; the same log and seed give the same ones.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        rows = self._store.rows("decision_sample", surface=surface, n=n, seed=seed)
        return [decision_of(row) for row in rows]
