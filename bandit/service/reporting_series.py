"""How things went over time, in as few points as a chart can show."""

from collections.abc import Sequence

from bandit.service.reporting_payloads import RatePoint, RunningPoint, Series, SnapshotMark
from bandit.specs import PolicySpec
from bandit.store.reports import Label, Reports, RunningBucket, Scope

POINTS = 120
"""The most buckets a series has."""
MARKS = 120
"""The most snapshots of one policy that are marked: the newest."""
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400)


def bucket_ms_of(span_ms: int) -> int:
    """The least round bucket that cuts a span into at most `POINTS`.

    >>> bucket_ms_of(90_000), bucket_ms_of(3_600_000), bucket_ms_of(400 * 86_400_000)
    (1000, 30000, 345600000)
    """
    for step_s in STEPS_S:
        if span_ms <= step_s * 1000 * POINTS:
            return step_s * 1000
    days = -(-span_ms // (86_400_000 * POINTS))
    return days * 86_400_000


NO_SERIES = Series(bucket_ms=bucket_ms_of(0), running=(), rate=(), snapshots=())


def series_of(reports: Reports, scope: Scope, by: Label, policies: Sequence[PolicySpec]) -> Series:
    """Running reward by variant or policy, decisions per second, and snapshots.

    Args:
        scope: The experiment, or the whole surface.
        policies: Whose snapshots to mark.
    """
    span = reports.spans(scope.at_ms, scope.at_ms, scope.surface.key).get(scope.surface.key)
    if span is None:
        return NO_SERIES
    bucket_ms = bucket_ms_of(span.newest_ms - span.first_ms)
    per_bucket = reports.rate(scope.surface.key, span.first_ms, scope.at_ms, bucket_ms)
    first, last = min(per_bucket), max(per_bucket)
    if first < last and last + bucket_ms > scope.at_ms:
        last -= bucket_ms  # it is still filling, and would read as a drop
    return Series(
        bucket_ms=bucket_ms,
        running=tuple(_running(reports.running(scope, by, bucket_ms), bucket_ms)),
        rate=tuple(
            RatePoint(at_ms=at + bucket_ms, per_s=per_bucket.get(at, 0) * 1000 / bucket_ms)
            for at in range(first, last + 1, bucket_ms)
        ),
        snapshots=tuple(
            SnapshotMark(
                policy=spec.key,
                number=found.number,
                at_ms=found.created_ms,
                trained=found.trained,
                defaulted=found.defaulted,
            )
            for spec in policies
            if spec.learns
            for found in reversed(reports.snapshots(spec.key, scope.at_ms, limit=MARKS))
        ),
    )


def _running(buckets: Sequence[RunningBucket], bucket_ms: int) -> list[RunningPoint]:
    """Running sums per label; buckets come by label and time."""
    points: list[RunningPoint] = []
    for found in buckets:
        before = points[-1] if points and points[-1].label == found.label else None
        total_n = found.decisions_n + (before.total_n if before else 0)
        total = found.reward_sum + (before.total_reward if before else 0.0)
        points.append(
            RunningPoint(
                label=found.label,
                at_ms=found.at_ms + bucket_ms,
                decisions_n=found.decisions_n,
                reward_sum=found.reward_sum,
                total_n=total_n,
                total_reward=total,
                running_mean=total / total_n,
            )
        )
    return points
