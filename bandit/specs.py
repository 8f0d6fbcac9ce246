"""What was declared: surfaces, policies, experiments and metrics.

A spec checks what it can see by itself; what needs the other specs (does the policy exist?) is
checked by `bandit.service.defining` when it is declared.
"""

import itertools
from typing import Annotated, ClassVar, Literal

import msgspec

from bandit.errors import BadSpec
from bandit.records import Record
from bandit.wire import Key, Name

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Bucket = Annotated[int, msgspec.Meta(ge=0, le=10_000)]

BUCKETS = 10_000


class Spec(Record, frozen=True, kw_only=True):
    """Base of every declaration."""

    kind: ClassVar[str]

    key: Key


class Surface(Spec, frozen=True, kw_only=True):
    """A named place in the product that asks for a ranking.

    Attributes:
        policy: Serves whoever is in no experiment.
        shadows: Policies whose probability of each drawn action is logged with every decision,
            so that their value is always known without a replay.
        join_window_s: How long after a decision a reward still counts: `[0, w)`.
        default_reward: What a seen slot is worth when nothing came back in the window.
        reward_low, reward_high: The only rewards accepted and learned from.
        reward_weights: Worth of each reward name in the slot's total; empty: every name counts 1.
        aggregation: How several rewards of one name and slot become one number.
        max_actions: The most candidates one request may offer.
    """

    kind: ClassVar[str] = "surface"

    policy: Key
    shadows: list[Key] = []
    join_window_s: Annotated[float, msgspec.Meta(gt=0, le=30 * 86_400)] = 600.0
    default_reward: float = 0.0
    reward_low: float = -1.0
    reward_high: float = 1.0
    reward_weights: dict[Name, float] = {}
    aggregation: Literal["sum", "first", "last", "mean", "max", "min"] = "sum"
    max_actions: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 200
    description: str = ""

    def __post_init__(self) -> None:
        if not -1e6 <= self.reward_low < self.reward_high <= 1e6:
            raise BadSpec(
                f"rewards are bounded by [{self.reward_low!r}, {self.reward_high!r}], "
                "must be two numbers in [-1e6, 1e6], the lower first"
            )
        if not self.reward_low <= self.default_reward <= self.reward_high:
            raise BadSpec(
                f"default_reward is {self.default_reward!r}, must be in "
                f"[{self.reward_low!r}, {self.reward_high!r}]"
            )


class PolicySpec(Spec, frozen=True, kw_only=True):
    """A policy: (context, actions) → pmf.

    Attributes:
        type: `vw` learns; `uniform` gives every action the same chance; `fixed` keeps the
            client's order with propensity 1.
        arguments: Vowpal Wabbit's options, for `vw` only.
        floor: The least probability an eligible action may have; 0 for `fixed`.
        surface: Whose log a learning policy learns from.
        learns_from: `surface` = every decision there with its logged propensity, `own` = only
            decisions that this policy drew.
    """

    kind: ClassVar[str] = "policy"

    type: Literal["vw", "uniform", "fixed"]
    arguments: str = ""
    floor: Share = 0.0
    surface: Key | None = None
    learns_from: Literal["surface", "own"] = "surface"
    description: str = ""

    @property
    def learns(self) -> bool:
        """Whether a learner must train it."""
        return self.type == "vw"

    def __post_init__(self) -> None:
        if self.learns and self.surface is None:
            raise BadSpec(f"policy {self.key!r} learns, must name the surface it learns from")
        if self.type == "fixed" and self.floor != 0.0:
            raise BadSpec(f"floor is {self.floor!r}, must be 0 for a fixed policy")
        if self.type != "vw" and self.arguments:
            raise BadSpec(
                f"arguments are {self.arguments!r}, must be empty for a {self.type} policy"
            )


class Variant(Record, frozen=True, kw_only=True):
    """One branch of an experiment.

    Attributes:
        policy: What it serves.
        allocation: Half-open ranges `[low, high)` of the 10,000 buckets that it owns.
    """

    key: Key
    policy: Key
    allocation: list[tuple[Bucket, Bucket]]


class Experiment(Spec, frozen=True, kw_only=True):
    """A randomised comparison of policies on one surface.

    Attributes:
        salt: Separates its hash from every other experiment's.
        control: Key of the reference variant.
        metrics: Keys of the metrics it is judged by, the primary first.
        status: Units are assigned while `running`.
    """

    kind: ClassVar[str] = "experiment"

    surface: Key
    salt: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    variants: Annotated[list[Variant], msgspec.Meta(min_length=2, max_length=50)]
    control: Key
    metrics: list[Key] = []
    status: Literal["draft", "running", "stopped"] = "draft"
    description: str = ""

    def __post_init__(self) -> None:
        keys = [variant.key for variant in self.variants]
        if len(set(keys)) != len(keys):
            raise BadSpec(f"variants are {keys}, must have different keys")
        if self.control not in keys:
            raise BadSpec(f"control is {self.control!r}, must be one of {keys}")
        ranges = sorted((low, high) for v in self.variants for low, high in v.allocation)
        for low, high in ranges:
            if low >= high:
                raise BadSpec(f"allocation holds [{low}, {high}), must have low < high")
        for (_, end), (start, _) in itertools.pairwise(ranges):
            if start < end:
                raise BadSpec(f"bucket {start} belongs to two ranges, must belong to at most one")


class Metric(Spec, frozen=True, kw_only=True):
    """A rule from rewards or outcomes to one number per unit.

    Attributes:
        source: `reward`: the top slots' rewards of a unit's decisions; `outcome`: its outcomes.
        name: Only rewards or outcomes of this name; empty: all of them.
        per: `decision` = the unit's mean per decision, `unit` = the unit's sum.
        better: Which direction is good.
    """

    kind: ClassVar[str] = "metric"

    source: Literal["reward", "outcome"]
    name: str = ""
    per: Literal["decision", "unit"] = "unit"
    better: Literal["higher", "lower"] = "higher"
    description: str = ""

    def __post_init__(self) -> None:
        if self.source == "outcome" and self.per == "decision":
            raise BadSpec("an outcome belongs to no decision, must be counted per unit")


AnySpec = Surface | PolicySpec | Experiment | Metric
SPECS: dict[str, type[AnySpec]] = {
    spec.kind: spec for spec in (Surface, PolicySpec, Experiment, Metric)
}
