"""From a spec to a policy."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from bandit.errors import BadSpec
from bandit.policies.arguments import arguments_of, read_arguments
from bandit.policies.auto import Auto, AutoParameters
from bandit.policies.base import LearningPolicy, Policy
from bandit.policies.fixed import Fixed
from bandit.policies.linear import Linear, LinearParameters
from bandit.policies.mixture import Mixture, Share, saved_parts
from bandit.policies.numeric import Encoded
from bandit.policies.parameters import PLACE, read_parameters
from bandit.policies.popularity import Popularity, PopularityParameters
from bandit.policies.thompson import Thompson, ThompsonParameters
from bandit.policies.trial import try_out
from bandit.policies.ucb import Ucb, UcbParameters
from bandit.policies.uniform import Uniform
from bandit.policies.vw import VowpalWabbit
from bandit.policies.window import Windowed
from bandit.specs import LEARNING_TYPES, Part, PolicySpec


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
        BadSpec: The arguments or parameters can not be used, or not with these weights.
        SnapshotCorrupt: The weights are not what was saved.
    """
    if weights is not None and not spec.learns:
        raise BadSpec(f"policy {spec.key!r} does not learn, must be given no weights")
    if spec.numeric:
        return Encoded(partial(_forgetting, spec), spec.numeric, weights)
    return _forgetting(spec, weights) if spec.window else _bare(spec, weights)


def _forgetting(spec: PolicySpec, weights: bytes | None) -> LearningPolicy:
    """Inside of what numbers are encoded by: edges are frozen once, for all models to come."""
    bare = cast("Callable[[bytes | None], LearningPolicy]", partial(_bare, spec))
    return Windowed(bare, spec.window, weights) if spec.window else bare(weights)


def _bare(spec: PolicySpec, weights: bytes | None) -> Policy:
    if spec.type == "mixture":
        return _mixture(spec.parts, weights)
    arguments = spec.arguments
    if spec.type == "vw":
        arguments = arguments_of(arguments, spec.slot_model).text
    seen_as = "encoded" if spec.numeric else ""
    return _one(spec.type, arguments, spec.parameters, weights, seen_as=seen_as)


def check_spec(spec: PolicySpec) -> None:
    """Refuse a policy that could not keep its promises, by trying it out; takes some 20 ms.

    Raises:
        BadSpec: The arguments or parameters can not be used; what resumes from a saved policy does
            not go on exactly as the one that was saved; its probabilities are no distribution, or
            can be 0 where no floor lifts them.
    """
    if not 0.0 <= spec.floor <= 1.0:
        raise BadSpec(f"floor is {spec.floor!r}, must be in [0, 1]")
    build(spec)
    if spec.floor == 0.0 and spec.type != "fixed" and not _reaches_all(spec):
        raise BadSpec(
            f"floor is 0 and {_name_of(spec)} can leave an action without any probability, "
            "must have a floor above 0"
        )
    if spec.learns:
        try_out(lambda weights: cast("LearningPolicy", build(spec, weights)))


def _one(
    kind: str,
    arguments: str,
    parameters: Mapping[str, Any],
    weights: bytes | None,
    place: str = PLACE,
    seen_as: str = "",
) -> Policy:
    match kind:
        case "thompson":
            return Thompson(read_parameters(ThompsonParameters, parameters, place), weights)
        case "ucb":
            return Ucb(read_parameters(UcbParameters, parameters, place), weights)
        case "popularity":
            return Popularity(read_parameters(PopularityParameters, parameters, place), weights)
        case "auto":
            return Auto(read_parameters(AutoParameters, parameters, place), weights)
        case "linear":
            return Linear(read_parameters(LinearParameters, parameters, place), weights)
    if parameters:
        raise BadSpec(f"parameters are given, must be none for a {kind} policy - at `{place}`")
    match kind:
        case "vw":
            return VowpalWabbit(arguments, weights, seen_as=seen_as)
        case "uniform":
            return Uniform()
    return Fixed()


def _mixture(parts: list[Part], weights: bytes | None) -> Mixture:
    learning = [part.type in LEARNING_TYPES for part in parts]
    saved = iter(saved_parts(weights, sum(learning)) if weights is not None else ())
    shares = []
    for index, part in enumerate(parts):
        if part.arguments and part.type != "vw":
            raise BadSpec(
                f"arguments are {part.arguments!r}, must be empty for a {part.type} part "
                f"- at `$.parts[{index}].arguments`"
            )
        policy = _one(
            part.type,
            part.arguments,
            part.parameters,
            next(saved, None) if learning[index] else None,
            f"$.parts[{index}].parameters",
        )
        shares.append(Share(part.weight, policy, learning[index]))
    return Mixture(shares)


def _reaches_all(spec: PolicySpec | Part) -> bool:
    """Whether every action has a probability above 0, whatever was learned."""
    if isinstance(spec, PolicySpec) and spec.parts:
        return any(_reaches_all(part) for part in spec.parts)
    return spec.type in ("auto", "uniform") or (
        spec.type == "vw" and read_arguments(spec.arguments).reaches_all
    )


def _name_of(spec: PolicySpec) -> str:
    return repr(spec.arguments) if spec.type == "vw" else f"a {spec.type} policy"
