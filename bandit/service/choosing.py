"""Which policy draws for a unit, and why."""

from typing import NamedTuple

from bandit.assign import Facts, Placement, bucket
from bandit.service.serving_state import (
    BUILT_IN_POLICIES,
    RunnablePolicy,
    ServingExperiment,
    ServingSurface,
)
from bandit.specs import UNIFORM_SLICE
from bandit.wire import AssignedVariant


class Chosen(NamedTuple):
    """Which policy draws for a unit, and why.

    Attributes:
        assigned: The experiment and variant that chose it; None outside any.
        experiment_version: 0 outside any.
        forced: The variant was set by hand.
    """

    policy: RunnablePolicy
    assigned: AssignedVariant | None = None
    experiment_version: int = 0
    forced: bool = False


def choose(surface: ServingSurface, unit_id: str, context: bytes) -> Chosen:
    """Choose the policy for a unit's decision on a surface.

    In this order: the kill switch; the unit's override; the uniform slice, whose units are in no
    experiment; the experiment that the unit is in, of which there is at most one; the surface's
    own policy.

    Args:
        surface: As it serves now; a killed one holds nothing but the kill switch's policy.
        unit_id: Who is randomised.
        context: JSON as sent; targeting looks at it.
    """
    if surface.overrides:
        forced = surface.overrides.get(unit_id)
        if forced is not None:
            placed = forced.placing.place(unit_id, Facts(unit_id, context))
            if placed is not None:
                return _chosen(forced, placed)
    if surface.uniform_buckets and bucket(surface.uniform_salt, unit_id) < surface.uniform_buckets:
        return Chosen(_UNIFORM)
    if surface.experiments:
        facts = Facts(unit_id, context)
        for experiment in surface.experiments:
            placed = experiment.placing.place(unit_id, facts)
            if placed is not None:
                return _chosen(experiment, placed)
    return Chosen(surface.policy)


_UNIFORM = BUILT_IN_POLICIES[UNIFORM_SLICE]


def _chosen(experiment: ServingExperiment, placed: Placement) -> Chosen:
    variant, key = placed.variant.key, experiment.spec.key
    assigned = AssignedVariant(key=key, variant=variant)
    return Chosen(experiment.policies[variant], assigned, experiment.version, placed.forced)
