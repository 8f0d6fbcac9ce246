"""What reports say: one set of records for the API, the CLI, the dashboard and notebooks.

A number that can not be given is None, and something beside it says why.
"""

from typing import Literal

from bandit.ope import Value
from bandit.records import Record
from bandit.service.judging_payloads import (
    Bayes,
    GroupCounts,
    MetricEffect,
    MetricOutlook,
    PlanProgress,
    SegmentFinding,
    SegmentRow,
    SequentialMode,
    Verdict,
)
from bandit.service.reporting_agreement import Agreement
from bandit.service.reporting_exploration import Exploration
from bandit.service.reporting_health_payloads import (
    Health,
    Latency,
    Learning,
    LogCounts,
    PolicyHealth,
    Problem,
)
from bandit.service.reporting_timeline import Arrivals, TimeMark
from bandit.stats import Srm
from bandit.stats.sequential import SequentialSrm

__all__ = [
    "Agreement",
    "Arrivals",
    "Bayes",
    "ExperimentHeadline",
    "ExperimentHistory",
    "ExperimentReport",
    "Exploration",
    "GroupCounts",
    "Health",
    "HealthState",
    "HistoryPoint",
    "Latency",
    "Learning",
    "LogCounts",
    "MetricEffect",
    "MetricOutlook",
    "NumbersSource",
    "Overview",
    "PlanProgress",
    "PolicyHealth",
    "PolicyValue",
    "Problem",
    "RatePoint",
    "RunningPoint",
    "SegmentFinding",
    "SegmentRow",
    "SequentialMode",
    "Series",
    "SnapshotMark",
    "SurfaceHeadline",
    "SurfaceReport",
    "TimeMark",
    "Verdict",
    "Yardstick",
]

HealthState = Literal["fine", "attention", "broken", "unknown"]
NumbersSource = Literal["kept", "log"]
"""Where a report's numbers are from."""


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


class ExperimentReport(Record, frozen=True, kw_only=True):
    """All about one experiment.

    Attributes:
        as_of_ms: The numbers are those of this time; asked again as of it, they are the same.
        generation: Digest of the definitions that the numbers are made by.
        source: Whether they were kept, or made from the log for this report.
        surface_as_of_ms: The time that `values` and `series` are of; None without a surface.
        alpha: 1 − the level of every interval.
        surface: None if its variants are payloads: its units are those that were assigned.
        surface_version: Of the surface whose window, bounds, default, weights and aggregation the
            numbers go by; None without a surface.
        crossed_units_n: Units seen in two variants; they are in no effect and no SRM count.
        forced_units_n: Units ever set by hand; likewise.
        forced_n: Decisions whose variant was set by hand; they are in no number but this one.
        bots_units_n: Units with more decisions than `bot_decisions`; likewise.
        owner: Whom to ask about it: as declared, or who declared its newest version.
        health_state, health_reason: Whether its numbers may be believed, and what is the matter.
        days_left, days_left_reason: As of its line in the overview.
        sequential: Which interval decides.
        srm: Whether units are split as allocated, as of one look.
        srm_sequential: The same, as may be watched; it decides unless `sequential` is `fixed`.
        segments: Effects by the values of the experiment's `segments`.
        plan: Where a planned experiment is; None without a plan.
        arrivals: When its units came.
        values: Of the policies of the surface, from the whole surface's log.
        agreement: What each arm's log foretold of the other arms, beside what these earned; only
            between policies.
    """

    as_of_ms: int
    generation: str = ""
    source: NumbersSource = "log"
    surface_as_of_ms: int | None = None
    alpha: float
    key: str
    version: int
    surface: str | None
    surface_version: int | None = None
    layer: str | None = None
    status: str
    description: str
    owner: str = ""
    control: str
    health_state: HealthState = "unknown"
    health_reason: str = ""
    days_left: float | None = None
    days_left_reason: str | None = None
    verdict: Verdict
    variants: tuple[GroupCounts, ...]
    crossed_units_n: int
    forced_units_n: int = 0
    forced_n: int = 0
    bots_units_n: int = 0
    sequential: SequentialMode = "anytime"
    srm: Srm
    srm_sequential: SequentialSrm | None = None
    effects: tuple[MetricEffect, ...]
    segments: tuple[SegmentFinding, ...] = ()
    plan: PlanProgress | None = None
    arrivals: Arrivals | None = None
    values: tuple[PolicyValue, ...]
    agreement: tuple[Agreement, ...] = ()
    series: Series
    health: Health


