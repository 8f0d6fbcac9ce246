"""Which policy draws for a unit, and why."""

from typing import NamedTuple

from bandit.assign import variant_of
from bandit.service.serving_state import RunnablePolicy, ServingSurface
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

    Args:
        surface: As it serves now.
        unit_id: Who is randomised.
        context: JSON as sent; targeting looks at it.
    """
    experiment = surface.experiment
    if experiment is not None:
        variant = variant_of(experiment.spec, unit_id)
        if variant is not None:
            assigned = AssignedVariant(key=experiment.spec.key, variant=variant.key)
            return Chosen(experiment.policies[variant.key], assigned, experiment.version)
    return Chosen(surface.policy)
