"""Whether data comes in and models learn, and what to do if not."""

from collections.abc import Mapping, Sequence

import msgspec

from bandit.service.reporting_health_payloads import (
    Health,
    Latency,
    Learning,
    LogCounts,
    PolicyHealth,
    Problem,
)
from bandit.service.reporting_words import duration
from bandit.specs import PolicySpec
from bandit.store.drained import Drained
from bandit.store.kept import Kept
from bandit.store.numbers_surface import SurfaceNumbers
from bandit.store.reports import SnapshotCounts

REFRESHER_SILENT_MS = 180_000
"""A refresher that has said nothing for longer does not run; it speaks once a minute."""
SLOW_MS = 60_000
"""A lag above this is a problem."""


def health_of(
    numbers: SurfaceNumbers,
    policies: Sequence[PolicySpec],
    newest: Mapping[str, SnapshotCounts],
    drained: Drained,
    at_ms: int,
    refreshed: Sequence[Problem] = (),
) -> Health:
    """Health of a surface.

    Args:
        numbers: Of the surface.
        policies: Those that serve there or learn from it.
        newest: The newest snapshot of each learning policy that has one.
        drained: How far the drains have come.
        at_ms: When that was asked.
        refreshed: What is wrong with keeping the numbers.
    """
    counts = numbers.counts.values()
    rows = {
        table: LogCounts(records_n=found.records_n, distinct_n=found.distinct_n)
        for table, found in numbers.log_rows.items()
    }
    health = msgspec.structs.replace(
        _delivery(drained, at_ms),
        decisions=rows["decisions"],
        rewards=rows["rewards"],
        exposures=rows["exposures"],
        open_n=sum(found.open_n + found.forced_open_n for found in counts),
        newest_decision_ms=max((found.newest_ms for found in counts), default=None),
        policies=tuple(
            _policy_health(numbers, spec, newest.get(spec.key), at_ms) for spec in policies
        ),
    )
    found = [
        *_traffic_problems(health, numbers.surface),
        *_delivery_problems(health),
        *refreshed,
        *_thinned_problems(numbers.thinned_n, numbers.stand_for),
        *_reward_problems(health),
    ]
    for policy in health.policies:
        found += _learning_problems(policy, health, numbers.closed_ms)
    return msgspec.structs.replace(health, problems=tuple(found))


def delivery_of(drained: Drained, at_ms: int, refreshed: Sequence[Problem] = ()) -> Health:
    """Health of what has no surface: no decision, no policy, and whether the drains deliver."""
    health = _delivery(drained, at_ms)
    problems = (*_delivery_problems(health), *refreshed)
    return msgspec.structs.replace(health, problems=problems)


def refresh_problems(said: Kept | None, names: Sequence[str], now_ms: int) -> list[Problem]:
    """What is wrong with keeping the numbers of some things.

    Args:
        said: What a refresher said last; None where none ever ran, and then nothing is kept that
            could be old.
        names: `experiment/<key>` or `surface/<key>`.
        now_ms: The time now.
    """
    if said is None:
        return []
    silent_ms = now_ms - said.as_of_ms
    if silent_ms > REFRESHER_SILENT_MS:
        return [
            Problem(
                code="no_refresh",
                text=f"Nobody has kept the numbers of reports for {duration(silent_ms)}.",
                next_step="Start `bandit refresh`; until then reports are as of their time, and "
                "`fresh=true` computes one from the log.",
            )
        ]
    failing = said.numbers.failing
    return [
        Problem(
            code="refresh_failed",
            text=f"The numbers of {name.replace('/', ' ', 1)} can not be kept: {failing[name]}",
            next_step="Correct what it says; the log of `bandit refresh` has more.",
        )
        for name in names
        if name in failing
    ]


def _delivery(drained: Drained, at_ms: int) -> Health:
    nothing = LogCounts(records_n=0, distinct_n=0)
    return Health(
        decisions=nothing,
        rewards=nothing,
        exposures=nothing,
        open_n=0,
        newest_decision_ms=None,
        drained_through_ms=drained.through_ms,
        drain_lag_ms=None if drained.through_ms is None else max(0, at_ms - drained.through_ms),
        hosts_n=drained.hosts_n,
        silent_n=drained.silent_n,
        policies=(),
        problems=(),
    )


