"""Experiments and their layers."""

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from bandit.errors import BadSpec
from bandit.records import Id, Record, check_depth
from bandit.specs.base import BUCKETS, Ranges, Spec, check_ranges
from bandit.wire import Key


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


class Note(Record, frozen=True, kw_only=True):
    """Something that happened while an experiment ran, for whoever reads its charts.

    Attributes:
        at_ms: When, in milliseconds since 1970 (UTC), up to the year 2199.
        text: What.
    """

    at_ms: Annotated[int, msgspec.Meta(ge=0, le=7_258_118_400_000)]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


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
        guardrails: Keys of metrics that must not be worse than the control by more than their
            margin.
        correction: How the secondary metrics and several treatments share alpha; the primary of a
            single treatment has it whole.
        sequential: Which interval decides: `anytime` may be looked at whenever one likes, `planned`
            at `looks` times on the way to `planned_units`, `fixed` once.
        looks: How often it will be looked at, for `planned`.
        planned_units: How many units it will have, for `planned`.
        segments: Members of the context (`a.b` for one of an object) by whose value at a unit's
            first decision it is also reported.
        bot_decisions: A unit with more decisions than this is taken for a bot and left out.
        status: Units are assigned while `running`.
        owner: Whom to ask about it; empty: whoever declared its newest version.
        notes: What happened while it ran, shown on the time axis of its charts.
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
    guardrails: Annotated[list[Key], msgspec.Meta(max_length=50)] = []
    correction: Literal["none", "holm", "hochberg", "bh"] = "holm"
    sequential: Literal["anytime", "planned", "fixed"] = "anytime"
    looks: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None
    planned_units: Annotated[int, msgspec.Meta(ge=2, le=10**12)] | None = None
    segments: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]],
        msgspec.Meta(max_length=10),
    ] = []
    bot_decisions: Annotated[int, msgspec.Meta(ge=1, le=10**9)] | None = 10_000
    status: Literal["draft", "running", "stopped", "archived"] = "draft"
    description: str = ""
    owner: Annotated[str, msgspec.Meta(max_length=200)] = ""
    notes: Annotated[list[Note], msgspec.Meta(max_length=100)] = []

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
        planned = self.looks is not None and self.planned_units is not None
        neither = self.looks is None and self.planned_units is None
        if not (planned if self.sequential == "planned" else neither):
            raise BadSpec(
                f"sequential is {self.sequential!r}, looks is {self.looks} and planned_units is "
                f"{self.planned_units}, must be both given for 'planned' and neither for others"
            )
        twice = sorted(set(self.metrics) & set(self.guardrails))
        if twice:
            raise BadSpec(f"{twice} are metrics and guardrails, must be one of them")
        if self.segments and self.surface is None:
            raise BadSpec("segments are given, must be empty without a surface: nothing is logged")
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
