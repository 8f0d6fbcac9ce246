"""What exploring costs per day, and how much of it a decision in a wanted time needs; pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from bandit.errors import RecordError
from bandit.ope import Value, snips
from bandit.ope.exploration import LogVariance, decisions_needed, floor_needed
from bandit.ope.paired_moments import PairedMoments
from bandit.records import Record
from bandit.service.reporting_watched import watched
from bandit.specs import PolicySpec, Surface
from bandit.store.paired import DAY_MS, Exploring


class ExplorationDay(Record, frozen=True, kw_only=True):
    """The price of one day (UTC); None where that day alone can not tell."""

    day: str
    decisions_n: int
    price: float | None
    price_low: float | None
    price_high: float | None


class ExplorationPlan(Record, frozen=True, kw_only=True):
    """How long a decision takes at the floor that is declared, and the floor that is enough.

    Attributes:
        difference: Of challenger − live per decision, that is to be seen.
        changes: Share of decisions in which the challenger does something else.
        days: Wanted until the gate opens, with a chance of 80 %.
        floor: As declared.
        days_at_floor: Until then at that floor; None where it never does.
        floor_wanted: The least floor with which `days` are enough; None if none is.
        price_wanted: Reward given up per day at that floor; None where it is not known.
        reason: Why a number is missing: `no_floor`, `never`, `too_soon`, `one_action`.
    """

    difference: float
    changes: float
    days: float
    floor: float
    days_at_floor: float | None = None
    floor_wanted: float | None = None
    price_wanted: float | None = None
    reason: Literal["no_floor", "never", "too_soon", "one_action"] | None = None


class Exploration(Record, frozen=True, kw_only=True):
    """What a surface's policy gives up by drawing at random, over its last 28 days at most.

    Attributes:
        policy: That serves.
        decisions_n: Its decisions that count.
        first_day, last_day: Of them (UTC).
        per_day: Decisions per day.
        actions_n: Mean number of actions that it drew from.
        floor: As declared now.
        greedy: What always showing the likeliest action would have earned per decision, with its
            verdict; no value when refused.
        uniform: What showing any action of the pool would have earned; likewise.
        first: What always showing the first one offered would have earned; likewise.
        logged: What was earned per decision.
        price, price_low, price_high: Reward given up per day: (greedy − logged) · per_day, on the
            same decisions; None when refused.
        by_day: The same day by day.
        spread: greedy − showing any action, per decision: what a floor costs is k · floor · spread.
        plan: For a wanted time; None unless it was asked for.
        reason: Why nothing is told: `no_decisions`.
    """

    policy: str
    decisions_n: int = 0
    first_day: str = ""
    last_day: str = ""
    per_day: float = 0.0
    actions_n: float | None = None
    floor: float = 0.0
    greedy: Value | None = None
    uniform: Value | None = None
    first: Value | None = None
    logged: float | None = None
    price: float | None = None
    price_low: float | None = None
    price_high: float | None = None
    by_day: tuple[ExplorationDay, ...] = ()
    spread: float | None = None
    plan: ExplorationPlan | None = None
    reason: Literal["no_decisions"] | None = None


class ExplorationQuestion(Record, frozen=True, kw_only=True):
    """What a plan is asked for.

    Attributes:
        difference: Of challenger − live per decision, above 0.
        days: Until the gate opens, above 0.
        changes: Share of decisions in which the challenger does something else, in (0, 1].
    """

    difference: float
    days: float = 7.0
    changes: float = 1.0

    def __post_init__(self) -> None:
        if not (self.difference > 0.0 and self.days > 0.0):
            raise RecordError(
                f"difference is {self.difference!r} and days is {self.days!r}, must be above 0"
            )
        if not 0.0 < self.changes <= 1.0:
            raise RecordError(f"changes is {self.changes!r}, must be in (0, 1]")


def exploration_of(
    found: Exploring | None,
    surface: Surface,
    policies: Sequence[PolicySpec],
    alpha: float,
    question: ExplorationQuestion | None = None,
) -> Exploration:
    """What exploring costs, and a plan if it is asked for.

    Args:
        found: Sums of the log; None without a decision.
        surface: Whose.
        policies: Those declared for it; the one that serves it is looked at.
        alpha: 1 − the level of every interval, and of the gate that is planned for.
        question: What a plan is asked for.
    """
    policy = next((spec for spec in policies if spec.key == surface.policy), None)
    if policy is None:  # nobody has declared it
        return Exploration(policy=surface.policy, reason="no_decisions")
    if found is None or found.policy != policy.key:
        return Exploration(policy=policy.key, floor=policy.floor, reason="no_decisions")
    return _explored(found, surface, policy, alpha, question)


def _explored(
    found: Exploring,
    surface: Surface,
    policy: PolicySpec,
    alpha: float,
    question: ExplorationQuestion | None,
) -> Exploration:
    # The first and the last day are cut, so the time between is what counts; an hour at least.
    days = max(found.last_ms - found.first_ms, DAY_MS // 24) / DAY_MS
    per_day = found.decisions_n / days
    whole = found.greedy.get("", PairedMoments())
    greedy = watched(snips(whole.of_target, policy=policy.key, alpha=alpha))
    uniform, first = (
        watched(snips(each.get("", PairedMoments()).of_target, policy=name, alpha=alpha))
        for name, each in (("uniform", found.uniform), ("first", found.first))
    )
    price, low, high = _price(whole, alpha, per_day)
    spread = _spread(found)
    logged = whole.logged()
    return Exploration(
        policy=policy.key,
        decisions_n=found.decisions_n,
        first_day=_day(found.first_ms),
        last_day=_day(found.last_ms),
        per_day=per_day,
        actions_n=found.actions_n,
        floor=policy.floor,
        greedy=greedy,
        uniform=uniform,
        first=first,
        logged=logged.value if logged else None,
        price=price,
        price_low=low,
        price_high=high,
        by_day=tuple(
            _of_day(day, moments, alpha) for day, moments in sorted(found.greedy.items()) if day
        ),
        spread=spread,
        plan=_plan(found, surface, policy, question, alpha, per_day, spread) if question else None,
    )


def _price(
    moments: PairedMoments, alpha: float, times: float
) -> tuple[float | None, float | None, float | None]:
    """Greedy − logged, so many times; nothing where the log can not tell."""
    gain = moments.gain()
    refused = snips(moments.of_target, policy="greedy", alpha=alpha).verdict == "refuse"
    if gain is None or refused:
        return None, None, None
    if gain.std_error == 0.0:
        return gain.value * times, None, None
    low, high = gain.interval(alpha)
    return gain.value * times, low * times, high * times


def _of_day(day: str, moments: PairedMoments, alpha: float) -> ExplorationDay:
    price, low, high = _price(moments, alpha, moments.n)
    return ExplorationDay(
        day=day, decisions_n=moments.n, price=price, price_low=low, price_high=high
    )


def _spread(found: Exploring) -> float | None:
    values = []
    for by_day in (found.greedy, found.uniform):
        moments = by_day.get("", PairedMoments())
        value = moments.target()
        if value is None or snips(moments.of_target, policy="").verdict == "refuse":
            return None
        values.append(value.value)
    return values[0] - values[1]


def _plan(
    found: Exploring,
    surface: Surface,
    policy: PolicySpec,
    question: ExplorationQuestion,
    alpha: float,
    per_day: float,
    spread: float | None,
) -> ExplorationPlan:
    def plan(**given: object) -> ExplorationPlan:
        asked = {name: getattr(question, name) for name in ("difference", "changes", "days")}
        return ExplorationPlan(floor=policy.floor, **asked, **given)  # type: ignore[arg-type]

    if found.actions_n <= 1.0:
        return plan(reason="one_action")
    log = LogVariance(
        actions_n=found.actions_n,
        reward_variance=found.reward_variance,
        reward_range=(surface.reward_low, surface.reward_high),
    )
    ask = {"changes": question.changes, "alpha": alpha}
    floor = floor_needed(log, question.days * per_day, question.difference, **ask)
    price = None
    if floor is not None and spread is not None:
        price = found.actions_n * floor * max(spread, 0.0) * per_day
    days = None
    if 0.0 < policy.floor <= 1.0 / found.actions_n:
        needed = decisions_needed(log, policy.floor, question.difference, **ask)
        days = None if needed is None else needed / per_day
    reason = None
    if floor is None:
        reason = "too_soon"
    elif days is None:
        reason = "never" if policy.floor else "no_floor"
    return plan(days_at_floor=days, floor_wanted=floor, price_wanted=price, reason=reason)


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).date().isoformat()
