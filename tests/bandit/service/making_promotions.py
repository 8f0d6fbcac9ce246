"""Reports of a ramp's experiment, made by hand."""

from bandit.service.reporting_payloads import (
    ExperimentReport,
    GroupCounts,
    Health,
    Learning,
    LogCounts,
    MetricEffect,
    PolicyHealth,
    Problem,
    Series,
    Verdict,
)
from bandit.stats import Effect, srm

UNCLEAR = (-0.1, 0.1)


def effect(
    low: float | None,
    high: float | None,
    *,
    metric: str = "reward",
    guardrail: str | None = None,
    better: str = "higher",
) -> MetricEffect:
    """An effect whose interval is that, however it is looked at."""
    middle = None if low is None or high is None else (low + high) / 2
    found = Effect(
        method="by hand",
        control_n=10,
        treatment_n=10,
        control=0.5,
        treatment=None if middle is None else 0.5 + middle,
        effect=middle,
        effect_ci_low=low,
        effect_ci_high=high,
        alpha=0.05,
        reason="empty_variant" if low is None else None,
    )
    return MetricEffect(
        metric=metric,
        description="",
        per="decision",
        better=better,  # type: ignore[arg-type]
        is_primary=guardrail is None,
        control="live",
        treatment="challenger",
        effect=found,
        anytime=found,
        role="primary" if guardrail is None else "guardrail",
        guardrail=guardrail,  # type: ignore[arg-type]
    )


def report(
    at_ms: int,
    *effects: MetricEffect,
    counted: tuple[int, int] = (1000, 1000),
    state: str = "unclear",
    problems: tuple[Problem, ...] = (),
    learning: Learning | None = None,
) -> ExperimentReport:
    """What a ramp looks at; the rest is empty."""
    nothing = LogCounts(records_n=0, distinct_n=0)
    labels = zip(("live", "challenger"), counted, strict=True)
    return ExperimentReport(
        as_of_ms=at_ms,
        alpha=0.05,
        key="home.promotion-1",
        version=1,
        surface="home",
        status="running",
        description="",
        control="live",
        verdict=Verdict(
            state=state,  # type: ignore[arg-type]
            headline="Do not trust the effects.",
            reason="Units did not arrive.",
            next_step="",
        ),
        variants=tuple(GroupCounts(label=x, policy=x, counted_n=n) for x, n in labels),
        crossed_units_n=0,
        srm=srm({"live": 10, "challenger": 10}, {"live": 0.5, "challenger": 0.5}),
        effects=effects or (effect(*UNCLEAR),),
        values=(),
        series=Series(bucket_ms=1, running=(), rate=(), snapshots=()),
        health=Health(
            decisions=nothing,
            rewards=nothing,
            exposures=nothing,
            open_n=0,
            newest_decision_ms=at_ms,
            drained_through_ms=at_ms,
            drain_lag_ms=0,
            hosts_n=1,
            silent_n=0,
            policies=(
                PolicyHealth(
                    policy="new",
                    type="vw",
                    learns=True,
                    served_snapshot=1,
                    learning=learning,
                    latency=None,
                ),
            ),
            problems=problems,
        ),
    )
