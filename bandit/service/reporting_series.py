"""How things went over time, in as few points as a chart can show; pure."""

from collections.abc import Sequence

from bandit.service.reporting_payloads import RatePoint, RunningPoint, Series, SnapshotMark
from bandit.store.numbers_surface import SurfaceNumbers, bucket_ms_of
from bandit.store.reports import RunningBucket

NO_SERIES = Series(bucket_ms=bucket_ms_of(0), running=(), rate=(), snapshots=())


def series_of(numbers: SurfaceNumbers, experiment: str | None = None) -> Series:
    """Running reward by policy (of an experiment by variant), decisions per second, snapshots.

    Args:
        numbers: Of the surface.
        experiment: Its key, for variants; None: policies.
    """
    if numbers.span is None:
        return NO_SERIES
    bucket_ms = numbers.bucket_ms
    per_bucket = dict(numbers.rate)
    first, last = min(per_bucket), max(per_bucket)
    if first < last and last + bucket_ms > numbers.as_of_ms:
        last -= bucket_ms  # it is still filling, and would read as a drop
    running = (
        numbers.running if experiment is None else numbers.running_variants.get(experiment, ())
    )
    return Series(
        bucket_ms=bucket_ms,
        running=tuple(_running(running, bucket_ms)),
        rate=tuple(
            RatePoint(at_ms=at + bucket_ms, per_s=per_bucket.get(at, 0) * 1000 / bucket_ms)
            for at in range(first, last + 1, bucket_ms)
        ),
        snapshots=tuple(
            SnapshotMark(policy=policy, **mark._asdict())
            for policy, marks in numbers.marks.items()
            for mark in marks
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
