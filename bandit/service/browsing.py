"""Single decisions, for people who look: which there are, what came back, and how it counts."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from bandit.errors import RecordError, StoreUnavailable
from bandit.records import LoggedDecision, Record
from bandit.service.explaining import Explanation, explain, known_of
from bandit.service.limits import check_count
from bandit.service.projects import require_seen, seen_by
from bandit.service.replaying import Replay, ReplayService
from bandit.specs import Surface
from bandit.store.client import Store
from bandit.store.decisions import Decisions
from bandit.store.definitions import Definitions
from bandit.store.recent import LOOK_BACK_MS, Recent, RewardRow
from bandit.store.reports import Scope

MOST = 100
"""Decisions in one list."""
REACHES_MS = (3_600_000, 86_400_000, 7 * 86_400_000, LOOK_BACK_MS)
"""How far back is looked, one after the other, until there are enough."""
LONGEST_ID = 256

Fate = Literal["counted", "repeated", "late", "early", "out_of_bounds", "no_slot"]


class DecisionHeadline(Record, frozen=True, kw_only=True):
    """A decision in one line.

    Attributes:
        at_ms: When it was made.
        top: The action ranked on top, and `propensity` with which it was drawn.
        offered_n: Actions that were offered.
    """

    event_id: str
    at_ms: int
    unit_id: str
    experiment: str
    variant: str
    policy: str
    snapshot: int
    top: str
    propensity: float
    offered_n: int


class DecisionList(Record, frozen=True, kw_only=True):
    """The newest decisions of a surface, or of one unit there.

    Attributes:
        as_of_ms: Up to when.
        since_ms: Looked at from then on: no further than it takes, and 28 days at most.
        unit_id: Only of this one; '' for all.
        decisions: Newest first.
    """

    as_of_ms: int
    since_ms: int
    surface: str
    unit_id: str
    decisions: tuple[DecisionHeadline, ...]


class JoinedReward(Record, frozen=True, kw_only=True):
    """A reward that names a decision, and what became of it.

    Attributes:
        at_ms: When it was accepted, `after_ms` after the decision.
        fate: `counted`; or why not: `repeated` (its id came before), `late` (the join window had
            ended), `early` (before the decision), `out_of_bounds`, `no_slot` (the ranking has no
            such slot).
    """

    at_ms: int
    after_ms: int
    slot: int
    name: str
    value: float
    reward_id: str
    fate: Fate


class JoinedExposure(Record, frozen=True, kw_only=True):
    """An exposure that names a decision; it counts if it came within the join window.

    Attributes:
        overridden: Slot → what was shown there in place of what was ranked.
    """

    at_ms: int
    after_ms: int
    slots: tuple[int, ...]
    overridden: dict[int, str]
    counted: bool


class Joined(Record, frozen=True, kw_only=True):
    """What came back for a decision, by the newest rules of its surface.

    Attributes:
        closes_ms: When its join window ends; until then more may come.
        is_closed: Whether it has.
        seen: Whether the top slot counts as seen.
        rewarded: Whether anything came back for it in time.
        reward: What the top slot earned, as learners and reports join it: the default reward if
            nothing came. Of an open window: so far.
        by_name: The same by name of the reward, before weights and bounds.
        rewards: In the order in which they are joined; 1,000 at most.
        exposures: Oldest first; likewise.
    """

    event_id: str
    surface: str
    closes_ms: int
    is_closed: bool
    seen: bool
    rewarded: bool
    reward: float
    by_name: dict[str, float]
    rewards: tuple[JoinedReward, ...]
    exposures: tuple[JoinedExposure, ...]


class DecisionBrowser:
    """Looks at decisions of one project; every call may block."""

    def __init__(
        self,
        store: Store,
        now_ms: Callable[[], int],
        project: str | None = None,
        *,
        replaying: ReplayService | None = None,
    ) -> None:
        """Make it.

        Args:
            store: Whose log.
            now_ms: The clock.
            project: Only decisions on this one's surfaces; None: everybody's.
            replaying: Makes decisions again; None where the secret of the draws is not at hand.
        """
        definitions = Definitions(store)
        self._definitions = seen_by(project, lambda: definitions)()
        self._decisions = Decisions(store)
        self._recent = Recent(store)
        self._now_ms = now_ms
        self._replaying = replaying

    def newest(
        self, surface: str, unit_id: str = "", *, limit: int = 20, at_ms: int | None = None
    ) -> DecisionList:
        """The newest decisions of a surface.

        Args:
            surface: Its key.
            unit_id: Only of this unit; '' for all.
            limit: How many, 1 to 100.
            at_ms: Up to when; now if None.

        Raises:
            NotDeclared: No such surface.
            RecordError: `limit` or the unit's id is out of its range.
            StoreUnavailable: The store did not answer.
        """
        check_count("limit", limit, MOST)
        if len(unit_id) > LONGEST_ID:
            raise RecordError(
                f"unit_id has {len(unit_id)} characters, must have at most {LONGEST_ID}"
            )
        self._definitions.get(Surface.kind, surface)
        at_ms = self._now_ms() if at_ms is None else min(at_ms, self._now_ms())
        since_ms, lines = at_ms, []
        for reach_ms in REACHES_MS:
            since_ms = max(0, at_ms - reach_ms)
            lines = self._recent.decisions(surface, unit_id, since_ms, at_ms, limit)
            if len(lines) >= limit:
                break
        return DecisionList(
            as_of_ms=at_ms,
            since_ms=since_ms,
            surface=surface,
            unit_id=unit_id,
            decisions=tuple(
                DecisionHeadline(
                    event_id=line.event_id,
                    at_ms=line.ts_ms,
                    unit_id=line.unit_id,
                    experiment=line.experiment,
                    variant=line.variant,
                    policy=line.policy,
                    snapshot=line.snapshot,
                    top=line.top,
                    propensity=line.propensity,
                    offered_n=line.offered_n,
                )
                for line in lines
            ),
        )

    def explain(self, event_id: str) -> Explanation:
        """Why a decision came out as it did.

        Raises:
            NotFound: The log does not hold it (yet), or it is another project's.
            StoreUnavailable: The store did not answer.
        """
        decision = self._seen(event_id)
        overridden = self._decisions.overrides(decision.event_id)
        return explain(decision, known_of(decision, self._definitions, overridden))

    def joined(self, event_id: str) -> Joined:
        """What came back for a decision.

        Raises:
            NotFound: The log does not hold it (yet), or it is another project's.
            NotDeclared: Its surface is not declared, so that nobody knows its rules.
            StoreUnavailable: The store did not answer.
        """
        decision = self._seen(event_id)
        surface = self._definitions.get(Surface.kind, decision.surface).spec
        assert isinstance(surface, Surface)
        now_ms = self._now_ms()
        scope = Scope(surface, now_ms)
        closes_ms = decision.ts_ms + scope.window_ms
        judged = self._recent.judged(scope, decision.event_id, decision.ts_ms)
        if judged is None:
            raise StoreUnavailable("the log changed while it was read: ask again")
        rewards = self._recent.rewards(decision.event_id)
        return Joined(
            event_id=decision.event_id,
            surface=surface.key,
            closes_ms=closes_ms,
            is_closed=now_ms >= closes_ms,
            seen=bool(judged.seen),
            rewarded=bool(judged.rewarded),
            reward=judged.reward,
            by_name=dict(judged.rewards),
            rewards=tuple(_joined(rewards, decision, surface, closes_ms)),
            exposures=tuple(
                JoinedExposure(
                    at_ms=row.ts_ms,
                    after_ms=row.ts_ms - decision.ts_ms,
                    slots=row.slots,
                    overridden=row.overridden,
                    counted=decision.ts_ms <= row.ts_ms < closes_ms,
                )
                for row in self._recent.exposures(decision.event_id)
            ),
        )

    def replay(self, event_id: str) -> Replay | None:
        """A decision made again; None where the secret of the draws is not at hand.

        Raises:
            NotFound: The log does not hold it (yet), it is another project's, or the weights it was
                made with are not kept.
            NotDeclared: Its policy or experiment is not declared.
            SnapshotCorrupt: Its snapshot comes otherwise out of the log than it was published.
            StoreUnavailable: The store did not answer.
        """
        if self._replaying is None:
            return None
        return self._replaying.replay(self._seen(event_id))

    def _seen(self, event_id: str) -> LoggedDecision:
        decision = self._decisions.find(event_id)
        require_seen(decision, self._definitions)
        return decision


def _joined(
    rows: Sequence[RewardRow], decision: LoggedDecision, surface: Surface, closes_ms: int
) -> Iterator[JoinedReward]:
    """Rows in the order in which they are joined, by the rules of `judged_decisions`."""
    known: set[str] = set()
    for row in rows:
        fate: Fate = "counted"
        if not surface.reward_low <= row.value <= surface.reward_high:
            fate = "out_of_bounds"
        elif row.ts_ms < decision.ts_ms:
            fate = "early"
        elif row.ts_ms >= closes_ms:
            fate = "late"
        elif row.slot >= len(decision.ranking):
            fate = "no_slot"
        elif row.reward_id in known:
            fate = "repeated"
        else:
            known.add(row.reward_id)
        yield JoinedReward(
            at_ms=row.ts_ms,
            after_ms=row.ts_ms - decision.ts_ms,
            slot=row.slot,
            name=row.name,
            value=row.value,
            reward_id=row.reward_id,
            fate=fate,
        )
