"""Typed aggregates of the log for reports; the SQL is in `queries/reports.sql`.

All of them read `judged_decisions` (a migration) or the tables themselves as of a past time, so
that a report of that time gives the same numbers later.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from bandit.ope import WeightMoments
from bandit.ope.moments import NOTHING
from bandit.specs import Surface
from bandit.stats import Moments
from bandit.stats.moments import NONE
from bandit.store.client import Store

Label = Literal["variant", "policy"]
Log = Literal["all", "others"]


class Members(NamedTuple):
    """Whose units: those of an experiment's decisions on its surface, or of its assignments.

    Attributes:
        surface: Key; '' if the experiment has no surface, so that assignments tell.
        at_ms: As of when.
    """

    experiment: str
    surface: str
    at_ms: int


class Scope(NamedTuple):
    """Which decisions a report is about.

    Attributes:
        surface: Where they were made, and the rules of their rewards.
        at_ms: As of when.
        experiment: Only those of this experiment; '' for all.
        from_ms: Not before.
    """

    surface: Surface
    at_ms: int
    experiment: str = ""
    from_ms: int = 0

    @property
    def members(self) -> Members:
        """The experiment's units."""
        return Members(self.experiment, self.surface.key, self.at_ms)

    @property
    def window_ms(self) -> int:
        """The join window in whole milliseconds, as the learner rounds it."""
        return max(1, round(self.surface.join_window_s * 1000))

    @property
    def closed_ms(self) -> int:
        """Decisions up to then can get no more rewards in time."""
        return self.at_ms - self.window_ms


class LabelCounts(NamedTuple):
    """Decisions of one variant or policy, without forced ones where nothing else is said.

    Attributes:
        open_n: Their join window has not ended, so they do not count yet.
        unseen_n: Their top slot was never seen, so they never count.
        counted_n: decisions_n − open_n − unseen_n.
        rewarded_n: Counted ones that anything came back for.
        exposed_n: Ones with an exposure of the top slot.
        reward_sum: What the counted ones earned.
        newest_ms: Time of the newest one, forced or not.
        pinned_n: Ones whose top slot was given.
        overridden_n: Ones whose top slot showed something else.
        forced_n: Ones whose variant was set by hand; they are in no other number.
        forced_open_n: Those of them whose join window has not ended.
    """

    label: str
    decisions_n: int
    open_n: int
    unseen_n: int
    counted_n: int
    rewarded_n: int
    exposed_n: int
    reward_sum: float
    units_n: int
    newest_ms: int
    pinned_n: int
    overridden_n: int
    forced_n: int
    forced_open_n: int


class VariantUnits(NamedTuple):
    """Units of an experiment.

    Attributes:
        by_variant: Those that belong to one.
        crossed_n: Seen in two variants, so that they belong to none.
        forced_n: Ever set by hand, so that they belong to none.
    """

    by_variant: dict[str, int]
    crossed_n: int
    forced_n: int


class TargetMoments(NamedTuple):
    """Weight moments of one policy from one log.

    Attributes:
        barred_n: Decisions left out because nothing was drawn, or it was not what was shown.
        pinned_n, overridden_n: Of those: the top slot was given; it showed something else.
        tops_n: Decisions of others that say which action the policy would have put on top.
        agreeing_n: How many of these have it on top.
    """

    moments: WeightMoments = NOTHING
    barred_n: int = 0
    pinned_n: int = 0
    overridden_n: int = 0
    tops_n: int = 0
    agreeing_n: int = 0


class PolicyMoments(NamedTuple):
    """What decisions of one policy outside any experiment earned.

    Attributes:
        moments: Of the units' means per decision.
    """

    decisions_n: int
    moments: Moments


class RunningBucket(NamedTuple):
    """Counted decisions and their rewards in one bucket of time."""

    label: str
    at_ms: int
    decisions_n: int
    reward_sum: float


class Span(NamedTuple):
    """When a surface was used."""

    surface: str
    first_ms: int
    newest_ms: int
    decisions_n: int
    recent_n: int


