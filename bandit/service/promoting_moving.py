"""Moves ramps on at a pace, beside something else that a process does."""

import logging
from collections.abc import Callable, Sequence

from bandit.logs import tell
from bandit.service.promoting_records import Promotion

log = logging.getLogger(__name__)

INTERVAL_S = 10.0


class RampMover:
    """Calls `advance` when it is due, and says what ended; for one thread."""

    def __init__(
        self,
        advance: Callable[[], Sequence[Promotion]],
        *,
        monotonic_s: Callable[[], float],
        interval_s: float = INTERVAL_S,
    ) -> None:
        """Know of nothing yet.

        Args:
            advance: `PromotionService.advance`.
            monotonic_s: A clock that never goes back, for the pace.
            interval_s: The least time between two passes.
        """
        self._advance = advance
        self._monotonic_s = monotonic_s
        self._interval_s = interval_s
        self._due_s = float("-inf")
        self._told: dict[tuple[str, int | None], tuple[str, float]] = {}

    def step(self) -> None:
        """Move what is under way, if it is time.

        Raises:
            StoreUnavailable: The store did not answer; the next step tries again.
        """
        if self._monotonic_s() < self._due_s:
            return
        for one in self._advance():
            place, now = (one.surface, one.id), (one.state, one.share)
            if self._told.get(place) != now:
                tell(
                    log,
                    logging.INFO,
                    "promotion_moved",
                    "promotion %(id)d of %(surface)s is %(state)s at %(share)s",
                    id=one.id,
                    surface=one.surface,
                    state=one.state,
                    share=one.share,
                )
            self._told[place] = now
        self._due_s = self._monotonic_s() + self._interval_s
