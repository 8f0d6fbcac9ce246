"""What a surface's report needs of the log, and what the process that keeps it says of itself.

Like `bandit.store.numbers`: small enough to be kept at every refresh and read in milliseconds.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from bandit.records import Record
from bandit.specs import UNIFORM_SLICE, PolicySpec, Surface
from bandit.store.paired import Exploring, VariantPaired, agreement_moments, exploring
from bandit.store.reports import (
    LabelCounts,
    LogRows,
    PolicyMoments,
    Reports,
    RunningBucket,
    Scope,
    ServedLatency,
    SnapshotCounts,
    Span,
    TargetMoments,
)

SURFACE_FORMAT = 2
"""Version of the layouts here; numbers of another one are not read."""
POINTS = 120
"""The most buckets a series has."""
MARKS = 120
"""The most snapshots of one policy that are marked: the newest."""
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400)
LATENCY_OF_MS = 3_600_000
"""Latency is measured over the decisions of the last hour."""
RECENT_MS = 60_000
"""Over which a surface's speed is told."""
RULES = (
    "join_window_s",
    "default_reward",
    "reward_low",
    "reward_high",
    "reward_weights",
    "aggregation",
)
"""Fields of a surface that say what a decision earned."""


class Target(NamedTuple):
    """One policy judged by one log."""

    policy: str
    log: str
    moments: TargetMoments


class Mark(NamedTuple):
    """A snapshot on a chart over time."""

    number: int
    at_ms: int
    trained: int
    defaulted: int


class SurfaceNumbers(Record, frozen=True, kw_only=True):
    """Everything a report needs of the log of one surface.

    Attributes:
        surface: Its key.
        generation: Digest of what the numbers depend on; see `generation_of`.
        as_of_ms: The time they are of: decisions up to then are in the counts.
        closed_ms: Decisions up to then count; they have all rewards that came in time.
        span: When it was used, `recent_n` of the last minute; None without a decision.
        counts: Decisions by policy.
        targets: What each policy is worth by the log's propensities.
        since_ms: Since when it has its policy and its uniform share; None without a slice.
        outside: Of the uniform slice and the surface's policy outside any experiment, since then.
        bucket_ms: Of the series: width of a bucket.
        rate: Start of a bucket, and decisions in it.
        running: Counted decisions by policy and bucket.
        running_variants: The same by variant, of each experiment.
        marks: Snapshots of each learning policy, oldest first.
        log_rows: What the log holds, by table.
        thinned_n, stand_for: Decisions logged while only a share was, and those that they are for.
        served: The newest snapshot that decisions were made with, by policy.
        latency: From closing a decision to serving what it taught, by learning policy.
        paired: Of each experiment's variants: what they earned, beside what the other variants'
            policies would have.
        exploring: What the surface's policy gives up by drawing; None without a decision.
        version: Of this layout.
    """

    surface: str
    generation: str
    as_of_ms: int
    closed_ms: int
    span: Span | None
    counts: dict[str, LabelCounts]
    targets: tuple[Target, ...]
    since_ms: int | None
    outside: dict[str, PolicyMoments]
    bucket_ms: int
    rate: tuple[tuple[int, int], ...]
    running: tuple[RunningBucket, ...]
    running_variants: dict[str, tuple[RunningBucket, ...]]
    marks: dict[str, tuple[Mark, ...]]
    log_rows: dict[str, LogRows]
    thinned_n: int
    stand_for: int
    served: dict[str, int | None]
    latency: dict[str, ServedLatency]
    paired: tuple[VariantPaired, ...] = ()
    exploring: Exploring | None = None
    version: int = SURFACE_FORMAT


class RefresherNumbers(Record, frozen=True, kw_only=True):
    """What a refresher says of itself.

    Attributes:
        failing: What can not be refreshed, as `experiment/key` or `surface/key`, and why.
        through_ms: Whatever had been accepted by then was in the log; None if nobody could tell.
        oldest: Of all that is kept fresh, what was looked at the longest ago; '' if nothing is.
        oldest_ms: When that was.
        kept_n, failed_n: Since it began.
        version: Of this layout.
    """

    failing: dict[str, str]
    through_ms: int | None
    oldest: str = ""
    oldest_ms: int = 0
    kept_n: int
    failed_n: int
    version: int = SURFACE_FORMAT


