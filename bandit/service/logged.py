"""A surface's past as closed decisions, part by part, and as batches to judge a policy by.

Rewards are joined by the learners' own joiner, so what a decision earned here is what a policy
learns from and what the view `judged_decisions` says.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from bandit.errors import RecordError
from bandit.learning.joiner import Joined, Joiner
from bandit.learning.totals import window_ms
from bandit.ope import LoggedBatch
from bandit.policies.base import Policy
from bandit.policies.pmf import propensity_in
from bandit.records import Action, Exposure, LoggedDecision
from bandit.service.exporting import overridden_slots
from bandit.service.probabilities import Asked, spread
from bandit.specs import PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.log_range import PART_ROWS, LogRange, Part, closed_parts
from bandit.store.tail import Tail, TailBatch

Target = Callable[[LoggedDecision], Sequence[float]]
"""A decision → the target's probabilities of `decision.actions` at the top; 0 where excluded."""
BARRED = {
    "forced": "the variant was set by hand",
    "pinned": "the top slot was given, not drawn",
    "broken": "its ranking, pmf and propensities can not be of one draw",
    "overridden": "the top slot showed something else",
    "unseen": "nobody saw the top slot",
    "fixed": "drawn with propensity 1 from several actions: the others had no chance",
    "no_shadow": "the log does not hold the target's probability",
}
"""Why no importance weight holds for a decision, by the first reason that does."""


SUM_TOLERANCE = 1e-3
"""How far from 1 a logged pmf's sum may be: those of others are rounded to a few digits."""


class ClosedDecision(NamedTuple):
    """A decision that can earn no more."""

    joined: Joined
    barred: str
    """Why no candidate can be judged by it, of `BARRED`; empty if any can."""


class ClosedLog:
    """The closed decisions of a surface made in `[since_ms, until_ms)`, in the learners' order.

    One part of the log is in memory, and the next one is fetched meanwhile.

    Attributes:
        parts: What there is to read.
        rows_n: Rows of them.
        waiting_n: Rows behind them whose join window has not ended, about.
    """

    def __init__(
        self,
        store: Store,
        surface: Surface,
        *,
        now_ms: int,
        since_ms: int = 0,
        until_ms: int | None = None,
        rows_n: int = PART_ROWS,
    ) -> None:
        """Look what there is.

        Args:
            store: Where the log is.
            surface: Whose log, and by whose rules it is joined.
            now_ms: The time now.
            since_ms: The first that counts.
            until_ms: The first that counts no more; None: all up to now.
            rows_n: Decisions of a part, about.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        self._surface = surface
        self._range = LogRange(store, surface.key, rows_n=rows_n)
        drained_ms = Tail(store).drained_through_ms(now_ms).through_ms
        closed_ms = (now_ms if drained_ms is None else drained_ms) - window_ms(surface)
        end_ms = now_ms + 1 if until_ms is None else until_ms
        every = self._range.parts(since_ms, end_ms)
        self.parts: list[Part] = closed_parts(every, closed_ms)
        self.rows_n = sum(part.rows_n for part in self.parts)
        self.waiting_n = sum(part.rows_n for part in every) - self.rows_n

    def __iter__(self) -> Iterator[list[ClosedDecision]]:
        """The decisions of each part.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        joiner = Joiner(self._surface)
        with ThreadPoolExecutor(1, thread_name_prefix="log-range") as ahead:
            waiting = [ahead.submit(self._range.read, part) for part in self.parts[:1]]
            for place, part in enumerate(self.parts):
                rows = waiting.pop().result()
                if place + 1 < len(self.parts):
                    waiting.append(ahead.submit(self._range.read, self.parts[place + 1]))
                joiner.add(TailBatch(*rows, {}))
                shown: dict[str, list[Exposure]] = {}
                for row in rows.exposures:
                    if row.record.overridden:
                        shown.setdefault(row.record.event_id, []).append(row.record)
                yield [
                    ClosedDecision(joined, self._barred(joined, shown))
                    for joined in joiner.close(max(part.through_ms, joiner.watermark_ms))
                ]

    def _barred(self, joined: Joined, shown: dict[str, list[Exposure]]) -> str:
        decision = joined.decision
        if decision.forced:
            return "forced"
        if decision.pinned and 0 in decision.pinned:
            return "pinned"
        if _is_broken(decision):
            return "broken"
        exposures = shown.get(decision.event_id)
        if exposures and 0 in overridden_slots(joined, exposures, self._surface):
            return "overridden"
        if not joined.earned or joined.earned[0][0] != 0:
            return "unseen"
        if decision.propensities[0] >= 1.0 and _pool_n(decision) > 1:
            return "fixed"
        return ""


def batch_of(
    store: Store,
    surface: Surface,
    target: str | Target,
    *,
    now_ms: int,
    since_ms: int = 0,
    until_ms: int | None = None,
    rows_n: int = PART_ROWS,
) -> Iterator[LoggedBatch]:
    """A surface's log as batches, oldest first; one part of the log is in memory at a time.

    What was logged with a share below 1 (`keep_share`) has 1 ÷ share as its sampling weight, and
    nowhere else. Add what is additive of the batches (`TermMoments`, `LikelihoodMoments`), or
    `LoggedBatch.joined` them.

    Args:
        store: Where the log is.
        surface: Whose log, and by whose rules it is joined.
        target: Key of a policy whose probabilities the log holds (a shadow; of decisions that it
            drew itself, the propensity), or a function, such as `policy_target` makes.
        now_ms: The time now.
        since_ms: The first that counts.
        until_ms: The first that counts no more; None: all.
        rows_n: Decisions of a batch, about.

    Raises:
        StoreUnavailable: The store did not answer.
    """
    log = ClosedLog(
        store, surface, now_ms=now_ms, since_ms=since_ms, until_ms=until_ms, rows_n=rows_n
    )
    for part in log:
        yield _batch(part, target, surface)


