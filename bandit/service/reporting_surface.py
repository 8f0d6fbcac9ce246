"""What a surface shows, to whom, what came back, and what its policies have learned.

None of it costs by the length of the log: allocation is kept (`refreshing_allocation`), the others
look at the newest decisions alone.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from bandit.errors import NotFound, RecordError, SnapshotCorrupt
from bandit.policies import build
from bandit.policies.reading import Offer, is_readable, read_weights
from bandit.service.limits import check_count
from bandit.service.projects import seen_by
from bandit.service.reporting_declared import DeclaredAt
from bandit.service.reporting_surface_payloads import (
    AllocationBucket,
    AllocationReport,
    BehaviourReport,
    DelayBucket,
    FeatureWeight,
    FeedbackReport,
    Newcomer,
    NewcomersReport,
    PolicyAllocation,
    Segment,
    WeightsReport,
)
from bandit.specs import BUILT_IN, PolicySpec, Surface
from bandit.store.allocation import ACTIONS, AllocationNumbers, Allocations, Drawn
from bandit.store.client import Store
from bandit.store.decisions import Decisions
from bandit.store.definitions import Definitions
from bandit.store.kept import KeptNumbers
from bandit.store.recent import DelayStep, Recent, SegmentSums, Window
from bandit.store.reports import Scope
from bandit.store.snapshots import Snapshots

ROWS = 50_000
"""Decisions that a report of the newest ones looks at, about."""
SAMPLE = 500
"""Decisions whose features are looked at for weights."""
SEGMENTS, SEGMENT_ACTIONS = 20, 5
MOST_VALUES = 50
"""A member of the context with more values tells units apart, not segments."""
NEW_SHARE = 0.1
"""Of the newest decisions: what was first offered after so much of their time is new."""
MOST = 100
LONGEST_MEMBER = 200


class SurfaceReports:
    """Reports of single surfaces; keeps nothing, so any thread or process may make its own."""

    def __init__(
        self,
        store: Store,
        now_ms: Callable[[], int],
        project: str | None = None,
        *,
        rows: int = ROWS,
    ) -> None:
        """Report on a store.

        Args:
            store: Whose log and definitions.
            now_ms: The clock.
            project: Only this one's surfaces and policies; None: everybody's.
            rows: About how many of the newest decisions are looked at.
        """
        definitions = Definitions(store)
        self._definitions = seen_by(project, lambda: definitions)()
        self._allocations = Allocations(store)
        self._kept = KeptNumbers(store)
        self._recent = Recent(store)
        self._decisions = Decisions(store)
        self._snapshots = Snapshots(store)
        self._now_ms = now_ms
        self._rows = rows

    def allocation(self, key: str, *, top: int = 8, at_ms: int | None = None) -> AllocationReport:
        """What each policy of a surface showed over time, and how it drew.

        Args:
            key: Of the surface.
            top: How many actions of each policy are told by name, 1 to 20.
            at_ms: As of when; now if None.

        Raises:
            NotDeclared: No such surface.
            RecordError: `top` is out of its range.
            StoreUnavailable: The store did not answer.
        """
        check_count("top", top, ACTIONS)
        surface = self._surface(key)
        at_ms = self._at(at_ms)
        kept = self._kept.newest("allocation", key, at_ms)
        numbers = self._allocation_of_log(key, at_ms) if kept is None else kept.numbers
        assert isinstance(numbers, AllocationNumbers)
        by_policy: dict[str, list[Drawn]] = {}
        for each in numbers.drawn:
            by_policy.setdefault(each.policy, []).append(each)
        policies = [
            _policy_allocation(policy, drawn, numbers, top) for policy, drawn in by_policy.items()
        ]
        return AllocationReport(
            as_of_ms=numbers.as_of_ms,
            since_ms=numbers.from_ms,
            source="log" if kept is None else "kept",
            key=key,
            policy=surface.policy,
            bucket_ms=numbers.bucket_ms,
            policies=tuple(sorted(policies, key=lambda each: -each.decisions_n)),
        )

    def behaviour(
        self, key: str, by: str = "", *, policy: str = "", at_ms: int | None = None
    ) -> BehaviourReport:
        """How a surface's newest decisions differ by a member of the context.

        Args:
            key: Of the surface.
            by: The member, `.` between the parts of a path; '' for the first one there is.
            policy: Only decisions of this one; '' for all.
            at_ms: As of when; now if None.

        Raises:
            NotDeclared: No such surface.
            RecordError: The member's name is too long.
            StoreUnavailable: The store did not answer.
        """
        if len(by) > LONGEST_MEMBER:
            raise RecordError(
                f"by has {len(by)} characters, must have at most {LONGEST_MEMBER}: a member of the "
                "context"
            )
        surface, at_ms = self._surface(key), self._at(at_ms)
        window = self._recent.window(key, at_ms, self._rows)
        if window is None:
            return BehaviourReport(
                as_of_ms=at_ms, since_ms=None, key=key, members=(), by=by, policy=policy,
                values_n=0, segments=(),
            )  # fmt: skip
        members = self._recent.members(key, window, at_ms, MOST_VALUES)
        by = by or (members[0] if members else "")
        scope = Scope(surface, at_ms, from_ms=window.since_ms)
        sums = self._recent.segments(scope, by, policy, SEGMENTS) if by else []
        values = [each.value for each in sums]
        shown = self._recent.segment_actions(scope, by, policy, values, SEGMENT_ACTIONS)
        return BehaviourReport(
            as_of_ms=at_ms,
            since_ms=window.since_ms,
            key=key,
            members=tuple(members),
            by=by,
            policy=policy,
            values_n=sums[0].values_n if sums else 0,
            segments=tuple(_segment(each, *shown.get(each.value, (0, {}))) for each in sums),
        )

    def newcomers(self, key: str, *, limit: int = 20, at_ms: int | None = None) -> NewcomersReport:
        """Which actions a surface offers since lately, and how often it shows them.

        Args:
            key: Of the surface.
            limit: How many, the newest first, 1 to 100.
            at_ms: As of when; now if None.

        Raises:
            NotDeclared: No such surface.
            RecordError: `limit` is out of its range.
            StoreUnavailable: The store did not answer.
        """
        check_count("limit", limit, MOST)
        self._surface(key)
        at_ms = self._at(at_ms)
        window = self._recent.window(key, at_ms, self._rows)
        new_from_ms, found = None, []
        if window is not None:
            new_from_ms = window.since_ms + round(NEW_SHARE * (at_ms - window.since_ms))
            found = self._recent.newcomers(key, window, new_from_ms, at_ms, limit)
        return NewcomersReport(
            as_of_ms=at_ms,
            since_ms=None if window is None else window.since_ms,
            new_from_ms=new_from_ms,
            key=key,
            newcomers_n=found[0].newcomers_n if found else 0,
            newcomers=tuple(
                Newcomer(
                    action=each.action,
                    first_ms=each.first_ms,
                    offered_n=each.offered_n,
                    eligible_n=each.eligible_n,
                    shown_n=each.shown_n,
                    shown_share=each.shown_n / each.offered_n,
                    expected_share=each.expected_n / each.eligible_n if each.eligible_n else None,
                )
                for each in found
            ),
        )

    def feedback(self, key: str, *, at_ms: int | None = None) -> FeedbackReport:
        """What came back for a surface's newest decisions, and how long it took.

        Args:
            key: Of the surface.
            at_ms: As of when; now if None.

        Raises:
            NotDeclared: No such surface.
            StoreUnavailable: The store did not answer.
        """
        surface, at_ms = self._surface(key), self._at(at_ms)
        scope = Scope(surface, at_ms)
        window = self._recent.window(key, at_ms, self._rows)
        steps: Sequence[DelayStep] = ()
        counted_n = rewarded_n = 0
        if window is not None:
            steps = self._recent.delays(key, window, at_ms, scope.window_ms)
            closed = scope._replace(from_ms=window.since_ms)
            for each in self._recent.segments(closed, "", "", 1):
                counted_n, rewarded_n = each.counted_n, each.rewarded_n
        known = [step for step in steps if step.known]
        return FeedbackReport(
            as_of_ms=at_ms,
            since_ms=None if window is None else window.since_ms,
            key=key,
            window_ms=scope.window_ms,
            rewards_n=sum(step.rewards_n for step in known),
            late_n=sum(step.late_n for step in known),
            repeated_n=sum(step.repeated_n for step in known),
            orphan_n=sum(step.rewards_n for step in steps if not step.known),
            counted_n=counted_n,
            rewarded_n=rewarded_n,
            join_rate=rewarded_n / counted_n if counted_n else None,
            delays=tuple(_delays(known)),
        )

    def weights(self, key: str, *, limit: int = 40) -> WeightsReport:
        """What a policy's newest snapshot has learned, in the features of the newest decisions.

        Args:
            key: Of the policy.
            limit: How many weights, 1 to 100.

        Raises:
            NotDeclared: No such policy.
            RecordError: `limit` is out of its range.
            StoreUnavailable: The store did not answer.
        """
        check_count("limit", limit, MOST)
        spec = BUILT_IN.get(key) or self._definitions.get(PolicySpec.kind, key).spec
        assert isinstance(spec, PolicySpec)
        return self._weights(spec, limit)

    def _weights(self, spec: PolicySpec, limit: int) -> WeightsReport:
        found = WeightsReport(
            policy=spec.key, type=spec.type, snapshot=None, published_ms=None, sampled_n=0,
            features_n=0, weights=(),
        )  # fmt: skip

        def without(reason: str, **known: object) -> WeightsReport:
            return _changed(found, reason=reason, **known)

        if not spec.learns:
            return without("not_learning")
        try:
            newest = self._snapshots.newest(spec.key)
        except (NotFound, SnapshotCorrupt):
            return without("no_weights")
        if newest is None:
            return without("no_snapshot")
        known = {"snapshot": newest.number, "published_ms": newest.created_ms}
        policy = build(newest.spec, newest.weights)
        if not is_readable(policy):
            has_none = spec.type in ("thompson", "ucb", "popularity")
            return without("no_features" if has_none else "not_readable", **known)
        offers = [*self._offers(spec.surface or "")]
        if not offers:
            return without("no_decisions", **known)
        read = read_weights(policy, offers) or []
        return _changed(
            found,
            sampled_n=len(offers),
            features_n=len(read),
            weights=tuple(FeatureWeight(**each._asdict()) for each in read[:limit]),
            **known,
        )

    def _offers(self, surface: str) -> Iterator[Offer]:
        """Contexts and eligible actions of some of the newest decisions."""
        window = self._recent.window(surface, self._now_ms(), SAMPLE)
        if window is None:
            return
        for decision in self._decisions.newest(surface, window.since_ms, SAMPLE):
            excluded = set(decision.excluded)
            yield (
                bytes(decision.context),
                [a for i, a in enumerate(decision.actions) if i not in excluded],
            )

    def _allocation_of_log(self, key: str, at_ms: int) -> AllocationNumbers:
        """Of the newest decisions: nobody keeps more."""
        window = self._recent.window(key, at_ms, self._rows) or Window(at_ms, 0)
        from_ms = max(0, window.since_ms - 1)
        return self._allocations.grown(AllocationNumbers(surface=key, from_ms=from_ms), at_ms)

    def _surface(self, key: str) -> Surface:
        return DeclaredAt(self._definitions).surface(key)[0]

    def _at(self, at_ms: int | None) -> int:
        now_ms = self._now_ms()
        return now_ms if at_ms is None else min(at_ms, now_ms)


def _segment(sums: SegmentSums, decisions_n: int, actions: dict[str, int]) -> Segment:
    return Segment(
        value=sums.value,
        counted_n=sums.counted_n,
        units_n=sums.units_n,
        rewarded_n=sums.rewarded_n,
        rewarded_share=sums.rewarded_n / sums.counted_n,
        reward_mean=sums.reward_sum / sums.counted_n,
        decisions_n=decisions_n,
        actions=actions,
    )


def _policy_allocation(
    policy: str, drawn: Sequence[Drawn], numbers: AllocationNumbers, top: int
) -> PolicyAllocation:
    shown: Counter[str] = Counter()
    by_bucket: dict[int, dict[str, int]] = {}
    for each in numbers.shown:
        if each.policy == policy:
            shown[each.action] += each.shown_n
            by_bucket.setdefault(each.at_ms, {})[each.action] = each.shown_n
    actions = [action for action, _ in sorted(shown.items(), key=lambda kv: (-kv[1], kv[0]))][:top]
    decisions_n, drawn_n, explored_n, pool_n, floor_n, floor_drawn_n, chosen = (
        sum(column) for column in zip(*(each[2:] for each in drawn), strict=True)
    )
    return PolicyAllocation(
        policy=policy,
        decisions_n=int(decisions_n),
        drawn_n=int(drawn_n),
        explored_share=_share(explored_n, drawn_n),
        chosen_mean=_share(chosen, drawn_n),
        floor_share=_share(floor_n, pool_n),
        floor_drawn_share=_share(floor_drawn_n, drawn_n),
        actions=tuple(actions),
        shown={action: shown[action] for action in actions},
        shares={action: shown[action] / decisions_n for action in actions},
        buckets=tuple(
            AllocationBucket(
                at_ms=each.at_ms,
                decisions_n=each.decisions_n,
                shown={
                    action: n
                    for action, n in by_bucket.get(each.at_ms, {}).items()
                    if action in actions
                },
                explored_share=_share(each.explored_n, each.drawn_n),
            )
            for each in drawn
        ),
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _delays(steps: Sequence[DelayStep]) -> Iterator[DelayBucket]:
    """A bucket for every step from the first to the last, empty ones too."""
    counts = {step.step: step.rewards_n for step in steps}
    if counts:
        for step in range(min(counts), max(counts) + 1):
            yield DelayBucket(
                from_ms=round(10 ** (step / 2)) if step else 0,
                to_ms=round(10 ** ((step + 1) / 2)),
                rewards_n=counts.get(step, 0),
            )


def _changed(report: WeightsReport, **changes: object) -> WeightsReport:
    fields = {name: getattr(report, name) for name in WeightsReport.__struct_fields__}
    return WeightsReport(**(fields | changes))
