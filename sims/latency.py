"""How long feedback takes to be served: from the close of its window to a model that knows it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sims.ledger import Ledger


def feedback_to_served_s(
    ledger: Ledger, policy: str, watermarks_ms: Mapping[int, int], window_ms: float
) -> NDArray[np.float64]:
    """Seconds from the end of each decision's join window until a model that knows it served.

    The join window is left out because it is the operator's choice; everything else (journal,
    drain, store, learner, snapshot, refresh of a worker, the next request) is in. Decisions that
    no later snapshot served are left out: the traffic ended before.

    Args:
        ledger: What the client saw.
        policy: The learning policy.
        watermarks_ms: Snapshot number → time up to which decisions are in it.
        window_ms: The join window.

    Returns:
        `(n,)`, ascending.
    """
    served = sorted((s.snapshot, s.ts_ms) for s in ledger.shown if s.policy == policy)
    if not served or not watermarks_ms:
        return np.empty(0)
    served_numbers, served_ms = (np.array(column) for column in zip(*served, strict=True))
    first_ms = np.minimum.accumulate(served_ms[::-1])[::-1]  # by this snapshot or a later one
    numbers = np.array(sorted(watermarks_ms))
    marks = np.array([watermarks_ms[number] for number in numbers])
    decided_ms = np.array([shown.ts_ms for shown in ledger.shown])
    snapshot = np.searchsorted(marks, decided_ms)  # the first whose watermark covers it
    decided_ms, snapshot = decided_ms[snapshot < marks.size], snapshot[snapshot < marks.size]
    place = np.searchsorted(served_numbers, numbers[snapshot])
    seen = place < served_numbers.size
    return np.sort((first_ms[place[seen]] - decided_ms[seen] - window_ms) / 1000)
