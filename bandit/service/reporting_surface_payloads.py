"""What is told of a surface beside its report: what it shows, to whom, what came back, and why."""

from typing import Literal

from bandit.records import Record
from bandit.service.reporting_payloads import NumbersSource


class AllocationBucket(Record, frozen=True, kw_only=True):
    """What one policy showed in one bucket of time.

    Attributes:
        at_ms: Start of the bucket.
        decisions_n: All but those set by hand.
        shown: How often each of the policy's `actions` was on top; the rest is what is missing to
            `decisions_n`.
        explored_share: Of drawn decisions, at which another action was likelier; None without any.
    """

    at_ms: int
    decisions_n: int
    shown: dict[str, int]
    explored_share: float | None


class PolicyAllocation(Record, frozen=True, kw_only=True):
    """What one policy showed over time, and how it drew.

    Attributes:
        decisions_n: All but those set by hand.
        drawn_n: At which the top slot was drawn: neither given, nor certain.
        explored_share: Of those, at which another action was likelier.
        chosen_mean: Mean probability of what was drawn.
        floor_share: Of the actions that could be drawn, those that had no more than the floor.
        floor_drawn_share: Of drawn decisions, that drew one of those.
        actions: The most shown ones, most shown first.
        shown: How often each of them was on top.
        shares: The same ÷ `decisions_n`.
        buckets: Oldest first.
    """

    policy: str
    decisions_n: int
    drawn_n: int
    explored_share: float | None
    chosen_mean: float | None
    floor_share: float | None
    floor_drawn_share: float | None
    actions: tuple[str, ...]
    shown: dict[str, int]
    shares: dict[str, float]
    buckets: tuple[AllocationBucket, ...]


class AllocationReport(Record, frozen=True, kw_only=True):
    """What the policies of a surface showed over time.

    Attributes:
        as_of_ms: Decisions up to then are in it, whether their join window has ended or not.
        since_ms: Decisions from then on; 0 for the whole log.
        source: `log` without a refresher: of the newest decisions alone.
        policy: That serves whoever is in no experiment.
        bucket_ms: Width of a bucket.
        policies: Those with the most decisions, most first.
    """

    as_of_ms: int
    since_ms: int
    source: NumbersSource
    key: str
    policy: str
    bucket_ms: int
    policies: tuple[PolicyAllocation, ...]


class Segment(Record, frozen=True, kw_only=True):
    """Decisions with one value of a member of the context.

    Attributes:
        value: As JSON; '' where it is absent.
        counted_n: Decisions that count: seen, and their join window has ended.
        rewarded_n: Those that anything came back for; the others earned the default reward.
        rewarded_share: rewarded_n ÷ counted_n.
        reward_mean: Per decision, as joined.
        decisions_n: All whose join window has ended, seen or not.
        actions: The most shown actions, and at how many of these each was on top.
    """

    value: str
    counted_n: int
    units_n: int
    rewarded_n: int
    rewarded_share: float
    reward_mean: float
    decisions_n: int
    actions: dict[str, int]


class BehaviourReport(Record, frozen=True, kw_only=True):
    """How a surface's newest decisions differ by a member of the context.

    Attributes:
        since_ms: Of decisions from then on; None without any.
        members: Of the context, with 2 to 50 values in them: by these one can ask.
        by: The member; '' if none was asked for and there is none.
        policy: Only decisions of this one; '' for all.
        values_n: How many values there are; the report has the most frequent.
    """

    as_of_ms: int
    since_ms: int | None
    key: str
    members: tuple[str, ...]
    by: str
    policy: str
    values_n: int
    segments: tuple[Segment, ...]


class Newcomer(Record, frozen=True, kw_only=True):
    """An action that was first offered lately.

    Attributes:
        first_ms: When.
        offered_n: Decisions that offered it since.
        eligible_n: At which it could be drawn.
        shown_n: At which it was on top.
        shown_share: shown_n ÷ offered_n.
        expected_share: Mean probability where it could be drawn; None where it never could.
    """

    action: str
    first_ms: int
    offered_n: int
    eligible_n: int
    shown_n: int
    shown_share: float
    expected_share: float | None


class NewcomersReport(Record, frozen=True, kw_only=True):
    """Whether new actions are shown.

    Attributes:
        since_ms: Of decisions from then on; None without any.
        new_from_ms: New is what no decision from `since_ms` until then offered.
        newcomers_n: How many there are; the report has the newest.
    """

    as_of_ms: int
    since_ms: int | None
    new_from_ms: int | None
    key: str
    newcomers_n: int
    newcomers: tuple[Newcomer, ...]


class DelayBucket(Record, frozen=True, kw_only=True):
    """Rewards that came `[from_ms, to_ms)` after their decision."""

    from_ms: int
    to_ms: int
    rewards_n: int


class FeedbackReport(Record, frozen=True, kw_only=True):
    """What came back for a surface's newest decisions.

    Attributes:
        since_ms: Of decisions from then on; None without any.
        window_ms: The surface's join window.
        rewards_n: Rewards of decisions that the log holds, each id once.
        late_n: Of those, that came when the join window had ended: they count for nothing.
        repeated_n: Further copies of the same, which count for nothing either.
        orphan_n: Rewards whose decision the log does not hold.
        counted_n: Decisions that count.
        rewarded_n: Those that anything came back for.
        join_rate: rewarded_n ÷ counted_n; None without any that counts.
        delays: How long rewards took, each bucket half a power of ten wide.
    """

    as_of_ms: int
    since_ms: int | None
    key: str
    window_ms: int
    rewards_n: int
    late_n: int
    repeated_n: int
    orphan_n: int
    counted_n: int
    rewarded_n: int
    join_rate: float | None
    delays: tuple[DelayBucket, ...]


class FeatureWeight(Record, frozen=True, kw_only=True):
    """What a policy has learned of one feature.

    Attributes:
        context: Feature of the context that it goes with; '' for none.
        action: Feature of the action, or its id as `id=…`.
        weight: Added to the predicted reward of a decision for each 1 of (the product of) them.
        seen_n: How many offers of the newest decisions had it.
        spread: |weight| · how much its value varies among those offers (one standard deviation).
    """

    context: str
    action: str
    weight: float
    seen_n: int
    spread: float


class WeightsReport(Record, frozen=True, kw_only=True):
    """What a policy's newest snapshot has learned, in features.

    Attributes:
        snapshot: None where it has published none.
        features_n: How many features and pairs of the newest decisions have a weight other than 0.
        sampled_n: Decisions whose features were looked at.
        weights: Those that move predictions the most, the greatest `spread` first.
        reason: Why there are none: `not_learning`, `no_snapshot`, `no_weights` (they were thinned
            out), `no_features` (it learns of actions, not of features: see the actions' report),
            `not_readable` (several models, or an explorer whose weights can not be told apart),
            `no_decisions`.
    """

    policy: str
    type: str
    snapshot: int | None
    published_ms: int | None
    sampled_n: int
    features_n: int
    weights: tuple[FeatureWeight, ...]
    reason: (
        Literal[
            "not_learning",
            "no_snapshot",
            "no_weights",
            "no_features",
            "not_readable",
            "no_decisions",
        ]
        | None
    ) = None
