"""The log as the gate reads it: decisions of the live policy with a shadow's say, in slices."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandit.store.client import Store
from bandit.store.reports import Scope, joining

ROWS = 100_000
"""About so many decisions are read at a time, or one hour's."""
HOUR_MS = 3_600_000
MOST_VALUES = 20
"""A member of the context with more values than this makes no segments by itself."""


class GateRows(NamedTuple):
    """Decisions in the order they were made.

    Attributes:
        unit: `(n,)` a hash of who each was made for.
        propensity, reward: `(n,)` of the top slot.
        target: `(n,)` the challenger's probability of what was drawn; -1 where nothing says.
        why: `(n,)` why no importance weight holds; '' where one does.
        segments: Of each the members asked for, as JSON; '' where one is absent.
    """

    unit: NDArray[np.uint64]
    propensity: NDArray[np.float64]
    reward: NDArray[np.float64]
    target: NDArray[np.float64]
    why: NDArray[np.str_]
    segments: NDArray[np.str_]


class GateLog:
    """What a surface's live policy decided, for one challenger."""

    def __init__(self, store: Store, scope: Scope, live: str, challenger: str) -> None:
        """Read a log.

        Args:
            store: Which.
            scope: The surface, since when and as of when.
            live: Whose decisions.
            challenger: Whose shadow probabilities.
        """
        self._store = store
        self._scope = scope
        self._live = live
        self._challenger = challenger

    def hours(self) -> list[tuple[int, int, float]]:
        """Start of each hour with closed decisions, how many, and their least declared floor."""
        rows = self._store.rows("gate_hours", **self._place())
        return [(int(at), int(n), float(floor)) for at, n, floor in rows]

    def members(self) -> list[str]:
        """Members of the context that take few values."""
        return [
            member
            for (member,) in self._store.rows("gate_members", **self._place(), most=MOST_VALUES)
        ]

    def slices(
        self, hours: Sequence[tuple[int, int, float]], members: Sequence[str]
    ) -> Iterator[GateRows]:
        """All of it, oldest first, in slices of whole hours.

        Args:
            hours: As `hours` says.
            members: Of the context, to tell segments apart by.
        """
        begin_ms, rows_n = None, 0
        for place, (at_ms, n, _) in enumerate(hours):
            begin_ms = max(at_ms, self._scope.from_ms) if begin_ms is None else begin_ms
            rows_n += n
            if rows_n >= ROWS or place == len(hours) - 1:
                through_ms = min(at_ms + HOUR_MS - 1, self._scope.closed_ms)
                yield self._rows(begin_ms, through_ms, members)
                begin_ms, rows_n = None, 0

    def _rows(self, from_ms: int, through_ms: int, members: Sequence[str]) -> GateRows:
        given = joining(self._scope) | {"from_ms": from_ms, "through_ms": through_ms}
        found = self._store.columns(
            "gate_rows",
            **given,
            live=self._live,
            challenger=self._challenger,
            members=list(members),
        )
        unit = np.asarray(found["unit"], dtype=np.uint64)
        segments = np.asarray(found["segments"], dtype=np.str_)
        return GateRows(
            unit=unit,
            propensity=np.asarray(found["propensity"], dtype=np.float64),
            reward=np.asarray(found["reward"], dtype=np.float64),
            target=np.asarray(found["target"], dtype=np.float64),
            why=np.asarray(found["why"], dtype=np.str_),
            segments=segments.reshape(len(unit), len(members)),
        )

    def _place(self) -> dict[str, object]:
        return {
            "surface": self._scope.surface.key,
            "live": self._live,
            "from_ms": self._scope.from_ms,
            "through_ms": self._scope.closed_ms,
        }
