"""What reports say: one set of records for the API, the CLI, the dashboard and notebooks.

A number that can not be given is None, and something beside it says why.
"""

from typing import Literal

from bandit.ope import Value
from bandit.records import Record
from bandit.stats import Effect, Srm


class Verdict(Record, frozen=True, kw_only=True):
    """The answer in plain words.

    Attributes:
        state: `no_data`, `waiting` (for join windows to end), `broken` (do not trust the effects),
            `better` or `worse` (as judged at any look), `not_yet` (one planned look would say so,
            a look at any time does not) or `unclear`.
        headline: What was found.
        reason: Why one may say so, or why nothing more can be said.
        next_step: What to do now.
    """

    state: Literal["no_data", "waiting", "broken", "better", "worse", "not_yet", "unclear"]
    headline: str
    reason: str
    next_step: str


class Problem(Record, frozen=True, kw_only=True):
    """Something that keeps data from coming in or models from learning."""

    code: str
    text: str
    next_step: str


class GroupCounts(Record, frozen=True, kw_only=True):
    """Decisions of one variant or of one policy.

    Attributes:
        label: Key of the variant or policy.
        policy: What it serves; None for a variant that is a payload.
        share: Of the 10,000 buckets; None for a policy.
        units_n: Units with a decision, or told their payload; for a variant, without those set by
            hand or seen in two variants.
        decisions_n: Without those whose variant was set by hand; all that follow are of these.
        open_n: Decisions whose join window has not ended, so they do not count yet.
        unseen_n: Decisions whose top slot was never seen, so they never count.
        counted_n: decisions_n − open_n − unseen_n.
        rewarded_n: Counted ones that anything came back for.
        exposed_n: Decisions with an exposure of the top slot.
        reward_sum: What the counted ones' top slots earned.
        reward_mean: reward_sum ÷ counted_n; None without any.
        pinned_n: Decisions whose top slot was given, not drawn.
        overridden_n: Decisions whose top slot showed something else.
    """

    label: str
    policy: str | None
    share: float | None = None
    units_n: int = 0
    decisions_n: int = 0
    open_n: int = 0
    unseen_n: int = 0
    counted_n: int = 0
    rewarded_n: int = 0
    exposed_n: int = 0
    reward_sum: float = 0.0
    reward_mean: float | None = None
    pinned_n: int = 0
    overridden_n: int = 0


class MetricEffect(Record, frozen=True, kw_only=True):
    """One metric of one treatment against the control, judged in two ways from the same units.

    Attributes:
        effect: Judged once, at a time that was planned before; watched, it finds effects that are
            not there.
        anytime: Judged at any look, however many there are; it decides the verdict.
    """

    metric: str
    description: str
    per: Literal["decision", "unit"]
    better: Literal["higher", "lower"]
    is_primary: bool
    control: str
    treatment: str
    effect: Effect
    anytime: Effect

    def judged(self, *, planned: bool) -> Effect:
        """As at one planned look, or as at any time."""
        return self.effect if planned else self.anytime


class PolicyValue(Record, frozen=True, kw_only=True):
    """What one policy would earn per decision on the surface's traffic, from one log.

    Attributes:
        log: `all` = also the policy's own decisions; `others` = only those of other policies, so
            that it can be compared with what the policy really earned.
        own_n: Decisions of its own in that log.
        barred_n: Decisions left out because no importance weight holds for them: `pinned_n` had
            a top slot that was given, `overridden_n` one that showed something else, and at the
            others nothing was drawn (propensity 1 with a choice).
        absent_n: Decisions that do not say what this policy would have done.
        snips: The estimate to read.
        ips: Its cross-check.
        tops_n: Decisions of others that say which action this policy would have put on top.
        agreement: Share of these that have it on top; None without any.
    """

    policy: str
    log: Literal["all", "others"]
    own_n: int
    barred_n: int
    absent_n: int
    snips: Value
    ips: Value
    pinned_n: int = 0
    overridden_n: int = 0
    tops_n: int = 0
    agreement: float | None = None


class Yardstick(Record, frozen=True, kw_only=True):
    """What a surface's own policy earns more than chance, by units that always get chance.

    Attributes:
        share: Of units that are in the uniform slice.
        since_ms: Only decisions from then on are compared: since that change, policy and share
            are what they are now.
        uniform_n, policy_n: Decisions that count, of the slice and of the policy outside any
            experiment.
        difference: policy − slice, of the units' mean reward per decision.
    """

    share: float
    since_ms: int
    policy: str
    uniform_n: int
    policy_n: int
    difference: MetricEffect


class RunningPoint(Record, frozen=True, kw_only=True):
    """A variant or policy at the end of one bucket of time.

    Attributes:
        at_ms: End of the bucket.
        decisions_n, reward_sum: In the bucket.
        total_n, total_reward: Up to its end.
        running_mean: total_reward ÷ total_n.
    """

    label: str
    at_ms: int
    decisions_n: int
    reward_sum: float
    total_n: int
    total_reward: float
    running_mean: float


class RatePoint(Record, frozen=True, kw_only=True):
    """Decisions per second in the bucket that ends at `at_ms`."""

    at_ms: int
    per_s: float


class SnapshotMark(Record, frozen=True, kw_only=True):
    """When a snapshot was published, and what it had learned from by then."""

    policy: str
    number: int
    at_ms: int
    trained: int
    defaulted: int


