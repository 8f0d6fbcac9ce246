"""What was declared: surfaces, policies, experiments and metrics.

A spec checks what it can see by itself; what needs the other specs (does the policy exist?) is
checked by `bandit.service.defining` when it is declared.
"""

import itertools
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from bandit.errors import BadSpec
from bandit.records import Id, Record, check_depth
from bandit.wire import Key, Name, Pin

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Bucket = Annotated[int, msgspec.Meta(ge=0, le=10_000)]

BUCKETS = 10_000
Ranges = list[tuple[Bucket, Bucket]]
"""Half-open ranges `[low, high)` of the 10,000 buckets."""
KILL_SWITCH = "kill-switch"
"""Policy of a surface that is switched off: the offered order; nobody declares it."""
UNIFORM_SLICE = "uniform-slice"
"""Policy of a surface's uniform slice; nobody declares it."""


class Spec(Record, frozen=True, kw_only=True):
    """Base of every declaration.

    Attributes:
        project: Whose it is; it never changes, and what a declaration names is of its own project.
            Keys are one namespace over all projects.
    """

    kind: ClassVar[str]

    key: Key
    project: Key = "default"


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


PolicyType = Literal["vw", "linear", "thompson", "ucb", "popularity", "mixture", "uniform", "fixed"]
LEARNING_TYPES = frozenset({"vw", "linear", "thompson", "ucb", "popularity"})

TRAINING_FIELDS = (
    "type",
    "arguments",
    "parameters",
    "parts",
    "surface",
    "learns_from",
    "slot_model",
    "numeric",
    "window",
)
"""Of a `PolicySpec`: all that its weights depend on, so a policy of another kind is another key."""


class NumericFeature(Record, frozen=True, kw_only=True):
    """How a policy sees a numeric feature.

    Attributes:
        encoding: `bucket` = one of several names by its place between the edges; `centre` = minus
            its mean, over its standard deviation.
        edges: For `bucket`, ascending; empty: quintiles of what the policy learned from first,
            frozen from then on and kept in its snapshots.
    """

    encoding: Literal["bucket", "centre"]
    edges: list[float] = []

    def __post_init__(self) -> None:
        if self.edges and self.encoding == "centre":
            raise BadSpec("edges are given, must be empty for a centred feature")
        if any(low >= high for low, high in itertools.pairwise(self.edges)):
            raise BadSpec(f"edges are {self.edges}, must ascend")


class Part(Record, frozen=True, kw_only=True):
    """One policy inside a mixture.

    Attributes:
        weight: Its share of the mixture's probability; the weights sum to 1.
    """

    weight: Annotated[float, msgspec.Meta(gt=0, le=1)]
    type: Literal["vw", "linear", "thompson", "ucb", "popularity", "uniform", "fixed"]
    arguments: str = ""
    parameters: dict[str, Any] = {}


class PolicySpec(Spec, frozen=True, kw_only=True):
    """A policy: (context, actions) → pmf.

    Attributes:
        type: `uniform` gives every action the same chance; `fixed` keeps the offered order with
            propensity 1; `mixture` mixes others; all others learn.
        arguments: Vowpal Wabbit's options, for `vw` only.
        parameters: Of the other types; each one's own file says which.
        parts: Of a mixture.
        floor: The least probability an eligible action may have; 0 for `fixed`.
        surface: Whose log a learning policy learns from.
        learns_from: `surface` = every decision there with its logged propensity, `own` = only
            decisions that this policy drew.
        slot_model: How a policy of type `vw` fills several slots. `shared` = one prediction, all
            slots are drawn from it and learned from alike; `position` = the same, but learning
            knows the slot, so that bias by position is not taken for worth; `ccb` = a prediction
            for each slot, given its features and the actions left.
        numeric: Numeric features by `context.<name>` or `action.<name>`; `context.*` and
            `action.*` stand for all others of theirs.
        window: Forget what is older than about so many lessons (between half and all of them).
    """

    kind: ClassVar[str] = "policy"

    type: PolicyType
    arguments: str = ""
    parameters: dict[str, Any] = {}
    parts: list[Part] = []
    floor: Share = 0.0
    surface: Key | None = None
    learns_from: Literal["surface", "own"] = "surface"
    slot_model: Literal["shared", "position", "ccb"] = "shared"
    numeric: dict[str, NumericFeature] = {}
    window: Annotated[int, msgspec.Meta(ge=10)] | None = None
    description: str = ""

    @property
    def learns(self) -> bool:
        """Whether a learner must train it."""
        return self.type in LEARNING_TYPES or any(p.type in LEARNING_TYPES for p in self.parts)

    def __post_init__(self) -> None:
        if self.learns and self.surface is None:
            raise BadSpec(f"policy {self.key!r} learns, must name the surface it learns from")
        if self.type == "fixed" and self.floor != 0.0:
            raise BadSpec(f"floor is {self.floor!r}, must be 0 for a fixed policy")
        if self.type != "vw" and self.arguments:
            raise BadSpec(
                f"arguments are {self.arguments!r}, must be empty for a {self.type} policy"
            )
        if (self.type == "mixture") != bool(self.parts):
            raise BadSpec(
                f"a {self.type} policy has {len(self.parts)} parts, "
                "must be at least one for a mixture and none for others"
            )
        if self.parts and abs(sum(part.weight for part in self.parts) - 1.0) > 1e-9:
            raise BadSpec(
                f"weights of parts sum to {sum(part.weight for part in self.parts)!r}, must be 1"
            )
        if self.slot_model != "shared" and self.type != "vw":
            raise BadSpec(
                f"slot_model is {self.slot_model!r}, must be 'shared' for a {self.type} policy"
            )
        if not self.learns and (self.numeric or self.window):
            raise BadSpec(f"a {self.type} policy learns nothing, must have no numeric or window")
        for name in self.numeric:
            if not name.startswith(("context.", "action.")):
                raise BadSpec(f"numeric names {name!r}, must begin with 'context.' or 'action.'")


