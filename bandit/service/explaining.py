"""Why a decision came out as it did: the log's record in the words of the glossary."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from bandit.errors import NotDeclared
from bandit.policies.pmf import uniform_of
from bandit.records import LoggedDecision, Record
from bandit.specs import BUILT_IN, KILL_SWITCH, UNIFORM_SLICE, PolicySpec, Rules, Surface
from bandit.store.definitions import Definitions
from bandit.wire import AssignedVariant


class Candidate(Record, frozen=True, kw_only=True):
    """An offered action.

    Attributes:
        excluded: Why it was not eligible: `request`, `denied` or `seen`; null if it was.
        probability: With which the policy would show it at the top if every eligible action could
            be drawn there; 0 if not eligible.
    """

    id: str
    features: Any
    eligible: bool
    excluded: str | None
    probability: float


class DrawnSlot(Record, frozen=True, kw_only=True):
    """One slot of the ranking.

    Attributes:
        propensity: Probability of this action given the slots above.
        uniform: The number in [0, 1) that the draw was made with.
        pinned: The slot was given, not drawn.
        explored: Another action of the slot's pool was likelier; null where that is not in the
            log: below the top of a policy that predicts each slot apart.
        blocked: Ids that could not be drawn here though they were left: pinned elsewhere, or too
            much like what the ranking holds.
        overridden: What was shown instead, if an exposure said so.
        shadows: What each shadow policy's propensity would have been.
    """

    slot: int
    id: str
    propensity: float
    uniform: float
    pinned: bool
    explored: bool | None
    blocked: list[str]
    overridden: str | None
    shadows: dict[str, float]


class Explanation(Record, frozen=True, kw_only=True):
    """A decision, explained.

    Attributes:
        forced: The unit's variant was set by hand.
        surface_version: Of the surface whose rules held; 0: not noted.
        catalogue: Version of the catalogue that the features are from; 0: the request's own.
        rules: Of the surface, as they were; null if they are not known any more.
        keep_share: Of decisions like this, which share was logged while it was made: it stands for
            1 ÷ that many. 1 unless the disk or the backlog was full.
        shadow_tops: What each shadow policy would have liked best at the top.
        because: The same in sentences.
    """

    event_id: str
    time: str
    surface: str
    surface_version: int
    catalogue: int
    unit_id: str
    experiment: AssignedVariant | None
    experiment_version: int
    forced: bool
    policy: str
    snapshot: str
    floor: float
    rules: Rules | None
    seed: int
    deferred: bool
    keep_share: float
    context: Any
    actions: list[Candidate]
    ranking: list[DrawnSlot]
    shadow_tops: dict[str, str]
    because: list[str]


class Known(NamedTuple):
    """What a decision's own record does not hold.

    Attributes:
        rules: Of the surface in the version that decided; None: not known.
        by_slot: The policy predicts each slot apart.
        overridden: Slot → what was shown instead.
    """

    rules: Rules | None = None
    by_slot: bool = False
    overridden: Mapping[int, str] = {}


def known_of(
    decision: LoggedDecision, definitions: Definitions, overridden: Mapping[int, str]
) -> Known:
    """Look up what explains a decision further.

    Raises:
        StoreUnavailable: The definitions can not be fetched now.
    """
    rules, spec = None, BUILT_IN.get(decision.policy)
    try:
        if spec is None:
            found = definitions.get(PolicySpec.kind, decision.policy).spec
            spec = found if isinstance(found, PolicySpec) else None
        if decision.surface_version:
            surface = definitions.get(Surface.kind, decision.surface, decision.surface_version).spec
            rules = surface.rules if isinstance(surface, Surface) else None
    except NotDeclared:
        pass  # an old decision is explained as far as it can be
    return Known(rules, spec is not None and spec.slot_model == "ccb", overridden)


def explain(decision: LoggedDecision, known: Known = Known()) -> Explanation:  # noqa: B008 (frozen)
    """Explain a logged decision."""
    reasons = _reasons(decision)
    variant = AssignedVariant(key=decision.experiment, variant=decision.variant)
    return Explanation(
        event_id=decision.event_id,
        time=datetime.fromtimestamp(decision.ts_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        surface=decision.surface,
        surface_version=decision.surface_version,
        catalogue=decision.catalogue,
        unit_id=decision.unit_id,
        experiment=variant if decision.experiment else None,
        experiment_version=decision.experiment_version,
        forced=decision.forced,
        policy=decision.policy,
        snapshot=f"{decision.policy}@{decision.snapshot}",
        floor=decision.floor,
        rules=known.rules,
        seed=decision.seed,
        deferred=decision.deferred,
        keep_share=decision.keep_share,
        context=msgspec.json.decode(decision.context),
        actions=[
            Candidate(
                id=action.id,
                features=msgspec.json.decode(action.features),
                eligible=index not in reasons,
                excluded=reasons.get(index),
                probability=decision.pmf[index],
            )
            for index, action in enumerate(decision.actions)
        ],
        ranking=[_slot(decision, known, slot) for slot in range(len(decision.ranking))],
        shadow_tops={key: decision.actions[top].id for key, top in decision.shadow_tops.items()},
        because=[*_because(decision, known)],
    )


def _reasons(decision: LoggedDecision) -> dict[int, str]:
    """Index → why it was excluded; by the request in logs older than reasons."""
    given = decision.excluded_reasons or ("request",) * len(decision.excluded)
    return dict(zip(decision.excluded, given, strict=True))


def _slot(decision: LoggedDecision, known: Known, slot: int) -> DrawnSlot:
    blocked = decision.blocked[slot] if decision.blocked else ()
    return DrawnSlot(
        slot=slot,
        id=decision.actions[decision.ranking[slot]].id,
        propensity=decision.propensities[slot],
        uniform=uniform_of(decision.seed, slot),
        pinned=slot in decision.pinned,
        explored=_explored(decision, known, slot),
        blocked=[decision.actions[index].id for index in blocked],
        overridden=known.overridden.get(slot),
        shadows={key: of_slots[slot] for key, of_slots in decision.shadows.items()},
    )


def _explored(decision: LoggedDecision, known: Known, slot: int) -> bool | None:
    if slot in decision.pinned or decision.propensities[slot] == 1.0:
        return False
    if slot and known.by_slot:
        return None
    gone = {*decision.excluded, *decision.ranking[:slot]}
    if decision.blocked:
        gone.update(decision.blocked[slot])
    likeliest = max(p for index, p in enumerate(decision.pmf) if index not in gone)
    return decision.pmf[decision.ranking[slot]] < likeliest


def _because(decision: LoggedDecision, known: Known) -> Iterator[str]:
    """The steps of the decision, in their order, as sentences."""
    yield _chosen(decision)
    offered, excluded = len(decision.actions), len(decision.excluded)
    yield f"{offered} actions were offered, {excluded} of them excluded{_by_reason(decision)}"
    rules = known.rules
    if rules is not None and (rules.least or rules.most):
        bounds = ", then within the surface's least and most of each action"
    else:
        bounds = ""
    yield (
        f"snapshot {decision.snapshot} gave the {offered - excluded} others their probabilities, "
        f"mixed so that none is below {decision.floor:g}{bounds}"
    )
    for slot in range(len(decision.ranking)):
        yield _filled(decision, known, slot)
    if decision.keep_share < 1.0:
        yield (
            f"it stands for {1 / decision.keep_share:g} decisions: a share of "
            f"{decision.keep_share:g} was logged then"
        )


def _chosen(decision: LoggedDecision) -> str:
    unit, surface, policy = decision.unit_id, decision.surface, decision.policy
    if policy == KILL_SWITCH:
        return f"surface {surface!r} was switched off and kept the offered order"
    if policy == UNIFORM_SLICE:
        return f"unit {unit!r} was in the share of surface {surface!r} that is drawn uniformly"
    if decision.experiment:
        how = " by an override" if decision.forced else ""
        return (
            f"experiment {decision.experiment!r} (version {decision.experiment_version}) put unit "
            f"{unit!r}{how} into variant {decision.variant!r}, which serves policy {policy!r}"
        )
    return (
        f"unit {unit!r} was in no running experiment of surface {surface!r}, "
        f"which serves policy {policy!r} to such units"
    )


_WORDS = {
    "request": "by the request",
    "denied": "by the surface's deny list",
    "seen": "because the unit has seen them",
}


def _by_reason(decision: LoggedDecision) -> str:
    reasons = list(_reasons(decision).values())
    parts = [f"{reasons.count(key)} {word}" for key, word in _WORDS.items() if key in reasons]
    return f" ({', '.join(parts)})" if parts else ""


def _filled(decision: LoggedDecision, known: Known, slot: int) -> str:
    drawn = _slot(decision, known, slot)
    if drawn.pinned:
        said = f"{drawn.id!r} was pinned to slot {slot}"
    else:
        said = (
            f"{drawn.id!r} was drawn for slot {slot}, with probability {drawn.propensity:.4g}"
            + (" given the slots above" if slot else "")
            + (": explored, for another was likelier" if drawn.explored else "")
        )
        if drawn.blocked:
            said += f"; pins and diversity blocked {len(drawn.blocked)} of those left"
    if drawn.overridden is not None:
        said += f"; {drawn.overridden!r} was shown there instead, so nothing is learned from it"
    return said
