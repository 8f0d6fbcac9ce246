"""Long intervals of the log in parts that fit into memory."""

from collections.abc import Iterable
from typing import NamedTuple

from bandit.store.client import Store
from bandit.store.unit_plan import REPEATED_MS, UnitPlan

PART_ROWS = 1_000_000
"""Rows of the log that are added up at once, about: it bounds the memory."""
HOUR_MS = 3_600_000
LEAST_MS = 4 * REPEATED_MS
"""Parts of time are no shorter: each reads what lies before it, too, to know repetitions."""

Bound = dict[str, object]


class TimePart(NamedTuple):
    """Whole hours of an interval, as far as it goes.

    Attributes:
        from_ms: Exclusive.
        through_ms: Inclusive.
        rows_n: Rows in it, about.
    """

    from_ms: int
    through_ms: int
    rows_n: int


class UnitParts(NamedTuple):
    """How an interval of the log is cut.

    Units are added up by shards of their hash, since all of a unit has to come together; what adds
    up beside them by parts of time, each of which the store reads by its key.
    """

    shards_n: int
    times: tuple[TimePart, ...]

    @classmethod
    def of(cls, store: Store, plan: UnitPlan, from_ms: int, through_ms: int) -> "UnitParts":
        """Cut `(from_ms, through_ms]` by how much it holds. Raises `StoreUnavailable`."""
        added = plan.added()
        hours = store.rows(
            "unit_log_hours",
            surface=added["surface"],
            experiment=added["experiment"],
            outcome_names=added["outcome_names"],
            from_ms=from_ms,
            through_ms=through_ms,
        )
        rows_n = sum(n for _, n in hours)
        return cls(_shards_n(rows_n), tuple(times_of(hours, from_ms, through_ms)))

    def shards(self) -> list[Bound]:
        """Parameters of every shard of units."""
        return [{"shard": shard, "shards_n": self.shards_n} for shard in range(self.shards_n)]

    def sums(self, plan: UnitPlan) -> list[Bound]:
        """Parameters of every part of what adds up beside the units."""
        # With parts, all rows between are read anyway; a step of some minutes looks for few units.
        of_experiment = "" if len(self.times) > 1 else plan.experiment.key
        return [
            {
                "from_ms": part.from_ms,
                "reach_ms": max(0, part.from_ms + 1 - REPEATED_MS),
                "through_ms": part.through_ms,
                "of_experiment": of_experiment,
                "shard": shard,
                "shards_n": _shards_n(part.rows_n),
            }
            for part in self.times
            for shard in range(_shards_n(part.rows_n))
        ]


def _shards_n(rows_n: int) -> int:
    return max(1, -(-rows_n // PART_ROWS))


def times_of(hours: Iterable[tuple[int, int]], from_ms: int, through_ms: int) -> Iterable[TimePart]:
    """Whole hours together, as many as fit; the parts cover the interval without gaps.

    Args:
        hours: Beginning and rows of each that has any, in order.
        from_ms: Beginning of the interval, exclusive.
        through_ms: Its end, inclusive.

    >>> busy = [(hour * HOUR_MS, 400_000) for hour in range(12)]
    >>> [part.rows_n for part in times_of(busy, -1, 12 * HOUR_MS)]
    [3200000, 1600000]
    """
    began_ms, rows_n = from_ms, 0
    first_ms: int | None = None
    for hour_ms, n in hours:
        first_ms = hour_ms if first_ms is None else first_ms
        if rows_n + n > PART_ROWS and hour_ms - first_ms >= LEAST_MS:
            yield TimePart(began_ms, hour_ms - 1, rows_n)
            began_ms, rows_n, first_ms = hour_ms - 1, 0, hour_ms
        rows_n += n
    yield TimePart(began_ms, through_ms, rows_n)
