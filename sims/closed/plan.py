"""What a closed loop plays, and what it declares for it."""

import itertools
from typing import Annotated

import msgspec

from bandit.errors import RecordError
from bandit.event_id import surface_tag
from bandit.records import Record
from bandit.specs import AnySpec, Experiment, Metric, PolicySpec, Surface, Variant
from bandit.specs.policies import Part
from bandit.wire import Key

REWARD = "click"
ACTIONS_N = 8
"""At most so many are offered."""
CONTROL, MIXED, LEARNED = "uniform", "mixed", "learned"
FIRST_WEIGHT = 0.5
"""How often the mixed policy shows the offered order's first action; else any."""
ON_TIME, LATE = (0.0, 0.6), (1.5, 1.8)
"""Delays of rewards, in join windows. Between the two nothing is planned, so that a stall of less
than 0.4 windows makes no reward late that was to be on time."""
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]


class Plan(Record, frozen=True, kw_only=True):
    """What to play.

    Attributes:
        name: Begins the names of everything that is declared.
        rate_per_s: Requests a second of all clients together, rewards and repeats included.
        seconds: For how long new rounds begin.
        repetitions: Surfaces with an experiment between two policies that do not learn; one
            repetition each.
        learning: Surfaces with an experiment between a learning policy and chance.
        learning_share: Of the rounds that are played there.
        clients: Processes that ask.
        window_s: Join window of every surface.
        delay: Mean of the exponential delay of rewards that are to be on time, in windows, cut
            at `ON_TIME`.
        lost, late, doubled: Shares of rewards that are never sent, sent when the window is over,
            and sent twice.
        repeated: Share of rankings that are asked for twice under the client's own event id.
        alpha: 1 − the level of intervals.
    """

    name: Key = "loop"
    rate_per_s: Annotated[float, msgspec.Meta(gt=0)] = 200.0
    seconds: Annotated[float, msgspec.Meta(gt=0)] = 600.0
    repetitions: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 100
    learning: Annotated[int, msgspec.Meta(ge=0, le=100)] = 4
    learning_share: Share = 0.2
    clients: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    seed: int = 1
    window_s: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    delay: Annotated[float, msgspec.Meta(gt=0)] = 0.15
    lost: Share = 0.05
    late: Share = 0.05
    doubled: Share = 0.05
    repeated: Share = 0.02
    alpha: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.05

    def __post_init__(self) -> None:
        if bool(self.learning) != (self.learning_share > 0.0):
            raise RecordError(
                f"learning is {self.learning} and learning_share {self.learning_share:g}, "
                "must be both 0 or neither"
            )

    @property
    def counted_share(self) -> float:
        """Of rewards that come within their window: who is lost or late earns 0 in the log."""
        return (1.0 - self.lost) * (1.0 - self.late)

    @property
    def surfaces(self) -> list[str]:
        """Those of the repetitions, then those that learn."""
        tags: set[int] = set()
        fixed = _keys(f"{self.name}-", self.repetitions, tags)
        return fixed + _keys(f"{self.name}-learn-", self.learning, tags)

    def chances(self) -> list[float]:
        """With which probability a round is played on each surface."""
        fixed = (1.0 - self.learning_share) / self.repetitions
        learning = [self.learning_share / self.learning] * self.learning if self.learning else []
        return [fixed] * self.repetitions + learning

    def rounds_per_s(self, mean_reward: float) -> float:
        """Rounds a second that make `rate_per_s` requests, if a round earns that much."""
        rewards = mean_reward * (1.0 - self.lost) * (1.0 + self.doubled)
        return self.rate_per_s / (1.0 + self.repeated + rewards)


def _keys(begin: str, n: int, tags: set[int]) -> list[str]:
    """Keys of surfaces, numbered, with event-id tags of their own; adds those to `tags`.

    A service refuses a surface with the tag of another, and of 104 keys some two share one of the
    4,096 in three cases of four.
    """
    keys: list[str] = []
    numbers = itertools.count()
    while len(keys) < n:
        key = f"{begin}{next(numbers):03}"
        if surface_tag(key) not in tags:
            tags.add(surface_tag(key))
            keys.append(key)
    return keys


def first_policy(plan: Plan) -> str:
    """Key of the policy that shows the offered order."""
    return f"{plan.name}-first"


def policy_of(plan: Plan, variant: str, surface: str) -> str:
    """Key of the policy that a variant serves."""
    return f"{surface}-vw" if variant == LEARNED else f"{plan.name}-{variant}"


def declared(plan: Plan) -> list[tuple[str, AnySpec]]:
    """Everything to declare, in an order in which each finds what it names."""
    uniform, mixed, first = (f"{plan.name}-{each}" for each in (CONTROL, MIXED, "first"))
    parts = [
        Part(weight=FIRST_WEIGHT, type="fixed"),
        Part(weight=1.0 - FIRST_WEIGHT, type="uniform"),
    ]
    metric = Metric(key=f"{plan.name}-per-decision", source="reward", name=REWARD, per="decision")
    specs: list[tuple[str, AnySpec]] = [
        ("metrics", metric),
        ("policies", PolicySpec(key=uniform, type="uniform")),
        ("policies", PolicySpec(key=mixed, type="mixture", parts=parts)),
        ("policies", PolicySpec(key=first, type="fixed")),
    ]
    for number, key in enumerate(plan.surfaces):
        treatment = MIXED if number < plan.repetitions else LEARNED
        policy = policy_of(plan, treatment, key)
        if treatment == LEARNED:
            learning = PolicySpec(key=policy, type="vw", surface=key, floor=0.01)
            specs.append(("policies", learning))
        surface = Surface(
            key=key,
            policy=uniform,
            shadows=[uniform, first, policy],
            join_window_s=plan.window_s,
            max_actions=ACTIONS_N,
            reward_low=0.0,
            reward_high=1.0,
        )
        experiment = Experiment(
            key=key,
            surface=key,
            salt=f"{key}-{plan.seed}",
            variants=[
                Variant(key=CONTROL, policy=uniform, allocation=[(0, 5000)]),
                Variant(key=treatment, policy=policy, allocation=[(5000, 10_000)]),
            ],
            control=CONTROL,
            metrics=[metric.key],
            status="running",
        )
        specs += [("surfaces", surface), ("experiments", experiment)]
    return specs
