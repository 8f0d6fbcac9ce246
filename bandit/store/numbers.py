"""What reports keep of the log: sums that add, small enough to be read in milliseconds.

They are made from the log or from unit states, kept with the time that they are of, and everything
a report says about an experiment is a pure function of them, the definitions and a level.
"""

from typing import Literal

from bandit.records import Record
from bandit.stats import JointMoments, OrderStatistics

FORMAT = 1
"""Version of the layout; numbers of another one are not read."""

Column = str
"""`value`, `uncapped`, `denominator`, `covariate`, `covariate_denominator`, or `covariate:<metric>`
of another metric."""


class MetricNumbers(Record, frozen=True, kw_only=True):
    """One metric over units.

    Attributes:
        metric: Its key.
        columns: What the columns of all moments are, in order; `value` is the first.
        by_variant: Over the units that count for this metric.
        orders: Of a quantile, over the same units.
        unripe_n: Units that do not count yet, because their window is not over, by variant.
        none_n: Units that do not count because they have no event (of a `mean`), by variant.
        capped_n: Units above the cap, by variant.
        cap: The cap that held, given or found; None without.
    """

    metric: str
    columns: tuple[Column, ...]
    by_variant: dict[str, JointMoments]
    orders: dict[str, OrderStatistics] = {}
    unripe_n: dict[str, int] = {}
    none_n: dict[str, int] = {}
    capped_n: dict[str, int] = {}
    cap: float | None = None


class SliceNumbers(Record, frozen=True, kw_only=True):
    """One metric over some of the units.

    Attributes:
        by: A member of the context, or `first_day`: the units that came on that day (UTC).
        value: Of that member at a unit's first decision, as JSON; or the day, `2026-11-23`. `''`
            for all values beyond the 50 most frequent.
    """

    by: str
    value: str
    numbers: MetricNumbers


class VariantNumbers(Record, frozen=True, kw_only=True):
    """Units and decisions of one variant.

    Attributes:
        units_n: That belong to it, without those that are left out of everything.
        decisions_n: Closed ones, also of units that are left out, without forced ones; all that
            follow are of these.
        unseen_n: Their top slot was never seen, so they count for nothing.
        rewarded_n: Seen ones that anything came back for.
        exposed_n: With an exposure of the top slot.
        reward_sum: What the seen ones earned.
        pinned_n: Their top slot was given.
        overridden_n: Their top slot showed something else.
        forced_n: Decisions whose variant was set by hand.
        open_n: Later decisions whose join window had not ended when the numbers were read; they
            are in no other number. Whoever keeps or reads the numbers fills it in (from a small
            query), so that a report can tell "nothing yet" from "waiting".
    """

    variant: str
    units_n: int = 0
    decisions_n: int = 0
    unseen_n: int = 0
    rewarded_n: int = 0
    exposed_n: int = 0
    reward_sum: float = 0.0
    pinned_n: int = 0
    overridden_n: int = 0
    forced_n: int = 0
    open_n: int = 0


class PeriodNumbers(Record, frozen=True, kw_only=True):
    """What happened to one variant in one hour or day.

    Attributes:
        at_ms: Start of the period.
        units_n: That were exposed for the first time.
        decisions_n, reward_sum: Of closed, seen decisions.
    """

    at_ms: int
    variant: str
    units_n: int
    decisions_n: int
    reward_sum: float


class ExperimentNumbers(Record, frozen=True, kw_only=True):
    """Everything a report needs of the log of one experiment.

    Attributes:
        experiment: Its key.
        generation: Digest of all definitions that the numbers depend on.
        closed_ms: Decisions up to then are in it, with all rewards that came in time; outcomes up
            to then, too.
        variants: Those that have anything.
        crossed_n: Units seen in two variants, left out.
        forced_n: Units ever set by hand, left out.
        bots_n: Units with more decisions than a person makes, left out, by variant.
        metrics: Primary first, then secondary ones, then guardrails.
        slices: By segment and by first day, of every metric.
        periods: By time.
        period_ms: Length of a period.
        source: Whether they were added up from unit states or from the log.
        version: Of this layout.
    """

    experiment: str
    generation: str
    closed_ms: int
    variants: tuple[VariantNumbers, ...]
    crossed_n: int = 0
    forced_n: int = 0
    bots_n: dict[str, int] = {}
    metrics: tuple[MetricNumbers, ...] = ()
    slices: tuple[SliceNumbers, ...] = ()
    periods: tuple[PeriodNumbers, ...] = ()
    period_ms: int = 3_600_000
    source: Literal["states", "log"] = "log"
    version: int = FORMAT
