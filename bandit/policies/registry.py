"""From a spec to a policy."""

from bandit.errors import BadSpec
from bandit.policies.arguments import read_arguments
from bandit.policies.base import Policy
from bandit.policies.fixed import Fixed
from bandit.policies.trial import try_out
from bandit.policies.uniform import Uniform
from bandit.policies.vw import VowpalWabbit
from bandit.specs import PolicySpec


def build(spec: PolicySpec, weights: bytes | None = None) -> Policy:
    """Build a policy, untrained or as it was saved.

    >>> from bandit.records import Action
    >>> policy = build(PolicySpec(key="random", type="uniform"))
    >>> policy.pmf(b"{}", [Action(id="a"), Action(id="b")])
    [0.5, 0.5]

    Args:
        spec: Its floor is not part of the policy: mix it in with `with_floor`.
        weights: What `LearningPolicy.save` gave; None for an untrained policy.

    Returns:
        A `LearningPolicy` if `spec.learns`.

    Raises:
        BadSpec: The arguments can not be used, or not with these weights.
        SnapshotCorrupt: The weights are not what was saved.
    """
    if spec.type == "vw":
        return VowpalWabbit(spec.arguments, weights)
    if weights is not None:
        raise BadSpec(f"policy {spec.key!r} does not learn, must be given no weights")
    return Uniform() if spec.type == "uniform" else Fixed()


def check_spec(spec: PolicySpec) -> None:
    """Refuse a policy that could not keep its promises, by trying it out; takes some 20 ms.

    Raises:
        BadSpec: The arguments can not be used; a saved policy does not go on exactly as it would
            have without being saved; its probabilities are no distribution, or can be 0 where no
            floor lifts them.
    """
    if not 0.0 <= spec.floor <= 1.0:
        raise BadSpec(f"floor is {spec.floor!r}, must be in [0, 1]")
    if spec.type != "vw":
        return
    if spec.floor == 0.0 and not read_arguments(spec.arguments).reaches_all:
        raise BadSpec(
            f"floor is 0 and {spec.arguments!r} can leave an action without any probability, "
            "must have a floor above 0"
        )
    try_out(lambda weights: VowpalWabbit(spec.arguments, weights))
