"""What reports say of health: whether data comes in and models learn."""

from bandit.records import Record


class Problem(Record, frozen=True, kw_only=True):
    """Something that keeps data from coming in or models from learning."""

    code: str
    text: str
    next_step: str


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
