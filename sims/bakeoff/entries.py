"""Who takes part: our policies as they can be declared, and peers."""

from collections.abc import Sequence
from typing import NamedTuple

from bandit.errors import BadSpec
from bandit.policies.arguments import CLICKS, CRISP
from bandit.specs import NumericFeature, PolicySpec
from sims.learners import SURFACE, Contender, contender_of
from sims.peers import PEERS, PeerMissing
from sims.worlds.base import World

FLOOR = 0.002
_BUCKETS = NumericFeature(encoding="bucket")
_NUMERIC = {"context.*": _BUCKETS, "action.*": _BUCKETS}
_CENTRED = {
    "context.*": NumericFeature(encoding="centre"),
    "action.*": NumericFeature(encoding="centre"),
}


def _ours(key: str, kind: str = "vw", **given: object) -> PolicySpec:
    fields = {"key": key, "type": kind, "surface": SURFACE, **given}
    return PolicySpec(**fields)  # type: ignore[arg-type]


OURS: dict[str, PolicySpec] = {
    spec.key: spec
    for spec in (
        _ours("auto", "auto"),
        _ours("vw"),
        _ours("vw-buckets", numeric=_NUMERIC),
        _ours("crisp", arguments=CRISP, floor=FLOOR),
        _ours("crisp-buckets", arguments=CRISP, floor=FLOOR, numeric=_NUMERIC),
        _ours("clicks", arguments=CLICKS),
        _ours("linear", "linear", floor=FLOOR, numeric=_CENTRED),
        PolicySpec(key="uniform", type="uniform"),
    )
}
"""By key, in the order of tables."""


class LeftOut(NamedTuple):
    """Who can not take part in a world, and why."""

    world: str
    policy: str
    why: str


def contenders_of(keys: Sequence[str]) -> list[Contender]:
    """Contenders by their keys.

    Raises:
        BadSpec: A key that nobody has.
    """
    known: dict[str, PolicySpec | Contender] = {**OURS, **PEERS}
    unknown = [key for key in keys if key not in known]
    if unknown:
        raise BadSpec(f"policy is {unknown[0]!r}, must be one of {', '.join(known)}")
    return [contender_of(known[key]) for key in keys]


def playing(contenders: Sequence[Contender], world: World) -> tuple[list[Contender], list[LeftOut]]:
    """Those that can play in a world, and the others."""
    able, left_out = [], []
    for contender in contenders:
        try:
            contender.learner(world, 0)
        except PeerMissing as exc:
            left_out.append(LeftOut(world.name, contender.key, str(exc)))
        else:
            able.append(contender)
    return able, left_out