class Series(Record, frozen=True, kw_only=True):
    """How things went over time."""

    bucket_ms: int
    running: tuple[RunningPoint, ...]
    rate: tuple[RatePoint, ...]
    snapshots: tuple[SnapshotMark, ...]


class Latency(Record, frozen=True, kw_only=True):
    """From the end of a decision's join window to the first decision whose snapshot knew of it.

    Attributes:
        decisions_n: Measured, of the last hour; 0 gives no quantiles.
    """

    decisions_n: int
    p50_ms: float | None
    p95_ms: float | None


class Learning(Record, frozen=True, kw_only=True):
    """The newest snapshot of a learning policy; counts are since it was declared."""

    snapshot: int
    published_ms: int
    age_ms: int
    watermark_ms: int
    trained: int
    defaulted: int
    unseen: int
    late: int
    duplicate: int
    orphan: int
    out_of_bounds: int
    given_up: int = 0


class PolicyHealth(Record, frozen=True, kw_only=True):
    """How a policy of the surface is doing.

    Attributes:
        served_snapshot: The newest one a decision was made with; None if it made none here.
        learning: None for a policy that does not learn, or has published nothing yet.
    """

    policy: str
    type: str
    learns: bool
    served_snapshot: int | None
    learning: Learning | None
    latency: Latency | None


class LogCounts(Record, frozen=True, kw_only=True):
    """Records that the log holds of one kind, and distinct things among them."""

    records_n: int
    distinct_n: int


class Health(Record, frozen=True, kw_only=True):
    """Whether data comes in and models learn.

    Attributes:
        decisions, rewards, exposures: Of this surface, in the log.
        open_n: Decisions whose join window has not ended.
        newest_decision_ms: None before the first one.
        drained_through_ms: Whatever any host accepted before is in the log; None if no host has
            reported lately.
        drain_lag_ms: How long ago that is.
        hosts_n, silent_n: Hosts that deliver, and how many of them have not reported lately.
        problems: What is wrong, worst first.
    """

    decisions: LogCounts
    rewards: LogCounts
    exposures: LogCounts
    open_n: int
    newest_decision_ms: int | None
    drained_through_ms: int | None
    drain_lag_ms: int | None
    hosts_n: int
    silent_n: int
    policies: tuple[PolicyHealth, ...]
    problems: tuple[Problem, ...]


class ExperimentReport(Record, frozen=True, kw_only=True):
    """All about one experiment.

    Attributes:
        as_of_ms: The numbers are those of this time; asked again as of it, they are the same.
        alpha: 1 − the level of every interval.
        surface: None if its variants are payloads: its units are those that were assigned.
        surface_version: Of the surface whose window, bounds, default, weights and aggregation the
            numbers go by; None without a surface.
        crossed_units_n: Units seen in two variants; they are in no effect and no SRM count.
        forced_units_n: Units ever set by hand; likewise.
        forced_n: Decisions whose variant was set by hand; they are in no number but this one.
        values: Of the policies of the surface, from the whole surface's log.
    """

    as_of_ms: int
    alpha: float
    key: str
    version: int
    surface: str | None
    surface_version: int | None = None
    layer: str | None = None
    status: str
    description: str
    control: str
    verdict: Verdict
    variants: tuple[GroupCounts, ...]
    crossed_units_n: int
    forced_units_n: int = 0
    forced_n: int = 0
    srm: Srm
    effects: tuple[MetricEffect, ...]
    values: tuple[PolicyValue, ...]
    series: Series
    health: Health


class SurfaceReport(Record, frozen=True, kw_only=True):
    """All about one surface, whatever experiments ran there.

    Attributes:
        version: The newest.
        surface_version: Whose window, bounds, default, weights and aggregation the numbers go by.
        policy: Serves whoever is in no experiment.
        killed: The offered order is served, whatever else is declared.
        experiments: Keys of the surface's experiments that are not archived.
        policies: What each policy that decided here has earned.
        forced_n: Decisions whose variant was set by hand; they are in no other number.
        uniform: The policy against the uniform slice; None if the surface has none.
    """

    as_of_ms: int
    alpha: float
    key: str
    version: int
    surface_version: int
    description: str
    policy: str
    killed: bool = False
    experiments: tuple[str, ...]
    policies: tuple[GroupCounts, ...]
    forced_n: int = 0
    uniform: Yardstick | None = None
    values: tuple[PolicyValue, ...]
    series: Series
    health: Health


class SurfaceHeadline(Record, frozen=True, kw_only=True):
    """One line about a surface.

    Attributes:
        killed: The offered order is served, whatever else is declared.
        per_s: Decisions per second of the last minute.
    """

    key: str
    description: str
    policy: str
    killed: bool = False
    experiments: tuple[str, ...]
    decisions_n: int
    per_s: float
    newest_decision_ms: int | None


class ExperimentHeadline(Record, frozen=True, kw_only=True):
    """One line about an experiment.

    Attributes:
        surface: None if its variants are payloads.
    """

    key: str
    description: str
    surface: str | None
    status: str
    units_n: int
    verdict: Verdict
    primary: tuple[MetricEffect, ...]


class Overview(Record, frozen=True, kw_only=True):
    """Everything declared, one line each.

    Attributes:
        experiments: Without archived ones, unless they were asked for.
        archived_n: How many are archived.
        next_step: What to do if there is nothing to see yet; else empty.
    """

    as_of_ms: int
    alpha: float
    surfaces: tuple[SurfaceHeadline, ...]
    experiments: tuple[ExperimentHeadline, ...]
    archived_n: int = 0
    next_step: str = ""
