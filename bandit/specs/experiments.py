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