class SurfaceReport(Record, frozen=True, kw_only=True):
    """All about one surface, whatever experiments ran there.

    Attributes:
        as_of_ms: The numbers are those of this time; asked again as of it, they are the same.
        generation: Digest of the definitions that the numbers are made by.
        source: Whether they were kept, or made from the log for this report.
        version: The newest.
        surface_version: Whose window, bounds, default, weights and aggregation the numbers go by.
        policy: Serves whoever is in no experiment.
        killed: The offered order is served, whatever else is declared.
        experiments: Keys of the surface's experiments that are not archived.
        policies: What each policy that decided here has earned.
        forced_n: Decisions whose variant was set by hand; they are in no other number.
        uniform: The policy against the uniform slice; None if the surface has none.
        exploration: What its policy gives up by drawing at random; None of kept numbers without.
    """

    as_of_ms: int
    generation: str = ""
    source: NumbersSource = "log"
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
    exploration: Exploration | None = None
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
        as_of_ms: The time that its numbers are of; None if it can not be judged.
        surface: None if its variants are payloads.
        sequential: Which interval decides.
        owner: Whom to ask about it: as declared, or who declared its newest version.
        health: Whether its numbers may be believed: `fine`, `attention`, `broken`, or `unknown`
            while there are none.
        health_reason: What is the matter, in plain words; empty if it is fine.
        days_left: Until the effect one cares about can be told, or until a plan is over, at the
            pace of the last week; 0 once it can be.
        days_left_reason: Why there is no such number: `not_running`, `no_estimate`, `no_effect`,
            `no_arrivals`.
    """

    key: str
    description: str
    surface: str | None
    status: str
    as_of_ms: int | None = None
    sequential: SequentialMode = "anytime"
    owner: str = ""
    units_n: int
    health: HealthState = "unknown"
    health_reason: str = ""
    days_left: float | None = None
    days_left_reason: str | None = None
    verdict: Verdict
    primary: tuple[MetricEffect, ...]


class HistoryPoint(Record, frozen=True, kw_only=True):
    """A metric's effect as it was at one time.

    Attributes:
        at_ms: The time that the numbers are of.
        metric, control, treatment: Which effect.
        units_n: Units of both variants that count.
        effect, effect_ci_low, effect_ci_high: Treatment − control, with the band that holds at all
            looks together; None with a reason.
        relative_effect, relative_ci_low, relative_ci_high: The same ÷ control.
        reason: Why there is no band.
    """

    at_ms: int
    metric: str
    control: str
    treatment: str
    units_n: int
    effect: float | None
    effect_ci_low: float | None
    effect_ci_high: float | None
    relative_effect: float | None
    relative_ci_low: float | None
    relative_ci_high: float | None
    reason: str | None


class ExperimentHistory(Record, frozen=True, kw_only=True):
    """Effects over time, from kept numbers alone.

    Attributes:
        as_of_ms: The newest time that is in it; None if nothing is kept yet.
        generation: Only numbers that were made by these definitions are in it.
        points: By time, metric and treatment.
        marks: What was changed meanwhile, and the experiment's notes, in order of time.
        next_step: What to do if there is nothing to see yet; else empty.
    """

    key: str
    alpha: float
    as_of_ms: int | None
    generation: str
    points: tuple[HistoryPoint, ...]
    marks: tuple[TimeMark, ...] = ()
    next_step: str = ""


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
