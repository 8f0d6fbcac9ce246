"""Personalizer's requests and answers, and what they mean in ours.

Unknown fields are let pass and `null` is as good as nothing: its clients were written against a
service that did so.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from bandit.dsjson import merged
from bandit.errors import RecordError
from bandit.records import Action, Id
from bandit.service.personalizing import Asked, Ranked

Features = list[dict[str, Any]] | None
EventName = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern="^[^/]*$")]
"""What a client calls its event: anything but a slash, which no address of it could hold."""
_ENCODE = msgspec.json.Encoder().encode


class Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of them all."""


class RankableAction(Shape, frozen=True, kw_only=True):
    """A candidate."""

    id: Id
    features: Features = None


class PersonalizerRank(Shape, frozen=True, kw_only=True):
    """`POST …/rank`."""

    actions: Annotated[list[RankableAction], msgspec.Meta(max_length=10_000)]
    context_features: Features = None
    excluded_actions: list[str] | None = None
    event_id: EventName | None = None
    defer_activation: bool | None = False


class SlotRequest(Shape, frozen=True, kw_only=True):
    """A place to fill.

    Attributes:
        baseline_action: What the application would show there by itself.
    """

    id: Id
    baseline_action: Id
    features: Features = None
    excluded_actions: list[str] | None = None


class MultiSlotRank(Shape, frozen=True, kw_only=True):
    """`POST …/multislot/rank`."""

    actions: Annotated[list[RankableAction], msgspec.Meta(max_length=10_000)]
    slots: Annotated[list[SlotRequest], msgspec.Meta(min_length=1, max_length=1000)]
    context_features: Features = None
    event_id: EventName | None = None
    defer_activation: bool | None = False


class RewardValue(Shape, frozen=True, kw_only=True):
    """`POST …/events/{eventId}/reward`."""

    value: float


class SlotReward(Shape, frozen=True, kw_only=True):
    """What a slot earned."""

    slot_id: Id
    value: float


class MultiSlotReward(Shape, frozen=True, kw_only=True):
    """`POST …/multislot/events/{eventId}/reward`."""

    reward: Annotated[list[SlotReward], msgspec.Meta(min_length=1, max_length=1000)]


class RankedAction(Shape, frozen=True, kw_only=True):
    """An offered action and its probability at the top slot."""

    id: str
    probability: float


class RankAnswer(Shape, frozen=True, kw_only=True):
    """Answer of `…/rank`: every offered action in its order, and the one to show."""

    ranking: list[RankedAction]
    event_id: str
    reward_action_id: str


class FilledSlot(Shape, frozen=True, kw_only=True):
    """What to show in a slot; None where nothing was left to draw."""

    id: str
    reward_action_id: str | None


class MultiSlotAnswer(Shape, frozen=True, kw_only=True):
    """Answer of `…/multislot/rank`."""

    slots: list[FilledSlot]
    event_id: str


def asked_of(request: PersonalizerRank) -> Asked:
    """What a single-slot request asks for; its first action is the baseline, as in ours."""
    return Asked(
        context=_raw(request.context_features),
        actions=_actions(request.actions),
        exclude=request.excluded_actions or (),
        defer=bool(request.defer_activation),
    )


def asked_of_slots(request: MultiSlotRank) -> Asked:
    """What a multi-slot request asks for.

    The baseline actions are offered first, in the order of their slots: then the offered order is
    what the application would show by itself, and that is what a `fixed` policy serves.

    Raises:
        RecordError: A slot or baseline named twice, a baseline that is not offered or is excluded,
            or exclusions that are not the same for every slot.
    """
    by_id = {action.id: action for action in request.actions}
    for what, ids in (
        ("id", [slot.id for slot in request.slots]),
        ("baselineAction", [slot.baseline_action for slot in request.slots]),
    ):
        for place, id_ in enumerate(ids):
            if id_ in ids[:place]:
                raise RecordError(
                    f"{id_!r} is repeated, must be unique - at `$.slots[{place}].{what}`"
                )
    for place, slot in enumerate(request.slots):
        if slot.baseline_action not in by_id or slot.baseline_action in (
            slot.excluded_actions or ()
        ):
            raise RecordError(
                f"baseline {slot.baseline_action!r} must be offered and not excluded - "
                f"at `$.slots[{place}].baselineAction`"
            )
    baselines = [slot.baseline_action for slot in request.slots]
    first = {id_: place for place, id_ in enumerate(baselines)}
    in_order = sorted(request.actions, key=lambda action: first.get(action.id, len(baselines)))
    return Asked(
        context=_raw(request.context_features),
        actions=_actions(in_order),
        exclude=_excluded_everywhere(request.slots),
        defer=bool(request.defer_activation),
        slots=[(slot.id, merged(slot.features or ())) for slot in request.slots],
    )


def rank_answer(ranked: Ranked) -> RankAnswer:
    """Our decision in Personalizer's words."""
    return RankAnswer(
        ranking=[RankedAction(id=id_, probability=p) for id_, p in ranked.probabilities],
        event_id=ranked.name,
        reward_action_id=ranked.drawn[0],
    )


def multi_slot_answer(ranked: Ranked) -> MultiSlotAnswer:
    """The same, slot by slot."""
    drawn = dict(enumerate(ranked.drawn))
    return MultiSlotAnswer(
        slots=[
            FilledSlot(id=slot_id, reward_action_id=drawn.get(place))
            for place, slot_id in enumerate(ranked.slot_ids)
        ],
        event_id=ranked.name,
    )


def _excluded_everywhere(slots: Sequence[SlotRequest]) -> list[str]:
    excluded = [set(slot.excluded_actions or ()) for slot in slots]
    for place, ids in enumerate(excluded):
        if ids != excluded[0]:
            raise RecordError(
                f"slot {slots[place].id!r} excludes {sorted(ids)[:5]}, must exclude what every "
                f"slot does, {sorted(excluded[0])[:5]} - at `$.slots[{place}].excludedActions`"
            )
    return sorted(excluded[0])


def _actions(actions: Sequence[RankableAction]) -> list[Action]:
    return [Action(id=action.id, features=_raw(action.features)) for action in actions]


def _raw(features: Features) -> msgspec.Raw:
    return msgspec.Raw(_ENCODE(merged(features or ())))
