"""What clients saw, from their own journal: gaps, failures, recovery, latency."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tests.chaos.acknowledged import Attempt
from tests.chaos.rig import Event


class Figures(NamedTuple):
    """Of one fault's whole run; times in seconds, shares of all requests."""

    requests_n: int
    gap_s: float
    """Longest time without a served ranking."""
    failed_share: float
    """No answer, or another than was due."""
    refused_share: float
    """503: told to come back later."""
    recovery_s: float
    """Longest wait, after a fault's end, until a ranking and a reward sent since were accepted."""
    longest_s: float
    """The slowest call of all."""
    p99_before_s: float
    """Of rankings before the first fault, from when they were due."""
    p99_during_s: float
    """The same, while a fault held; NaN if it was only a moment."""
    outcomes: Counter[str]
    """Requests that were not served, by what came back."""


def figures(attempts: Sequence[Attempt], events: Sequence[Event]) -> Figures:
    """Sum up a run.

    Args:
        attempts: Of the load, in any order.
        events: Of the faults, at least one.
    """
    served = sorted(one.done_s for one in attempts if one.kind == "rank" and one.is_served)
    refused_n = sum(one.status == 503 for one in attempts)
    missed = Counter(_outcome(one) for one in attempts if not one.is_served)
    return Figures(
        len(attempts),
        max(later - sooner for sooner, later in itertools.pairwise(served)),
        (missed.total() - refused_n) / len(attempts),
        refused_n / len(attempts),
        max(_recovery_s(attempts, event.ended_s) for event in events),
        max(one.done_s - one.sent_s for one in attempts),
        _p99_s(one for one in attempts if one.planned_s < events[0].began_s),
        _p99_s(
            one
            for one in attempts
            if any(event.began_s <= one.planned_s < event.ended_s for event in events)
        ),
        missed,
    )


def gaps(attempts: Iterable[Attempt], longer_than_s: float) -> list[tuple[float, float]]:
    """When no ranking was served for so long: from, to."""
    served = sorted(one.done_s for one in attempts if one.kind == "rank" and one.is_served)
    pairs = itertools.pairwise(served)
    return [(sooner, later) for sooner, later in pairs if later - sooner > longer_than_s]


def _recovery_s(attempts: Iterable[Attempt], ended_s: float) -> float:
    """How long a write took to be accepted that was not sent before; infinite if none was."""
    first = {"rank": math.inf, "reward": math.inf}
    for one in attempts:
        if one.kind in first and one.is_served and one.logged and one.sent_s >= ended_s:
            first[one.kind] = min(first[one.kind], one.done_s - ended_s)
    return max(first.values())


def _p99_s(attempts: Iterable[Attempt]) -> float:
    found = sorted(
        one.done_s - one.planned_s for one in attempts if one.kind == "rank" and one.is_served
    )
    return found[min(len(found) - 1, int(len(found) * 0.99))] if found else math.nan


def _outcome(one: Attempt) -> str:
    return f"{one.kind} {one.status or one.error}"