def policy_target(policy: Policy, spec: PolicySpec, surface: Surface) -> Target:
    """A policy as it is, asked as it would be served: with its floor, and the surface's rules.

    Args:
        policy: With everything learned that it is to know; see `bandit.policies.build`.
        spec: What it was built from.
        surface: Whose rules bound its probabilities.
    """

    def target(decision: LoggedDecision) -> Sequence[float]:
        asked = Asked(
            policy, spec, spec.floor, decision.context, surface.rules, decision.slot_features
        )
        indices = eligible(decision)
        pmf = asked.pmf(offered(decision))
        pool = pool_of(decision, indices)
        if len(pool) < len(indices):
            pmf = tuple(
                propensity_in(pmf, pool, place) if place in pool else 0.0
                for place in range(len(pmf))
            )
        return spread(pmf, indices, len(decision.actions))

    return target


def eligible(decision: LoggedDecision) -> Sequence[int]:
    """Indices of the actions that could be drawn at all."""
    if not decision.excluded:
        return range(len(decision.actions))
    gone = set(decision.excluded)
    return [index for index in range(len(decision.actions)) if index not in gone]


def offered(decision: LoggedDecision) -> tuple[Action, ...]:
    """The eligible actions."""
    if not decision.excluded:
        return decision.actions
    return tuple(decision.actions[index] for index in eligible(decision))


def pool_of(decision: LoggedDecision, indices: Sequence[int]) -> Sequence[int]:
    """Places among the eligible actions of those that could be drawn at the top."""
    if not decision.blocked or not decision.blocked[0]:
        return range(len(indices))
    gone = set(decision.blocked[0])
    return [place for place, index in enumerate(indices) if index not in gone]


def logged_pmf(decision: LoggedDecision) -> Sequence[float]:
    """Probabilities over the offered actions with which the top slot was drawn from its pool."""
    blocked = decision.blocked[0] if decision.blocked else ()
    if not blocked:
        return decision.pmf
    kept = [0.0 if index in blocked else p for index, p in enumerate(decision.pmf)]
    total = sum(kept)
    return [p / total for p in kept] if total > 0.0 else kept


def _is_broken(decision: LoggedDecision) -> bool:
    """Whether a row, which the service never wrote like this, can not be of a draw."""
    k = len(decision.actions)
    if not decision.propensities or not decision.ranking or len(decision.pmf) != k:
        return True
    p, total = decision.propensities[0], math.fsum(decision.pmf)
    # NaN is within nothing.
    return not (0.0 < p <= 1.0 and decision.ranking[0] < k and abs(total - 1.0) <= SUM_TOLERANCE)


def _pool_n(decision: LoggedDecision) -> int:
    blocked = len(decision.blocked[0]) if decision.blocked else 0
    return len(decision.actions) - len(decision.excluded) - blocked


def _batch(part: Sequence[ClosedDecision], target: str | Target, surface: Surface) -> LoggedBatch:
    """A part as a batch; barred decisions are counted, and asked nothing."""
    decisions = [closed.joined.decision for closed in part]
    reasons = np.array([closed.barred for closed in part], dtype=object)
    columns: dict[str, Any] = {}
    if isinstance(target, str):
        shadows = [_shadow(decision, target) for decision in decisions]
        reasons[[p is None and not r for p, r in zip(shadows, reasons, strict=True)]] = "no_shadow"
        columns["target"] = np.array([0.0 if p is None else p for p in shadows])
    else:
        columns |= _pmfs(decisions, reasons.tolist(), target)
    shares = np.array([decision.keep_share for decision in decisions])
    return LoggedBatch.of(
        # A broken row may have neither; it is left out before anything is looked at.
        propensity=np.array([next(iter(d.propensities), math.nan) for d in decisions]),
        reward=np.array([_earned(closed.joined, surface) for closed in part]),
        unit=np.array([decision.unit_id for decision in decisions], dtype=object),
        action=np.array([next(iter(d.ranking), 0) for d in decisions], dtype=np.int64),
        sampling=None if (shares == 1.0).all() else 1.0 / shares,
        reward_range=(surface.reward_low, surface.reward_high),
        barred={reason: reasons == reason for reason in BARRED},
        **columns,
    )


def _shadow(decision: LoggedDecision, key: str) -> float | None:
    if decision.policy == key:
        return next(iter(decision.propensities), None)
    found = decision.shadows.get(key)
    return None if found is None else found[0]


def _pmfs(
    decisions: Sequence[LoggedDecision], reasons: Sequence[str], target: Target
) -> dict[str, Any]:
    """Both pmfs, padded with 0 to the widest; barred decisions have any."""
    widest = max((len(decision.actions) for decision in decisions), default=1)
    logged, wanted = np.zeros((2, len(decisions), widest))
    for row, (decision, reason) in enumerate(zip(decisions, reasons, strict=True)):
        k = len(decision.actions)
        if reason:
            wanted[row, 0] = logged[row, 0] = 1.0
            continue
        logged[row, :k] = logged_pmf(decision)
        given = np.asarray(target(decision), dtype=np.float64)
        if given.shape != (k,):
            raise RecordError(
                f"target gave {given.shape} probabilities for decision {decision.event_id}, "
                f"must be ({k},): one for each offered action"
            )
        wanted[row, :k] = given
    return {"logged_pmf": logged, "target_pmf": wanted}


def _earned(joined: Joined, surface: Surface) -> float:
    """What the top slot earned; the default where nothing can be told, which is barred."""
    if joined.earned and joined.earned[0][0] == 0:
        return joined.earned[0][1]
    return surface.default_reward
