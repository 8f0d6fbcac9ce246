"""Which variant a unit is in."""

from bandit.assign.hashing import bucket
from bandit.specs import Experiment, Variant


def variant_of(experiment: Experiment, unit_id: str) -> Variant | None:
    """The variant whose allocation holds the unit's bucket.

    It depends on nothing but the salt, the unit and the allocation, so widening a range (a ramp)
    takes in new units and moves none between variants.

    >>> experiment = Experiment(
    ...     key="feed",
    ...     surface="home.feed",
    ...     salt="exp-7",
    ...     status="running",
    ...     control="a",
    ...     variants=[
    ...         Variant(key="a", policy="random", allocation=[(0, 5000)]),
    ...         Variant(key="b", policy="learned", allocation=[(5000, 7000)]),
    ...     ],
    ... )
    >>> [variant.key if variant else None for variant in (
    ...     variant_of(experiment, f"user-{i}") for i in range(3))]  # buckets 7655, 3369, 6366
    [None, 'a', 'b']

    Args:
        experiment: Only a `running` one assigns.
        unit_id: Who is randomised.

    Returns:
        None if the experiment does not run, or no range holds the unit's bucket.
    """
    if experiment.status != "running":
        return None
    place = bucket(experiment.salt, unit_id)
    for variant in experiment.variants:
        for low, high in variant.allocation:
            if low <= place < high:
                return variant
    return None
