"""Why a decision came out as it did: the log's record in the words of the glossary."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from bandit.policies.pmf import uniform_of
from bandit.records import LoggedDecision, Record
from bandit.wire import AssignedVariant


class Candidate(Record, frozen=True, kw_only=True):
    """An offered action.

    Attributes:
        probability: With which it would be drawn for the top slot; 0 if not eligible.
    """

    id: str
    features: Any
    eligible: bool
    probability: float


class DrawnSlot(Record, frozen=True, kw_only=True):
    """One slot of the ranking.

    Attributes:
        propensity: Probability of this action given the slots above.
        uniform: The number in [0, 1) that the draw was made with.
        shadows: What each shadow policy's propensity would have been.
    """

    slot: int
    id: str
    propensity: float
    uniform: float
    shadows: dict[str, float]


class Explanation(Record, frozen=True, kw_only=True):
    """A decision, explained."""

    event_id: str
    time: str
    surface: str
    unit_id: str
    experiment: AssignedVariant | None
    experiment_version: int
    policy: str
    snapshot: str
    floor: float
    seed: int
    deferred: bool
    context: Any
    actions: list[Candidate]
    ranking: list[DrawnSlot]
    because: list[str]


def explain(decision: LoggedDecision) -> Explanation:
    """Explain a logged decision."""
    excluded = set(decision.excluded)
    variant = AssignedVariant(key=decision.experiment, variant=decision.variant)
    return Explanation(
        event_id=decision.event_id,
        time=datetime.fromtimestamp(decision.ts_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        surface=decision.surface,
        unit_id=decision.unit_id,
        experiment=variant if decision.experiment else None,
        experiment_version=decision.experiment_version,
        policy=decision.policy,
        snapshot=f"{decision.policy}@{decision.snapshot}",
        floor=decision.floor,
        seed=decision.seed,
        deferred=decision.deferred,
        context=msgspec.json.decode(decision.context),
        actions=[
            Candidate(
                id=action.id,
                features=msgspec.json.decode(action.features),
                eligible=index not in excluded,
                probability=decision.pmf[index],
            )
            for index, action in enumerate(decision.actions)
        ],
        ranking=[
            DrawnSlot(
                slot=slot,
                id=decision.actions[index].id,
                propensity=decision.propensities[slot],
                uniform=uniform_of(decision.seed, slot),
                shadows={key: of_slots[slot] for key, of_slots in decision.shadows.items()},
            )
            for slot, index in enumerate(decision.ranking)
        ],
        because=_because(decision),
    )


def _because(decision: LoggedDecision) -> list[str]:
    """The steps of the decision, in their order, as sentences."""
    offered, excluded = len(decision.actions), len(decision.excluded)
    if decision.experiment:
        chose = (
            f"experiment {decision.experiment!r} (version {decision.experiment_version}) put unit "
            f"{decision.unit_id!r} into variant {decision.variant!r}, "
            f"which serves policy {decision.policy!r}"
        )
    else:
        chose = (
            f"unit {decision.unit_id!r} was in no running experiment of surface "
            f"{decision.surface!r}, which serves policy {decision.policy!r} to such units"
        )
    top = decision.ranking[0]
    return [
        chose,
        f"{offered} actions were offered, {excluded} of them excluded by the request",
        f"snapshot {decision.snapshot} gave the {offered - excluded} others their probabilities, "
        f"mixed so that none is below {decision.floor:g}",
        f"{decision.actions[top].id!r} was drawn for slot 0, "
        f"with probability {decision.propensities[0]:.4g}",
    ]
