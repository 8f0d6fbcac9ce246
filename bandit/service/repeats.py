"""Repeated event ids: what was answered the first time is answered again, never drawn anew.

A worker remembers its latest answers. What it does not remember may be in the log, written by
another worker or before a restart: `PastDecisions` asks the store, off the event loop and within
a deadline. An id that nobody finds in time is drawn; the draw's seed is a function of the id, so
even then the same policy gives the same ranking.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bandit.errors import NotFound, StoreError
from bandit.records import LoggedDecision
from bandit.wire import AssignedVariant, RankAnswer, RankedAction

IN_FLIGHT_MS = 1_000
"""Younger decisions may not have reached the store yet: not worth asking."""


class RecentAnswers:
    """The latest answers by event id: at least `size` (less if they are long), at most twice.

    Two generations instead of one ordered map: nothing is evicted one by one on the hot path.
    """

    def __init__(self, size: int = 10_000, *, slots_n: int = 100_000) -> None:
        """Remember nothing yet.

        Args:
            size: Of one generation, in answers.
            slots_n: And in slots of their rankings: what bounds its memory to some 30 MB.
        """
        self._size = size
        self._slots_n = slots_n
        self._young_slots_n = 0
        self._young: dict[str, RankAnswer] = {}
        self._old: dict[str, RankAnswer] = {}

    def get(self, event_id: str) -> RankAnswer | None:
        """The answer that was given to `event_id`, if it is still remembered."""
        return self._young.get(event_id) or self._old.get(event_id)

    def put(self, event_id: str, answer: RankAnswer) -> None:
        """Remember an answer."""
        if len(self._young) >= self._size or self._young_slots_n >= self._slots_n:
            self._old, self._young, self._young_slots_n = self._young, {}, 0
        self._young[event_id] = answer
        self._young_slots_n += len(answer.ranking)


class PastDecisions:
    """Looks decisions up in the log without ever blocking the event loop."""

    def __init__(
        self,
        find: Callable[[str], LoggedDecision],
        *,
        deadline_s: float = 1.0,
        pause_s: float = 5.0,
        monotonic_s: Callable[[], float],
    ) -> None:
        """Make a look-up.

        Args:
            find: The store's, blocking; raises `NotFound` or `StoreError`.
            deadline_s: How long a client may be kept waiting for it.
            pause_s: How long nothing is asked after the store failed or was too slow.
            monotonic_s: A clock that never goes back.
        """
        self._find = find
        self._deadline_s = deadline_s
        self._pause_s = pause_s
        self._monotonic_s = monotonic_s
        self._paused_until_s = float("-inf")
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="past-decisions")

    async def find(self, event_id: str) -> LoggedDecision | None:
        """The logged decision, or None if the log has none or can not tell in time."""
        if self._monotonic_s() < self._paused_until_s:
            return None
        loop = asyncio.get_running_loop()
        search = loop.run_in_executor(self._threads, self._find, event_id)
        try:
            return await asyncio.wait_for(search, self._deadline_s)
        except NotFound:
            return None
        except (StoreError, TimeoutError):
            self._paused_until_s = self._monotonic_s() + self._pause_s
            return None

    def close(self) -> None:
        """Stop looking; what is under way is left to end by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def answer_of(decision: LoggedDecision, token: str | None = None) -> RankAnswer:
    """The answer that a logged decision was given, with its token."""
    variant = AssignedVariant(key=decision.experiment, variant=decision.variant)
    return RankAnswer(
        event_id=decision.event_id,
        ranking=[
            RankedAction(id=decision.actions[index].id, slot=slot, propensity=propensity)
            for slot, (index, propensity) in enumerate(
                zip(decision.ranking, decision.propensities, strict=True)
            )
        ],
        experiment=variant if decision.experiment else None,
        policy=decision.policy,
        snapshot=f"{decision.policy}@{decision.snapshot}",
        token=token,
    )
