"""Policies: declared ones, and those that serve without."""

import itertools
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from bandit.errors import BadSpec
from bandit.records import Record
from bandit.specs.base import Share, Spec
from bandit.wire import Key

KILL_SWITCH = "kill-switch"
"""Policy of a surface that is switched off: the offered order; nobody declares it."""
UNIFORM_SLICE = "uniform-slice"
"""Policy of a surface's uniform slice; nobody declares it."""
PolicyType = Literal[
    "auto", "vw", "linear", "thompson", "ucb", "popularity", "mixture", "uniform", "fixed"
]
LEARNING_TYPES = frozenset({"auto", "vw", "linear", "thompson", "ucb", "popularity"})

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
            propensity 1; `mixture` mixes others; all others learn. `auto` if nothing is known of
            the surface, `vw` for large catalogues, several slots or little time: "Choosing a
            policy" in `bandit/policies/README.md` says which one when, and why.
        arguments: Vowpal Wabbit's options, for `vw` only; none are good with any rewards.
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
