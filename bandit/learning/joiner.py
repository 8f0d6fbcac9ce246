"""Decisions ⋈ rewards in the join window; a pure state machine over rows and watermarks.

What it remembers after `close(w)` depends on the rows added so far and on w alone, not on the
order they came in or on the steps before: so `restore` from the rows of the recent past gives
the state of a joiner that never stopped. That holds because everything is remembered and
forgotten by the time inside the event id, which all rows about one decision share.
"""

import heapq
from collections.abc import Iterable

import msgspec

from bandit.learning.counts import Counts
from bandit.learning.totals import slot_totals, window_ms
from bandit.policies.base import Lesson
from bandit.policies.slots import learned_slot
from bandit.records import Action, Exposure, LoggedDecision
from bandit.specs import PolicySpec, Surface
from bandit.store.logged import LoggedReward
from bandit.store.tail import TailBatch

SKEW_MS = 3_600_000
"""The time in an event id is at most this far from its decision's (the service sees to it)."""
MINUTE_MS = 60_000
"""What is forgotten is forgotten by whole minutes."""


class Joined(msgspec.Struct, frozen=True):
    """A closed decision: nothing can change any more what its slots earned.

    Attributes:
        decision: As logged.
        earned: (slot, reward) of every seen slot, top first; empty if nothing was seen.
        rewarded: False if there is nothing in `earned` but defaults.
    """

    decision: LoggedDecision
    earned: tuple[tuple[int, float], ...]
    rewarded: bool

    def lessons(self, spec: PolicySpec | None = None) -> list[Lesson]:
        """One lesson per slot that was drawn and seen, over the pool that it was drawn from.

        A pinned slot gives none: nobody chose what it showed. Nor does a decision whose variant
        was set by hand: who tests is not who comes.

        Args:
            spec: Whose `slot_model` decides what a lesson says of its slot; None: nothing.
        """
        decision = self.decision
        lessons: list[Lesson] = []
        if decision.forced:
            return lessons
        for slot, reward in self.earned:
            if slot in decision.pinned or slot >= len(decision.propensities):
                continue  # the service never wrote it without: no learner may end of it
            drawn = decision.ranking[slot]
            gone = {*decision.excluded, *decision.ranking[:slot]}
            if decision.blocked:
                gone.update(decision.blocked[slot])
            lessons.append(
                Lesson(
                    context=decision.context,
                    actions=_without(decision, gone) if gone else decision.actions,
                    drawn=drawn - sum(index < drawn for index in gone),
                    propensity=decision.propensities[slot],
                    reward=reward,
                    slot=learned_slot(spec, slot, decision.slot_features) if spec else b"",
                )
            )
        return lessons


class _Event(msgspec.Struct):
    """All that is known of one event id that is not closed."""

    born_ms: int
    decision: LoggedDecision | None = None
    rewards: list[LoggedReward] = []
    exposures: list[Exposure] = []