BUILT_IN: dict[str, PolicySpec] = {
    KILL_SWITCH: PolicySpec(key=KILL_SWITCH, type="fixed"),
    UNIFORM_SLICE: PolicySpec(key=UNIFORM_SLICE, type="uniform"),
}
"""Policies that serve without being declared, and may not be; replays and reports know them."""


class Variant(Record, frozen=True, kw_only=True):
    """One branch of an experiment.

    Attributes:
        policy: What it serves; None in an experiment without a surface.
        payload: Any JSON that `/v1/assignments` gives to its units, 32 deep at most.
        allocation: Which of the experiment's 10,000 buckets it owns.
    """

    key: Key
    policy: Key | None = None
    payload: Any = None
    allocation: Ranges

    def __post_init__(self) -> None:
        check_depth("payload", self.payload)


class Experiment(Spec, frozen=True, kw_only=True):
    """A randomised comparison: of policies on one surface, or of payloads.

    Attributes:
        surface: Where its variants' policies draw; None: variants are payloads only.
        salt: Separates its hash from every other experiment's.
        layer: Experiments of one layer never share a unit.
        layer_buckets: Which of the layer's 10,000 buckets are its own.
        targeting: A CEL expression over `context` and `unit_id`; only units that fulfil it are
            assigned. Empty: all.
        overrides: Units whose variant is set by hand (for tests); no report counts them.
        control: Key of the reference variant.
        metrics: Keys of the metrics it is judged by, the primary first.
        status: Units are assigned while `running`.
    """

    kind: ClassVar[str] = "experiment"

    surface: Key | None = None
    salt: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    layer: Key | None = None
    layer_buckets: Ranges = msgspec.field(default_factory=lambda: [(0, BUCKETS)])
    targeting: Annotated[str, msgspec.Meta(max_length=4000)] = ""
    overrides: dict[Id, Key] = {}
    variants: Annotated[list[Variant], msgspec.Meta(min_length=2, max_length=50)]
    control: Key
    metrics: list[Key] = []
    status: Literal["draft", "running", "stopped", "archived"] = "draft"
    description: str = ""

    def __post_init__(self) -> None:
        keys = [variant.key for variant in self.variants]
        if len(set(keys)) != len(keys):
            raise BadSpec(f"variants are {keys}, must have different keys")
        if self.control not in keys:
            raise BadSpec(f"control is {self.control!r}, must be one of {keys}")
        for variant in self.variants:
            if (variant.policy is None) != (self.surface is None):
                raise BadSpec(
                    f"variant {variant.key!r} has policy {variant.policy!r}, must name one on a "
                    "surface and none without"
                )
        for unit_id, key in self.overrides.items():
            if key not in keys:
                raise BadSpec(f"override of {unit_id!r} is {key!r}, must be one of {keys}")
        check_ranges("allocation", (pair for v in self.variants for pair in v.allocation))
        check_ranges("layer_buckets", self.layer_buckets)


class Layer(Spec, frozen=True, kw_only=True):
    """Experiments in one layer never share a unit.

    Attributes:
        salt: Separates its hash from every other layer's.
        holdout: Buckets whose units are kept out of all of its experiments.
    """

    kind: ClassVar[str] = "layer"

    salt: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    holdout: Ranges = []
    description: str = ""

    def __post_init__(self) -> None:
        check_ranges("holdout", self.holdout)


def check_ranges(what: str, ranges: Iterable[tuple[int, int]]) -> None:
    """Refuse ranges of buckets that are empty or overlap.

    Raises:
        BadSpec: Naming the range or the bucket.
    """
    ordered = sorted(ranges)
    for low, high in ordered:
        if low >= high:
            raise BadSpec(f"{what} holds [{low}, {high}), must have low < high")
    for (_, end), (start, _) in itertools.pairwise(ordered):
        if start < end:
            raise BadSpec(
                f"{what}: bucket {start} belongs to two ranges, must belong to at most one"
            )


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


AnySpec = Surface | PolicySpec | Experiment | Layer | Metric
SPECS: dict[str, type[AnySpec]] = {
    spec.kind: spec for spec in (Surface, PolicySpec, Experiment, Layer, Metric)
}
