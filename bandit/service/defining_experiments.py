"""What experiments and layers may be declared next to each other, and what of them may change.

An experiment goes draft → running → stopped → archived, and never back. While it is a draft
everything may change. From then on its reports must mean one thing and its units stay where they
are: nothing that places or serves them may change, and it may only take units in.
"""

from collections.abc import Iterable, Iterator

from bandit.assign import Targeting
from bandit.errors import BadSpec
from bandit.service.declared import Declared
from bandit.service.defining_metrics import check_metrics_of
from bandit.specs import BUCKETS, Experiment, Layer, Ranges

STATUSES = ("draft", "running", "stopped", "archived")
FIXED = ("surface", "salt", "layer", "targeting", "control", "looks", "planned_units")
"""Of an experiment that is no draft any more; a plan that is made after a look is none."""


def check_experiment(experiment: Experiment, declared: Declared) -> None:
    """Check an experiment against everything else; its policies are checked elsewhere.

    Raises:
        BadSpec: It could not be served, or would change what may not change.
    """
    if experiment.targeting:
        Targeting(experiment.targeting)
    if experiment.layer is not None:
        _check_salts(experiment, declared.get(Layer, experiment.layer))
    elif experiment.layer_buckets != [(0, BUCKETS)]:
        raise BadSpec(
            f"layer_buckets are {experiment.layer_buckets}, must be left out without a layer"
        )
    check_metrics_of(experiment, declared)
    before = declared.find(Experiment, experiment.key)
    if before is not None:
        _check_change(before, experiment)
    elif experiment.status in ("stopped", "archived"):
        raise BadSpec(
            f"status of experiment {experiment.key!r} is {experiment.status!r}, must be 'draft' "
            "or 'running' at first"
        )
    if experiment.status == "running":
        _check_neighbours(experiment, declared)


def check_layer(layer: Layer, declared: Declared) -> None:
    """Check a change of a layer.

    Neither salt nor holdout changes while an experiment of the layer runs: another salt would
    move all of its units, a larger holdout would take units out of their variants, and a smaller
    one would treat units that were kept untreated on purpose.

    Raises:
        BadSpec: It would.
    """
    for other in declared.each(Layer):
        if other.salt == layer.salt and other.key != layer.key:
            raise BadSpec(
                f"salt of layer {layer.key!r} is {layer.salt!r}, as that of layer {other.key!r}, "
                "must be its own: else units fall into both alike"
            )
    for experiment in declared.each(Experiment):
        if experiment.layer == layer.key:
            _check_salts(experiment, layer)
    before = declared.find(Layer, layer.key)
    for experiment in running(declared):
        if before is None or experiment.layer != layer.key:
            continue
        for name in ("salt", "holdout"):
            is_now, was = getattr(layer, name), getattr(before, name)
            if is_now != was:
                raise BadSpec(
                    f"{name} of layer {layer.key!r} is {is_now!r}, must stay {was!r} while "
                    f"experiment {experiment.key!r} is running in it"
                )


def running(declared: Declared, surface: str | None = None) -> Iterator[Experiment]:
    """The running experiments, all or those on a surface."""
    for experiment in declared.each(Experiment):
        if experiment.status == "running" and surface in (None, experiment.surface):
            yield experiment


def _check_salts(experiment: Experiment, layer: Layer) -> None:
    if experiment.salt == layer.salt:
        raise BadSpec(
            f"salt of experiment {experiment.key!r} is {layer.salt!r}, must differ from its "
            "layer's: else the layer's buckets decide on the variant"
        )


def _check_neighbours(experiment: Experiment, declared: Declared) -> None:
    """No unit may be in two experiments of one layer or surface, no two may split units alike."""
    for other in running(declared):
        if other.key == experiment.key:
            continue
        if experiment.layer is None or other.layer != experiment.layer:
            if experiment.surface is not None and other.surface == experiment.surface:
                raise BadSpec(
                    f"experiment {other.key!r} is running on surface {other.surface!r}, must be "
                    "stopped before another one runs there, unless both are in one layer"
                )
            if other.salt == experiment.salt:
                raise BadSpec(
                    f"salt of experiment {experiment.key!r} is {other.salt!r}, as that of running "
                    f"experiment {other.key!r}, must be its own: else their variants go together"
                )
            continue
        shared = _buckets(experiment.layer_buckets) & _buckets(other.layer_buckets)
        if shared:
            raise BadSpec(
                f"layer_buckets of experiment {experiment.key!r} share {len(shared)} with running "
                f"experiment {other.key!r}, {min(shared)} the first, must share none: "
                "experiments of one layer never share a unit"
            )


def _check_change(before: Experiment, after: Experiment) -> None:
    """What may change depends on whether units were assigned already."""
    if STATUSES.index(after.status) < STATUSES.index(before.status):
        raise BadSpec(
            f"status of experiment {after.key!r} is {after.status!r}, must not go back from "
            f"{before.status!r}: declare another key"
        )
    if before.status == "draft":
        return
    for name in FIXED:
        is_now, was = getattr(after, name), getattr(before, name)
        if is_now != was:
            raise BadSpec(
                f"{name} of experiment {after.key!r} is {is_now!r}, must stay {was!r} "
                f"once it was {before.status}"
            )
    _check_grows(after.key, "layer_buckets", before.layer_buckets, after.layer_buckets)
    variants = {variant.key: variant for variant in after.variants}
    for was_variant in before.variants:
        variant = variants.get(was_variant.key)
        if variant is None or variant.policy != was_variant.policy:
            raise BadSpec(
                f"variant {was_variant.key!r} of experiment {after.key!r} must stay, "
                f"with policy {was_variant.policy!r}, once it was {before.status}"
            )
        if variant.payload != was_variant.payload:
            raise BadSpec(
                f"payload of variant {variant.key!r} of experiment {after.key!r} must stay "
                f"{was_variant.payload!r} once it was {before.status}"
            )
        what = f"allocation of variant {variant.key!r}"
        _check_grows(after.key, what, was_variant.allocation, variant.allocation)


def _check_grows(key: str, what: str, was: Ranges, is_now: Ranges) -> None:
    lost = _buckets(was) - _buckets(is_now)
    if lost:
        raise BadSpec(
            f"{what} of experiment {key!r} loses {len(lost)} of its buckets, {min(lost)} the "
            "first, must keep them: once units are assigned it only grows"
        )


def _buckets(ranges: Iterable[tuple[int, int]]) -> set[int]:
    return {bucket for low, high in ranges for bucket in range(low, high)}
