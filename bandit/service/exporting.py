"""A surface's log as DSJSON: its decisions joined with their rewards as learners join them."""

import math
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from bandit.dsjson import Line, LoggedSlot, written
from bandit.learning.joiner import Joined, Joiner
from bandit.learning.reading import Reader
from bandit.learning.totals import window_ms
from bandit.records import Exposure, LoggedDecision
from bandit.specs import Surface
from bandit.store.tail import Tail

SLICE_ROWS = 10_000


class Export:
    """Reads a surface's log from its beginning, in slices that fit in memory.

    Attributes:
        lines_n: Decisions given as lines.
        unseen_n: Left out, because nothing of them was seen.
        waiting_n: Left out, because rewards may still come; known when all lines were taken.
    """

    def __init__(self, tail: Tail, surface: Surface) -> None:
        self._tail = tail
        self._surface = surface
        self.lines_n = self.unseen_n = self.waiting_n = 0

    def lines(
        self, *, now_ms: int, since_ms: int = 0, until_ms: int | None = None
    ) -> Iterator[bytes]:
        """Every decision made in `[since_ms, until_ms)` whose window has ended, oldest first.

        Args:
            now_ms: The time now.
            since_ms: The first that counts.
            until_ms: The first that counts no more; None: all.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        end_ms = until_ms if until_ms is not None else now_ms
        drained_ms = self._tail.drained_through_ms(now_ms).through_ms or now_ms
        joiner = Joiner(self._surface)
        reader = Reader(self._tail, self._surface.key, {}, limit=SLICE_ROWS)
        exposures: dict[str, list[Exposure]] = {}
        more = True
        while more:
            rows, through_ms, more = reader.read(drained_ms)
            for row in rows.exposures:
                if row.record.overridden:
                    exposures.setdefault(row.record.event_id, []).append(row.record)
            joiner.add(rows)
            watermark_ms = max(0, min(through_ms, drained_ms) - window_ms(self._surface))
            for joined in joiner.close(max(watermark_ms, joiner.watermark_ms)):
                decision = joined.decision
                if not since_ms <= decision.ts_ms < end_ms:
                    exposures.pop(decision.event_id, None)
                    continue
                shown = exposures.pop(decision.event_id, ())
                instead = overridden_slots(joined, shown, self._surface)
                if not joined.earned and not instead:
                    self.unseen_n += 1
                    continue
                self.lines_n += 1
                yield written(line_of(joined, instead, self._surface))
        self.waiting_n = len(joiner)


def line_of(joined: Joined, overridden: set[int], surface: Surface) -> Line:
    """A closed decision as a line.

    What a slot earned that showed something else is not what was drawn earned: it has no label.

    Args:
        joined: With what its seen slots earned.
        overridden: Slots that showed something else than was drawn.
        surface: Whose default reward stands for none.
    """
    decision = joined.decision
    earned = dict(joined.earned)
    barred = overridden | set(decision.pinned)
    excluded = set(decision.excluded)
    eligible = [i for i in range(len(decision.actions)) if i not in excluded]
    place = {index: n for n, index in enumerate(eligible)}
    several = len(decision.ranking) > 1
    slots = []
    for slot in range(len(decision.ranking)):
        reward = earned.get(slot)
        if several and slot in barred:
            reward = None
        observed = joined.rewarded and (not several or reward != surface.default_reward)
        slots.append(_slot(decision, slot, place, reward, observed=observed))
    return Line(
        event_id=decision.event_id,
        ts_ms=decision.ts_ms,
        context=msgspec.json.decode(decision.context),
        actions=tuple(
            (decision.actions[i].id, msgspec.json.decode(decision.actions[i].features))
            for i in eligible
        ),
        slots=tuple(slots),
        model=f"{decision.policy}@{decision.snapshot}",
        skip_learn=decision.forced or barred >= earned.keys(),
    )


def _slot(
    decision: LoggedDecision,
    slot: int,
    place: dict[int, int],
    reward: float | None,
    *,
    observed: bool,
) -> LoggedSlot:
    """A slot; the whole pmf is known of the top one, below it only what was drawn."""
    drawn, propensity = decision.ranking[slot], decision.propensities[slot]
    order, probabilities = [place[drawn]], [propensity]
    if slot == 0:
        pmf, out = _top(decision, list(place))
        others = [index for index in place if index != drawn and index not in out]
        order += [place[index] for index in others]
        probabilities = [pmf[drawn], *(pmf[index] for index in others)]
    known = slot < len(decision.slot_features)
    features = msgspec.json.decode(decision.slot_features[slot]) if known else {}
    return LoggedSlot(
        id=str(slot),
        features=features,
        order=tuple(order),
        probabilities=tuple(probabilities),
        propensity=propensity,
        reward=reward,
        observed=observed,
    )


def _top(decision: LoggedDecision, eligible: Sequence[int]) -> tuple[Sequence[float], set[int]]:
    """The top slot's pmf, and the eligible actions that could not be drawn there."""
    out = set(decision.blocked[0]) if decision.blocked else set()
    if not out:
        return decision.pmf, out
    total = math.fsum(decision.pmf[index] for index in eligible if index not in out)
    return [p / total if total else p for p in decision.pmf], out


def overridden_slots(joined: Joined, exposures: Iterable[Exposure], surface: Surface) -> set[int]:
    """Slots that showed something else, as far as that was told in the join window."""
    start_ms = joined.decision.ts_ms
    return {
        slot
        for exposure in exposures
        if start_ms <= exposure.ts_ms < start_ms + window_ms(surface)
        for slot, _ in exposure.overridden
        if slot < len(joined.decision.ranking)
    }
