"""Which variant a unit is in, and why."""

from typing import Literal, NamedTuple

from bandit.assign.hashing import bucket
from bandit.assign.targeting import Facts, Targeting
from bandit.specs import BUCKETS, Experiment, Layer, Ranges, Variant

NOBODY = 255
"""In a table of buckets: owned by no variant; there are at most 50 of them."""


class Placement(NamedTuple):
    """Where a unit is.

    Attributes:
        reason: `split` = by the unit's hash, `override` = set by hand.
    """

    variant: Variant
    reason: Literal["split", "override"]

    @property
    def forced(self) -> bool:
        """Whether it was set by hand, so that no report counts it."""
        return self.reason == "override"


class Placing:
    """An experiment made ready: its buckets in tables, its targeting compiled. Immutable.

    Where a unit is depends on the experiment, its layer and the request, and on nothing that
    happened: no state, no input or output. In this order:

    1. only a `running` experiment assigns;
    2. a unit with an override is in that variant, whatever follows;
    3. `bucket(layer.salt, unit)` must be in `layer_buckets` and not in the layer's holdout;
    4. `bucket(salt, unit)` must be in the allocation of a variant: that is the unit's;
    5. the targeting must hold.

    So widening an allocation or the layer's buckets (a ramp) takes units in and moves none between
    variants; and since two salts give independent buckets, an experiment of a layer splits the
    units of its layer buckets as evenly as it would split all.
    """

    __slots__ = (
        "_layer",
        "_layer_salt",
        "_overrides",
        "_salt",
        "_table",
        "_targeting",
        "_variants",
    )

    def __init__(self, experiment: Experiment, layer: Layer | None) -> None:
        """Make an experiment ready.

        Args:
            experiment: In any status.
            layer: The one it names; None if it names none.

        Raises:
            BadSpec: Its targeting can not be compiled.
        """
        running = experiment.status == "running"
        self._variants = experiment.variants
        self._overrides = (
            {
                unit_id: Placement(variant, "override")
                for unit_id, key in experiment.overrides.items()
                for variant in experiment.variants
                if variant.key == key
            }
            if running
            else {}
        )
        self._salt = experiment.salt
        self._table = _allocated(experiment) if running else None
        self._layer_salt = layer.salt if layer else ""
        self._layer = _own_buckets(experiment, layer) if layer else None
        self._targeting = Targeting(experiment.targeting) if experiment.targeting else None

    @property
    def overridden(self) -> frozenset[str]:
        """Units whose variant is set by hand now."""
        return frozenset(self._overrides)

    def place(self, unit_id: str, facts: Facts) -> Placement | None:
        """Where a unit is.

        Args:
            unit_id: Who is randomised.
            facts: What targeting looks at; untouched where there is none.

        Returns:
            None if it is in no variant.
        """
        if self._overrides:
            forced = self._overrides.get(unit_id)
            if forced is not None:
                return forced
        if self._table is None:
            return None
        if self._layer is not None and not self._layer[bucket(self._layer_salt, unit_id)]:
            return None
        index = self._table[bucket(self._salt, unit_id)]
        if index == NOBODY:
            return None
        if self._targeting is not None and not self._targeting.holds(facts):
            return None
        return Placement(self._variants[index], "split")


def placement_of(
    experiment: Experiment, layer: Layer | None, unit_id: str, context: bytes
) -> Placement | None:
    """Where one unit is; `Placing` does it for many.

    >>> experiment = Experiment(
    ...     key="feed",
    ...     salt="exp-7",
    ...     status="running",
    ...     control="a",
    ...     variants=[
    ...         Variant(key="a", allocation=[(0, 5000)]),
    ...         Variant(key="b", allocation=[(5000, 7000)]),
    ...     ],
    ... )
    >>> places = [placement_of(experiment, None, f"user-{i}", b"{}") for i in range(3)]
    >>> [place and place.variant.key for place in places]  # buckets 7655, 3369, 6366
    [None, 'a', 'b']
    """
    return Placing(experiment, layer).place(unit_id, Facts(unit_id, context))


def _allocated(experiment: Experiment) -> bytes:
    """The index of the variant that owns each bucket."""
    table = bytearray([NOBODY]) * BUCKETS
    for index, variant in enumerate(experiment.variants):
        _fill(table, variant.allocation, index)
    return bytes(table)


def _own_buckets(experiment: Experiment, layer: Layer) -> bytes:
    """1 for each of the layer's buckets that are the experiment's."""
    table = bytearray(BUCKETS)
    _fill(table, experiment.layer_buckets, 1)
    _fill(table, layer.holdout, 0)
    return bytes(table)


def _fill(table: bytearray, ranges: Ranges, value: int) -> None:
    for low, high in ranges:
        table[low:high] = bytes([value]) * (high - low)
