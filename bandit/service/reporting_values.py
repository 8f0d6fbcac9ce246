"""What policies of a surface are worth: by the log's propensities, and against chance."""

from collections.abc import Sequence

from bandit.ope import ips, snips
from bandit.service.reporting_declared import REWARD
from bandit.service.reporting_effects import metric_effect
from bandit.service.reporting_payloads import GroupCounts, PolicyValue, Yardstick
from bandit.service.reporting_watched import watched
from bandit.specs import KILL_SWITCH, UNIFORM_SLICE, PolicySpec, Surface
from bandit.stats.moments import NONE
from bandit.store.numbers_surface import SurfaceNumbers
from bandit.store.reports import LabelCounts, Log, PolicyMoments, TargetMoments


def values_of(
    numbers: SurfaceNumbers, policies: Sequence[PolicySpec], alpha: float
) -> tuple[PolicyValue, ...]:
    """Value of every policy, from all decisions and from those of the others.

    Args:
        numbers: Of the surface.
        policies: Those declared for it; others whose decisions the log holds follow.
        alpha: 1 − the level of every interval.
    """
    counts = numbers.counts
    found = {(target.policy, target.log): target.moments for target in numbers.targets}
    counted_n = sum(count.counted_n for count in counts.values())
    keys = dict.fromkeys([*(spec.key for spec in policies), *(key for key, _ in found)])
    logs: tuple[Log, ...] = ("all", "others")
    values = []
    for policy in keys:
        own_n = counts[policy].counted_n if policy in counts else 0
        # Nobody declares what is built in, so no log but its own can tell of it.
        for log in logs[:1] if policy in (KILL_SWITCH, UNIFORM_SLICE) else logs:
            target = found.get((policy, log), TargetMoments())
            moments = target.moments
            in_log_n = counted_n if log == "all" else counted_n - own_n
            values.append(
                PolicyValue(
                    policy=policy,
                    log=log,
                    own_n=own_n if log == "all" else 0,
                    barred_n=target.barred_n,
                    absent_n=in_log_n - moments.n - target.barred_n,
                    snips=watched(snips(moments, policy=policy, alpha=alpha)),
                    ips=ips(moments, policy=policy, alpha=alpha),
                    pinned_n=target.pinned_n,
                    overridden_n=target.overridden_n,
                    tops_n=target.tops_n,
                    agreement=target.agreeing_n / target.tops_n if target.tops_n else None,
                )
            )
    return tuple(values)


def yardstick_of(numbers: SurfaceNumbers, surface: Surface, alpha: float) -> Yardstick | None:
    """A surface's own policy against its uniform slice.

    Both sides are units outside any experiment, told apart by a hash alone; so they differ by
    chance only, unless an experiment's targeting takes other units out of the one than out of the
    other (units of the slice are in no experiment).

    Args:
        numbers: Of the surface.
        surface: As declared.
        alpha: 1 − the level of both intervals.

    Returns:
        None if it has no slice.
    """
    if numbers.since_ms is None:
        return None
    found = numbers.outside
    nothing = PolicyMoments(0, NONE)
    uniform, policy = (found.get(key, nothing) for key in (UNIFORM_SLICE, surface.policy))
    return Yardstick(
        share=surface.uniform_share,
        since_ms=numbers.since_ms,
        policy=surface.policy,
        uniform_n=uniform.decisions_n,
        policy_n=policy.decisions_n,
        difference=metric_effect(
            REWARD,
            (UNIFORM_SLICE, uniform.moments),
            (surface.policy, policy.moments),
            alpha,
            is_primary=False,
        ),
    )


def group_of(
    policy: str,
    counts: LabelCounts | None,
) -> GroupCounts:
    """Counts of a policy, as reports say them; of None if it made no decision."""
    if counts is None:
        return GroupCounts(label=policy, policy=policy)
    return GroupCounts(
        label=policy,
        policy=policy,
        units_n=counts.units_n,
        decisions_n=counts.decisions_n,
        open_n=counts.open_n,
        unseen_n=counts.unseen_n,
        counted_n=counts.counted_n,
        rewarded_n=counts.rewarded_n,
        exposed_n=counts.exposed_n,
        reward_sum=counts.reward_sum,
        reward_mean=counts.reward_sum / counts.counted_n if counts.counted_n else None,
        pinned_n=counts.pinned_n,
        overridden_n=counts.overridden_n,
    )
