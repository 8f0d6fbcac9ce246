"""Reports made by hand."""

import msgspec

from bandit.ope import Value
from bandit.service.reporting_payloads import (
    ExperimentReport,
    GroupCounts,
    Health,
    Latency,
    LogCounts,
    MetricEffect,
    PolicyHealth,
    PolicyValue,
    Series,
    Verdict,
)
from bandit.stats import Effect, Srm

NO_RECORDS = LogCounts(records_n=0, distinct_n=0)


def effect_of(low: float | None, high: float | None) -> MetricEffect:
    """An effect in the middle of its interval, or none."""
    effect = Effect(
        control=0.5,
        treatment=0.6,
        control_n=10,
        treatment_n=10,
        effect=None if low is None or high is None else (low + high) / 2,
        effect_ci_low=low,
        effect_ci_high=high,
        method="by hand",
        alpha=0.05,
        reason="one_unit" if low is None else None,
    )
    return MetricEffect(
        metric="like-rate",
        description="",
        per="decision",
        better="higher",
        is_primary=True,
        control="control",
        treatment="treatment",
        effect=effect,
        anytime=msgspec.structs.replace(effect, method="by hand, at any look"),
    )


def value_of(value: float | None) -> Value:
    """An off-policy estimate without an interval, or a refusal."""
    return Value(
        policy="movies-vw",
        estimator="snips",
        value=value,
        alpha=0.05,
        n=100,
        units_n=10,
        matched_n=100,
        ess=42.0,
        mean_weight=1.0,
        max_weight=2.0,
        verdict="refuse" if value is None else "ok",
        reasons=("low_ess",) if value is None else (),
    )


def report_of(
    found: MetricEffect, *, likes: tuple[int, int] = (0, 0), latency: Latency | None = None
) -> ExperimentReport:
    """A report of two variants with ten decisions each."""
    health = Health(
        decisions=NO_RECORDS,
        rewards=NO_RECORDS,
        exposures=NO_RECORDS,
        open_n=0,
        newest_decision_ms=None,
        drained_through_ms=None,
        drain_lag_ms=None,
        hosts_n=1,
        silent_n=0,
        policies=(
            PolicyHealth(
                policy="movies-vw",
                type="vw",
                learns=True,
                served_snapshot=1,
                learning=None,
                latency=latency,
            ),
        ),
        problems=(),
    )
    variants = zip(("control", "treatment"), ("movies-uniform", "movies-vw"), likes, strict=True)
    return ExperimentReport(
        as_of_ms=0,
        alpha=0.05,
        key="movies-2026",
        version=1,
        surface="movies",
        status="running",
        description="",
        control="control",
        verdict=Verdict(state="better", headline="", reason="", next_step=""),
        variants=tuple(
            GroupCounts(
                label=label, policy=policy, counted_n=10, reward_sum=earned, reward_mean=earned / 10
            )
            for label, policy, earned in variants
        ),
        crossed_units_n=0,
        srm=Srm(observed={}, expected={}, verdict="fine"),
        effects=(found,),
        values=(
            PolicyValue(
                policy="movies-vw",
                log="all",
                own_n=1,
                barred_n=0,
                absent_n=0,
                snips=value_of(0.625),
                ips=value_of(None),
            ),
        ),
        series=Series(bucket_ms=1000, running=(), rate=(), snapshots=()),
        health=health,
    )