def _policy_health(
    numbers: SurfaceNumbers, spec: PolicySpec, newest: SnapshotCounts | None, at_ms: int
) -> PolicyHealth:
    found = numbers.latency.get(spec.key) if newest is not None else None
    return PolicyHealth(
        policy=spec.key,
        type=spec.type,
        learns=spec.learns,
        served_snapshot=numbers.served.get(spec.key),
        learning=_learning(newest, at_ms) if newest is not None else None,
        latency=Latency(**found._asdict()) if found is not None else None,
    )


def _learning(newest: SnapshotCounts, at_ms: int) -> Learning:
    return Learning(
        snapshot=newest.number,
        published_ms=newest.created_ms,
        age_ms=at_ms - newest.created_ms,
        watermark_ms=newest.watermark_ms,
        trained=newest.trained,
        defaulted=newest.defaulted,
        unseen=newest.unseen,
        late=newest.late,
        duplicate=newest.duplicate,
        orphan=newest.orphan,
        out_of_bounds=newest.out_of_bounds,
        given_up=newest.given_up,
    )


def _traffic_problems(health: Health, surface: str) -> list[Problem]:
    if health.newest_decision_ms is not None:
        return []
    return [
        Problem(
            code="no_decisions",
            text=f"Surface {surface!r} has no decision in the log.",
            next_step=f"Ask POST /v1/rank with surface {surface!r}.",
        )
    ]


def _thinned_problems(logged_n: int, stand_for: int) -> list[Problem]:
    if not logged_n:
        return []
    return [
        Problem(
            code="thinned",
            text=f"{logged_n:,} decisions were logged while load was shed, and stand for about "
            f"{stand_for:,}: means hold, totals count what is logged, numbers per unit shrink.",
            next_step="If this goes on, give the disk or ClickHouse more room (bandit/README.md).",
        )
    ]


def _delivery_problems(health: Health) -> list[Problem]:
    found = []
    if health.drained_through_ms is None:
        found.append(
            Problem(
                code="no_drain",
                text="No host has reported lately that it delivers its journal.",
                next_step="Start `bandit drain` on every host that runs `bandit api`.",
            )
        )
    elif (health.drain_lag_ms or 0) > SLOW_MS:
        found.append(
            Problem(
                code="drain_behind",
                text=f"A host has delivered nothing of the last {duration(health.drain_lag_ms)}.",
                next_step="Look at that host's drain; what it accepted is in its journal.",
            )
        )
    if health.silent_n:
        found.append(
            Problem(
                code="silent_hosts",
                text=f"{health.silent_n} of {health.hosts_n} hosts have not reported lately.",
                next_step="Start their drain again, or ignore this if they are gone for good.",
            )
        )
    return found


def _reward_problems(health: Health) -> list[Problem]:
    waited = health.newest_decision_ms is not None and health.open_n < health.decisions.distinct_n
    if waited and not health.rewards.records_n:
        return [
            Problem(
                code="no_rewards",
                text="Decisions have been made, and no reward has ever come back.",
                next_step="Post POST /v1/rewards with the event_id of each answer.",
            )
        ]
    return []


def _learning_problems(policy: PolicyHealth, health: Health, closed_ms: int) -> list[Problem]:
    if not policy.learns or health.newest_decision_ms is None:
        return []
    learning = policy.learning
    due_ms = min(health.newest_decision_ms, closed_ms)
    if learning is None:
        if health.open_n == health.decisions.distinct_n:
            return []  # nothing is due yet
        return [
            Problem(
                code="not_learning",
                text=f"Policy {policy.policy!r} has published no snapshot.",
                next_step=f"Start `bandit learn` for {policy.policy!r}.",
            )
        ]
    found = []
    if due_ms - learning.watermark_ms > SLOW_MS:
        found.append(
            Problem(
                code="learner_behind",
                text=f"Policy {policy.policy!r} has learned nothing of the last "
                f"{duration(due_ms - learning.watermark_ms)} of decisions.",
                next_step=f"Look at the learner of {policy.policy!r}, and at the drains.",
            )
        )
    rewards_n = max(1, health.rewards.records_n)
    for code, n in (("orphan", learning.orphan), ("late", learning.late)):
        if n > 0.05 * rewards_n:
            found.append(
                Problem(
                    code=f"many_{code}_rewards",
                    text=f"{n} rewards that {policy.policy!r} read came {_WHY[code]}.",
                    next_step=_THEN[code],
                )
            )
    return found


_WHY = {
    "orphan": "for a decision or slot that is not in the log",
    "late": "after their decision's join window",
}
_THEN = {
    "orphan": "Check that rewards carry the event_id and a slot of the answer they are for.",
    "late": "Lengthen the surface's join_window_s, or send rewards earlier.",
}