class Joiner:
    """Collects rows and closes decisions.

    Attributes:
        surface: Says what counts at the next `close`; it may be replaced at any time.
        counts: Goes up as rows turn out late, repeated, orphaned or out of bounds.
        watermark_ms: The last one closed at; 0 before any.
    """

    def __init__(self, surface: Surface, *, only_policy: str | None = None) -> None:
        """Start with nothing.

        Args:
            surface: Whose rows will be added.
            only_policy: Leave out the decisions that other policies drew.
        """
        self.surface = surface
        self.counts = Counts()
        self.watermark_ms = 0
        self._only_policy = only_policy
        self._open: dict[str, _Event] = {}
        self._closed: dict[int, set[str]] = {}  # minute of the event id → event ids
        self._strays: set[str] = set()  # came when their minute was already forgotten
        self._due: list[tuple[int, str]] = []  # heaps of (ts, event_id)
        self._due_foreign: list[tuple[int, str]] = []

    @staticmethod
    def since_ms(watermark_ms: int) -> int:
        """How far back `restore` needs to look: both by decisions' times and `decision_ts_ms`."""
        return max(0, watermark_ms - 2 * SKEW_MS - MINUTE_MS)

    def restore(
        self, closed: Iterable[str], rows: TailBatch, watermark_ms: int, counts: Counts
    ) -> None:
        """Become what an uninterrupted joiner was after `close(watermark_ms)`.

        Args:
            closed: Event ids of the decisions up to its cursor, from `since_ms(watermark_ms)` to
                `watermark_ms`.
            rows: The decisions after that, and all other rows from `since_ms(watermark_ms)` on.
            watermark_ms: The last one it closed at.
            counts: What it had counted by then.
        """
        horizon = _horizon(watermark_ms)
        for event_id in closed:
            born = born_ms(event_id)
            if born >= horizon:
                self._closed.setdefault(born // MINUTE_MS, set()).add(event_id)
        self.add(rows)
        self.close(watermark_ms)
        self.counts = counts.copy()

    def add(self, rows: TailBatch) -> None:
        """Take rows in, in any order; each row once."""
        self.counts.given_up += rows.given_up_n
        for decision in rows.decisions:
            self._add_decision(decision)
        for reward_row in rows.rewards:
            reward = reward_row.record
            event = self._event(reward.event_id, reward.decision_ts_ms)
            if event is None:
                self.counts.late += 1
            else:
                event.rewards.append(reward_row)
        for exposure_row in rows.exposures:
            exposure = exposure_row.record
            event = self._event(exposure.event_id, exposure.decision_ts_ms)
            if event is not None:
                event.exposures.append(exposure)

    def strays(self, decisions: Iterable[LoggedDecision]) -> set[str]:
        """Event ids of which it does not remember any more whether they were closed."""
        horizon = _horizon(self.watermark_ms)
        return {
            decision.event_id
            for decision in decisions
            if born_ms(decision.event_id) < horizon and decision.event_id not in self._open
        }

    def can_close(self, watermark_ms: int) -> bool:
        """Whether `close(watermark_ms)` would give any decision to learn from."""
        return bool(self._due) and self._due[0][0] <= watermark_ms

    def is_settled(self, watermark_ms: int) -> bool:
        """Whether `close(watermark_ms)` would close, forget and count nothing at all."""
        return not (
            self.can_close(watermark_ms)
            or (self._due_foreign and self._due_foreign[0][0] <= watermark_ms)
            or self._strays
            or self._orphaned(_horizon(watermark_ms))
        )

    def bounded(self, watermark_ms: int, limit: int) -> int:
        """The latest watermark up to `watermark_ms` that closes about `limit` decisions at most.

        Decisions of one millisecond are closed together, however many they are.
        """
        due = [ts_ms for ts_ms, _ in self._due if ts_ms <= watermark_ms]
        if len(due) <= limit:
            return watermark_ms
        return max(self.watermark_ms, sorted(due)[limit - 1])

    def close(self, watermark_ms: int) -> list[Joined]:
        """Close the decisions up to a time that can get no more rewards.

        Args:
            watermark_ms: Not before the last one; every reward in the window of every decision
                up to it has been added.

        Returns:
            In the order `(ts, event_id)`; also those of which nothing was seen.
        """
        if watermark_ms < self.watermark_ms:
            raise ValueError(
                f"watermark is {watermark_ms}, must be at least the last one, {self.watermark_ms}"
            )
        before, after = _horizon(self.watermark_ms), _horizon(watermark_ms)
        self.watermark_ms = watermark_ms
        joined = [
            self._join(event.decision, event)
            for event in self._pop(self._due, own=True)
            if event.decision is not None
        ]
        for _ in self._pop(self._due_foreign, own=False):
            pass
        self._forget_strays()
        if after > before:
            self._forget(after)
        return joined

    def __len__(self) -> int:
        """How many decisions wait for their window to end."""
        return len(self._due) + len(self._due_foreign)

    def _add_decision(self, decision: LoggedDecision) -> None:
        event = self._event(decision.event_id, born_ms(decision.event_id))
        if event is None:
            self.counts.duplicate += 1
            return
        if event.decision is not None:
            self.counts.duplicate += 1
            if _place(event.decision) < _place(decision):
                return
        event.decision = decision
        heap = self._due if self._is_own(decision) else self._due_foreign
        heapq.heappush(heap, (decision.ts_ms, decision.event_id))

    def _event(self, event_id: str, born: int) -> _Event | None:
        """What is known of an event id; None if it is closed."""
        event = self._open.get(event_id)
        if event is None:
            if event_id in self._closed.get(born // MINUTE_MS, ()):
                return None
            event = self._open[event_id] = _Event(born)
            if born < _horizon(self.watermark_ms):
                self._strays.add(event_id)
        return event

    def _is_own(self, decision: LoggedDecision) -> bool:
        return self._only_policy is None or decision.policy == self._only_policy

    def _pop(self, heap: list[tuple[int, str]], *, own: bool) -> Iterable[_Event]:
        """Take the events due out of `_open`; a decision that a copy replaced is skipped."""
        horizon = _horizon(self.watermark_ms)
        while heap and heap[0][0] <= self.watermark_ms:
            ts_ms, event_id = heapq.heappop(heap)
            event = self._open.get(event_id)
            if event is None or event.decision is None:
                continue
            if event.decision.ts_ms != ts_ms or self._is_own(event.decision) is not own:
                continue
            del self._open[event_id]
            if event.born_ms >= horizon:
                self._closed.setdefault(event.born_ms // MINUTE_MS, set()).add(event_id)
            yield event

    def _join(self, decision: LoggedDecision, event: _Event) -> Joined:
        surface = self.surface
        rewards = event.rewards
        totals = slot_totals(decision, rewards, surface, self.counts) if rewards else {}
        exposed, overridden = self._exposed(decision, event.exposures)
        seen = totals.keys() | exposed if decision.deferred else set(range(len(decision.ranking)))
        default = surface.default_reward
        earned = tuple((slot, totals.get(slot, default)) for slot in sorted(seen - overridden))
        return Joined(decision, earned, not overridden.issuperset(totals))

    def _exposed(
        self, decision: LoggedDecision, exposures: Iterable[Exposure]
    ) -> tuple[set[int], set[int]]:
        """Slots that exposures in the window say were seen, and those that showed another item."""
        end_ms = decision.ts_ms + window_ms(self.surface)
        seen: set[int] = set()
        overridden: set[int] = set()
        for exposure in exposures:
            if decision.ts_ms <= exposure.ts_ms < end_ms:
                seen.update(exposure.slots)
                overridden.update(slot for slot, _ in exposure.overridden)
        ranked = range(len(decision.ranking))
        return seen.intersection(ranked), overridden.intersection(ranked)

    def _forget_strays(self) -> None:
        """Drop rows whose decision was closed and forgotten before they came."""
        for event_id in self._strays:
            event = self._open.get(event_id)
            if event is not None and event.decision is None:
                self.counts.late += len(event.rewards)
                del self._open[event_id]
        self._strays.clear()

    def _forget(self, horizon_ms: int) -> None:
        """Drop what no decision can need any more, and closed ids that no row can repeat."""
        for minute in [m for m in self._closed if m * MINUTE_MS < horizon_ms]:
            del self._closed[minute]
        for event_id in self._orphaned(horizon_ms):
            self.counts.orphan += len(self._open.pop(event_id).rewards)

    def _orphaned(self, horizon_ms: int) -> list[str]:
        return [
            event_id
            for event_id, event in self._open.items()
            if event.decision is None and event.born_ms < horizon_ms
        ]


def born_ms(event_id: str) -> int:
    """The time inside an event id (a UUIDv7 in canonical text).

    >>> born_ms("0192f3a1-7c00-7abc-8def-0123456789ab") == 0x0192F3A17C00
    True
    """
    return int(event_id[:8] + event_id[9:13], 16)


def _horizon(watermark_ms: int) -> int:
    """Events born before it are forgotten: their decisions are at most `watermark_ms` old."""
    return (watermark_ms - SKEW_MS) // MINUTE_MS * MINUTE_MS


def _place(decision: LoggedDecision) -> tuple[int, str, int]:
    return decision.ts_ms, decision.writer, decision.seq


def _without(decision: LoggedDecision, gone: set[int]) -> tuple[Action, ...]:
    return tuple(a for index, a in enumerate(decision.actions) if index not in gone)