class LogRows(NamedTuple):
    """What the log holds of one table."""

    records_n: int
    distinct_n: int


class SnapshotCounts(NamedTuple):
    """A snapshot without its weights."""

    number: int
    created_ms: int
    watermark_ms: int
    trained: int
    defaulted: int
    unseen: int
    late: int
    duplicate: int
    orphan: int
    out_of_bounds: int
    given_up: int


class ServedLatency(NamedTuple):
    """From the end of a decision's join window to the first decision that knew of it."""

    decisions_n: int
    p50_ms: float | None
    p95_ms: float | None


class Reports:
    """Aggregates of one store; each method is one query and may raise `StoreUnavailable`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def store(self) -> Store:
        """Whose log."""
        return self._store

    def variant_units(self, members: Members) -> VariantUnits:
        """Units by variant."""
        rows = self._store.rows("report_variant_units", **members._asdict())
        found = {(variant, is_forced): int(units_n) for variant, is_forced, units_n in rows}
        forced_n, crossed_n = found.pop(("", True), 0), found.pop(("", False), 0)
        return VariantUnits({variant: n for (variant, _), n in found.items()}, crossed_n, forced_n)

    def counts(self, scope: Scope, by: Label) -> dict[str, LabelCounts]:
        """Decisions by variant or policy, the open ones too."""
        given = joining(scope) | {"through_ms": scope.at_ms, "closed_ms": scope.closed_ms}
        rows = self._store.rows("report_counts", **given, experiment=scope.experiment, by=by)
        return {row[0]: LabelCounts(*row) for row in rows}

    def weight_moments(self, scope: Scope) -> dict[tuple[str, Log], TargetMoments]:
        """Weight moments of every policy whose probabilities the log holds.

        The log `all` has the policy's own decisions (weight 1) and those of others with its shadow
        probability; `others` only the latter.
        """
        rows = self._store.rows("report_weight_moments", **joining(scope))
        return {(row[0], row[1]): _target_moments(*row[2:]) for row in rows}

    def policy_moments(self, scope: Scope, policies: Sequence[str]) -> dict[str, PolicyMoments]:
        """What policies earned outside any experiment; one that made no decision is not there."""
        rows = self._store.rows("report_policy_moments", **joining(scope), policies=list(policies))
        return {
            policy: PolicyMoments(int(decisions_n), _moments(*numbers))
            for policy, decisions_n, *numbers in rows
        }

    def running(self, scope: Scope, by: Label, bucket_ms: int) -> list[RunningBucket]:
        """Counted decisions in buckets of time, by label and time."""
        rows = self._store.rows(
            "report_running",
            **joining(scope),
            experiment=scope.experiment,
            by=by,
            bucket_ms=bucket_ms,
        )
        return [RunningBucket(*row) for row in rows]

    def running_variants(self, scope: Scope, bucket_ms: int) -> dict[str, list[RunningBucket]]:
        """Counted decisions of every experiment in buckets of time, by variant and time."""
        rows = self._store.rows("report_running_variants", **joining(scope), bucket_ms=bucket_ms)
        found: dict[str, list[RunningBucket]] = {}
        for experiment, *numbers in rows:
            found.setdefault(experiment, []).append(RunningBucket(*numbers))
        return found

    def spans(self, at_ms: int, since_ms: int, surface: str = "") -> dict[str, Span]:
        """When each surface (or the one named) was used; `recent_n` counts from `since_ms`."""
        rows = self._store.rows("report_span", surface=surface, at_ms=at_ms, since_ms=since_ms)
        return {row[0]: Span(*row) for row in rows}

    def open_decisions(self, scope: Scope) -> dict[str, int]:
        """Decisions of an experiment whose join window has not ended, by variant."""
        rows = self._store.rows(
            "report_open",
            surface=scope.surface.key,
            experiment=scope.experiment,
            closed_ms=scope.closed_ms,
            at_ms=scope.at_ms,
        )
        return {variant: int(decisions_n) for variant, decisions_n in rows}

    def rate(self, surface: str, since_ms: int, at_ms: int, bucket_ms: int) -> dict[int, int]:
        """Decisions by bucket of time; a bucket without any is not there."""
        rows = self._store.rows(
            "report_rate", surface=surface, since_ms=since_ms, at_ms=at_ms, bucket_ms=bucket_ms
        )
        return {int(at): int(n) for at, n in rows}

    def log_rows(self, surface: str, at_ms: int) -> dict[str, LogRows]:
        """Records and distinct things by table."""
        rows = self._store.rows("report_log_rows", surface=surface, at_ms=at_ms)
        return {table: LogRows(*numbers) for table, *numbers in rows}

    def thinned(self, surface: str, at_ms: int) -> tuple[int, int]:
        """Decisions logged while only a share of them was, and how many they stand for."""
        [(logged_n, stand_for)] = self._store.rows("report_thinned", surface=surface, at_ms=at_ms)
        return int(logged_n), round(stand_for)

    def snapshots(self, policy: str, at_ms: int, limit: int) -> list[SnapshotCounts]:
        """The newest snapshots, newest first."""
        rows = self._store.rows("report_snapshots", policy=policy, at_ms=at_ms, limit=limit)
        return [SnapshotCounts(*row) for row in rows]

    def served(self, surface: str, policy: str, at_ms: int) -> int | None:
        """The newest snapshot that a decision was made with; None if there is no decision."""
        [(snapshot, decisions_n)] = self._store.rows(
            "report_served", surface=surface, policy=policy, at_ms=at_ms
        )
        return int(snapshot) if decisions_n else None

    def latency(self, scope: Scope, policy: str, *, own: bool) -> ServedLatency:
        """How long feedback took to reach served decisions; of decisions from `scope.from_ms` on.

        Args:
            own: Whether the policy learns from its own decisions only.
        """
        [(served_n, latency)] = self._store.rows(
            "report_latency",
            surface=scope.surface.key,
            policy=policy,
            only_policy=policy if own else "",
            window_ms=scope.window_ms,
            since_ms=scope.from_ms,
            at_ms=scope.at_ms,
        )
        p50, p95 = latency if served_n else (None, None)
        return ServedLatency(int(served_n), p50, p95)


def joining(scope: Scope) -> dict[str, object]:
    """The parameters of `judged_decisions`, for decisions whose window has ended."""
    surface = scope.surface
    return {
        "surface": surface.key,
        "from_ms": scope.from_ms,
        "through_ms": scope.closed_ms,
        "window_ms": scope.window_ms,
        "aggregation": surface.aggregation,
        "weight_names": list(surface.reward_weights),
        "weights": list(surface.reward_weights.values()),
        "reward_low": surface.reward_low,
        "reward_high": surface.reward_high,
        "default_reward": surface.default_reward,
    }


def _moments(n: int, mean: float, m2: float) -> Moments:
    return Moments(n=int(n), mean=mean, m2=max(m2, 0.0)) if n else NONE


def _target_moments(
    units_n: int,
    decisions_n: int,
    matched_n: int,
    barred_n: int,
    pinned_n: int,
    overridden_n: int,
    tops_n: int,
    agreeing_n: int,
    *rest: float,
) -> TargetMoments:
    counts = int(barred_n), int(pinned_n), int(overridden_n), int(tops_n), int(agreeing_n)
    if not units_n:
        return TargetMoments(NOTHING, *counts)
    assert all(math.isfinite(number) for number in rest)
    mean_n, mean_weight, mean_contribution, nn, nw, nc, ww, wc, cc, squares, greatest = rest
    moments = WeightMoments(
        units_n=int(units_n),
        n=int(decisions_n),
        matched_n=int(matched_n),
        means=(mean_n, mean_weight, mean_contribution),
        comoments=(nn, nw, nc, ww, wc, cc),
        weight_squares=squares,
        max_weight=greatest,
    )
    return TargetMoments(moments, *counts)
