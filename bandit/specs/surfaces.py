"""Surfaces, and the rules that hold there whatever policy draws."""

import itertools
from typing import Annotated, ClassVar, Literal

import msgspec

from bandit.errors import BadSpec
from bandit.records import Id, Record
from bandit.specs.base import Share, Spec
from bandit.wire import Key, Name, Pin


class Diversity(Record, frozen=True, kw_only=True):
    """At most so many actions of one ranking may have the same value of a feature.

    Attributes:
        feature: Name as the action's features have it, `a.b` for a member of an object. An action
            without it counts as none of its values.
    """

    feature: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    most: Annotated[int, msgspec.Meta(ge=1, le=1000)]


class Rules(Record, frozen=True, kw_only=True):
    """What holds on a surface before the draw, whatever policy draws.

    Attributes:
        denied: Ids that are never eligible.
        least, most: Bounds of an action's probability of being drawn at the top, by id; mixed in
            after the policy's floor.
        pins: Actions that have a slot of their own whenever they are offered.
        diversity: Bounds on how much alike a ranking may be; it ends early rather than break one.
    """

    denied: list[Id] = []
    least: dict[Id, Share] = {}
    most: dict[Id, Annotated[float, msgspec.Meta(gt=0, le=1)]] = {}
    pins: list[Pin] = []
    diversity: list[Diversity] = []

    def __post_init__(self) -> None:
        if sum(self.least.values()) > 1.0:
            raise BadSpec(
                f"rules.least sums to {sum(self.least.values())!r}, must be at most 1 in all"
            )
        for id_, least in self.least.items():
            if least > self.most.get(id_, 1.0):
                raise BadSpec(
                    f"rules.least of {id_!r} is {least!r}, must be at most its rules.most, "
                    f"{self.most[id_]!r}"
                )
        slots = [pin.slot for pin in self.pins]
        ids = [pin.id for pin in self.pins]
        if len(set(slots)) < len(slots) or len(set(ids)) < len(ids):
            raise BadSpec("rules.pins name a slot or an id twice, must name each once")


class ContextRule(Record, frozen=True, kw_only=True):
    """What is left of a member of the context; `bandit.service.withholding` applies it.

    Attributes:
        rule: `keep` = the value, `drop` = nothing, `hash` = a text that stands for it, `bucket` =
            of a number the interval between two edges that it is in, of anything else nothing.
        edges: For `bucket` only, ascending; a number on an edge belongs above it.
    """

    rule: Literal["keep", "drop", "hash", "bucket"]
    edges: Annotated[list[float], msgspec.Meta(max_length=1000)] = []

    def __post_init__(self) -> None:
        if bool(self.edges) != (self.rule == "bucket"):
            raise BadSpec(
                f"a {self.rule} rule has {len(self.edges)} edges, "
                "must have at least one for bucket and none for others"
            )
        if any(not low < high for low, high in itertools.pairwise(self.edges)):
            raise BadSpec(f"edges are {self.edges}, must ascend")


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
        rules: What holds before the draw, whatever policy draws.
        context: What is left of the context's members before anything looks at them or is logged,
            by name, `a.b` for a member of an object; a rule holds for all below its name, unless
            one with a longer name does.
        context_unnamed: What becomes of members that no rule holds for.
        uniform_share: Share of units whose decisions are always drawn uniformly and that are in
            no experiment: the honest yardstick. By hash of the surface's key, so it only grows or
            shrinks at its edge.
        killed: Serve the offered order at once, whatever else is declared.
        signed: Rewards and exposures must bring the token of their decision.
        unit_rewards_per_hour: The most rewards of one unit that one worker accepts in an hour,
            about; needs `signed`, since it goes by the unit inside the token.
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
    rules: Rules = msgspec.field(default_factory=Rules)
    context: dict[Annotated[str, msgspec.Meta(min_length=1, max_length=1000)], ContextRule] = {}
    context_unnamed: Literal["keep", "drop"] = "keep"
    uniform_share: Share = 0.0
    killed: bool = False
    signed: bool = False
    unit_rewards_per_hour: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if not -1e6 <= self.reward_low < self.reward_high <= 1e6:
            raise BadSpec(
                f"rewards are bounded by [{self.reward_low!r}, {self.reward_high!r}], "
                "must be two numbers in [-1e6, 1e6], the lower first"
            )
        if self.unit_rewards_per_hour is not None and not self.signed:
            raise BadSpec(
                f"unit_rewards_per_hour is {self.unit_rewards_per_hour} and signed is false, must "
                "be true: who earned is read from the token"
            )
        if not self.reward_low <= self.default_reward <= self.reward_high:
            raise BadSpec(
                f"default_reward is {self.default_reward!r}, must be in "
                f"[{self.reward_low!r}, {self.reward_high!r}]"
            )