def generation_of(surface: Surface, policies: Sequence[PolicySpec], since_ms: int | None) -> str:
    """Digest of what a surface's numbers depend on but for the log.

    Args:
        surface: With the reward rules that hold.
        policies: Those that serve, shadow or learn there.
        since_ms: Since when it has its policy and its uniform share; None without a slice.
    """
    told = [
        SURFACE_FORMAT,
        surface.key,
        surface.policy,
        surface.uniform_share,
        since_ms,
        [getattr(surface, name) for name in RULES],
        [(spec.key, spec.learns, spec.learns_from) for spec in policies],
    ]
    return hashlib.blake2b(msgspec.json.encode(told), digest_size=16).hexdigest()


def surface_numbers(
    reports: Reports, scope: Scope, policies: Sequence[PolicySpec], since_ms: int | None
) -> SurfaceNumbers:
    """A surface's numbers, by scanning its log.

    Args:
        reports: Of the store.
        scope: The whole surface as of a time.
        policies: Those that serve, shadow or learn there.
        since_ms: Since when it has its policy and its uniform share; None without a slice.

    Raises:
        StoreUnavailable: The store did not answer.
    """
    surface, at_ms = scope.surface, scope.at_ms
    span = reports.spans(at_ms, at_ms - RECENT_MS, surface.key).get(surface.key)
    bucket_ms = bucket_ms_of(span.newest_ms - span.first_ms if span else 0)
    outside = {}
    if since_ms is not None:
        since = scope._replace(from_ms=since_ms)
        outside = reports.policy_moments(since, [UNIFORM_SLICE, surface.policy])
    thinned_n, stand_for = reports.thinned(surface.key, at_ms)
    found = reports.weight_moments(scope)
    learning = [spec for spec in policies if spec.learns]
    newest = {spec.key: reports.snapshots(spec.key, at_ms, limit=MARKS) for spec in learning}
    variants = reports.running_variants(scope, bucket_ms) if span else {}
    return SurfaceNumbers(
        surface=surface.key,
        generation=generation_of(surface, policies, since_ms),
        as_of_ms=at_ms,
        closed_ms=scope.closed_ms,
        span=span,
        counts=reports.counts(scope, "policy"),
        targets=tuple(Target(policy, log, target) for (policy, log), target in found.items()),
        since_ms=since_ms,
        outside=outside,
        bucket_ms=bucket_ms,
        rate=_rate(reports, scope, span, bucket_ms),
        running=tuple(reports.running(scope, "policy", bucket_ms)) if span else (),
        running_variants={key: tuple(points) for key, points in variants.items()},
        marks={key: tuple(map(_mark, reversed(marks))) for key, marks in newest.items()},
        log_rows=reports.log_rows(surface.key, at_ms),
        thinned_n=thinned_n,
        stand_for=stand_for,
        served={spec.key: reports.served(surface.key, spec.key, at_ms) for spec in policies},
        latency={spec.key: _latency(reports, scope, spec) for spec in learning if newest[spec.key]},
        paired=agreement_moments(reports.store, scope),
        exploring=exploring(reports.store, scope, surface.policy),
    )


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


def _rate(
    reports: Reports, scope: Scope, span: Span | None, bucket_ms: int
) -> tuple[tuple[int, int], ...]:
    if span is None:
        return ()
    found = reports.rate(scope.surface.key, span.first_ms, scope.at_ms, bucket_ms)
    return tuple(sorted(found.items()))


def _latency(reports: Reports, scope: Scope, spec: PolicySpec) -> ServedLatency:
    recent = scope._replace(from_ms=max(0, scope.at_ms - LATENCY_OF_MS))
    return reports.latency(recent, spec.key, own=spec.learns_from == "own")


def _mark(found: SnapshotCounts) -> Mark:
    return Mark(found.number, found.created_ms, found.trained, found.defaulted)
