"""Keeps what policies showed over time: each time only what came since is read of the log."""

from bandit.store.allocation import AllocationNumbers, Allocations
from bandit.store.kept import KeptNumbers

SELDOM_MS = 300_000
"""Numbers of a long time are not kept anew more often: nobody would see the difference."""
HOLD_MS = 1_800_000
"""Numbers that do not change are kept anew before they go, which is after an hour."""


def keep_allocation(
    kept: KeptNumbers, allocations: Allocations, surface: str, through_ms: int
) -> AllocationNumbers:
    """Keep a surface's allocation as of a time, if it is due.

    Args:
        kept: Where.
        allocations: Of the log.
        surface: Its key.
        through_ms: Whatever had been accepted by then is in the log.

    Returns:
        The newest that is kept.

    Raises:
        StoreUnavailable: The store did not answer; what was kept before holds.
    """
    newest = kept.newest("allocation", surface, through_ms)
    before = AllocationNumbers(surface=surface) if newest is None else newest.numbers
    assert isinstance(before, AllocationNumbers)
    since_ms = through_ms - before.as_of_ms
    if newest is not None and since_ms < due_after_ms(before):
        return before
    grown = allocations.grown(before, through_ms)
    if newest is None or since_ms >= HOLD_MS or grown.drawn != before.drawn:
        kept.keep("allocation", surface, grown.as_of_ms, "", grown, 0)
        return grown
    return before


def due_after_ms(numbers: AllocationNumbers) -> int:
    """How long numbers are new enough: a small part of a bucket.

    >>> due_after_ms(AllocationNumbers(surface="home", bucket_ms=60_000))
    6000
    """
    return min(SELDOM_MS, numbers.bucket_ms // 10)
