"""Policies as they are written on a command line and in a notebook."""

import msgspec

from bandit.errors import BadSpec
from bandit.specs import LEARNING_TYPES, PolicySpec
from sims.baselines import KINDS, Baseline
from sims.learners import SURFACE, Contender

FLOOR = 0.002


def policy_of(text: str, number: int, floor: float = FLOOR) -> PolicySpec:
    """Read a policy: a type, with its parameters as JSON if there are any, or options of VW.

    >>> policy_of("uniform", 1).key
    'uniform'
    >>> policy_of("--cb_explore_adf --squarecb", 2).arguments
    '--cb_explore_adf --squarecb'
    >>> policy_of('thompson {"prior_strength": 4}', 3).parameters
    {'prior_strength': 4}

    Args:
        text: What was written.
        number: Its place among all that are compared, which names those with parameters.
        floor: Of all but `fixed`.

    Raises:
        BadSpec: What follows a type is not a JSON object.
    """
    if text == "uniform":
        return PolicySpec(key=text, type="uniform", floor=floor)
    if text == "fixed":
        return PolicySpec(key=text, type="fixed")
    kind, _, parameters = text.partition(" ")
    if kind in LEARNING_TYPES - {"vw"}:
        try:
            given = msgspec.json.decode(parameters or "{}", type=dict[str, object])
        except msgspec.MsgspecError as exc:
            raise BadSpec(f"parameters of {kind}: {exc}") from exc
        key = f"{kind}-{number}" if given else kind
        fields = {"key": key, "type": kind, "parameters": given, "floor": floor, "surface": SURFACE}
        return msgspec.convert(fields, PolicySpec)
    arguments = text.removeprefix("vw").strip()
    key = f"vw-{number}" if arguments else "vw"
    return PolicySpec(key=key, type="vw", arguments=arguments, floor=floor, surface=SURFACE)


def contender_named(text: str, number: int, floor: float = FLOOR) -> PolicySpec | Contender:
    """The same, or a baseline: `linucb`, `lints` or `epsilon`, with parameters as JSON.

    >>> contender_named('linucb {"scale": 0.5}', 3).key
    'linucb-3'

    Raises:
        BadSpec: What follows is not an object of its parameters.
    """
    kind, _, parameters = text.partition(" ")
    if kind not in KINDS:
        return policy_of(text, number, floor)
    try:
        given = msgspec.json.decode(parameters or "{}", type=dict[str, object])
        name = f"{kind}-{number}" if given else kind
        return msgspec.convert({"name": name, **given, "kind": kind}, Baseline)
    except msgspec.MsgspecError as exc:
        raise BadSpec(f"parameters of {kind}: {exc}") from exc


def what_is(contender: Contender) -> str:
    """How a contender is declared, in one line."""
    spec = getattr(contender, "spec", None)
    if not isinstance(spec, PolicySpec):
        return repr(contender)
    usual = PolicySpec(key=spec.key, type="uniform")
    shown = {
        name: value
        for name in spec.__struct_fields__
        if name not in ("key", "surface")
        and ((value := getattr(spec, name)) != getattr(usual, name) or name == "type")
    }
    return msgspec.json.encode(shown).decode()
