"""Rows of the log as records again."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from bandit.records import Action, Exposure, LoggedDecision, Reward


class LoggedReward(NamedTuple):
    """A reward with its place."""

    writer: str
    seq: int
    record: Reward


class LoggedExposure(NamedTuple):
    """An exposure with its place."""

    writer: str
    seq: int
    record: Exposure


class OfferPlace(NamedTuple):
    """Where to look up what a row's decision offered.

    Attributes:
        catalogue: Version of the surface's catalogue; 0: the row has the features itself.
    """

    surface: str
    catalogue: int
    ids: Sequence[str]


def place_of(row: Sequence[Any]) -> OfferPlace:
    """Where the features of a row's actions are, of a row as `decision_of` takes it."""
    return OfferPlace(surface=row[2], catalogue=row[29], ids=row[10])


def decision_of(row: Sequence[Any], actions: tuple[Action, ...] | None = None) -> LoggedDecision:
    """A decision from the columns that `tail_decisions` and its like select.

    Args:
        row: The columns.
        actions: The offered ones, if their features are in a catalogue; see `place_of`.
    """
    (
        event_id, ts_ms, surface, unit_id, experiment, experiment_version, variant, policy,
        snapshot, context, ids, features, excluded, pmf, ranking, propensities, floor, seed,
        deferred, shadow_policies, shadow_probabilities, writer, seq, shadow_tops, surface_version,
        excluded_reasons, blocked, pinned, slot_features, catalogue, forced,
        keep_share,
    ) = row  # fmt: skip
    return LoggedDecision(
        event_id=event_id,
        ts_ms=ts_ms,
        surface=surface,
        unit_id=unit_id,
        experiment=experiment,
        experiment_version=experiment_version,
        variant=variant,
        policy=policy,
        snapshot=snapshot,
        context=context,
        actions=actions
        or tuple(
            Action(id=id_, features=msgspec.Raw(raw))
            for id_, raw in zip(ids, features, strict=True)
        ),
        excluded=tuple(excluded),
        pmf=tuple(pmf),
        ranking=tuple(ranking),
        propensities=tuple(propensities),
        floor=floor,
        seed=seed,
        deferred=deferred,
        shadows={
            shadow: tuple(probabilities)
            for shadow, probabilities in zip(shadow_policies, shadow_probabilities, strict=True)
        },
        writer=writer,
        seq=seq,
        shadow_tops={
            shadow: top
            for shadow, top in zip(shadow_policies, shadow_tops, strict=False)
            if top >= 0
        },
        surface_version=surface_version,
        excluded_reasons=tuple(excluded_reasons),
        blocked=tuple(tuple(indices) for indices in blocked),
        pinned=tuple(pinned),
        slot_features=tuple(slot_features),
        catalogue=catalogue,
        forced=forced,
        keep_share=keep_share,
    )


def reward_of(row: Sequence[Any]) -> LoggedReward:
    """A reward from the columns that `tail_rewards` and its like select."""
    writer, seq, ts_ms, surface, event_id, decision_ts_ms, slot, name, value, reward_id = row
    record = Reward(
        ts_ms=ts_ms,
        surface=surface,
        event_id=event_id,
        decision_ts_ms=decision_ts_ms,
        slot=slot,
        name=name,
        value=value,
        reward_id=reward_id,
    )
    return LoggedReward(writer, seq, record)


def exposure_of(row: Sequence[Any]) -> LoggedExposure:
    """An exposure from the columns that `tail_exposures` and its like select."""
    writer, seq, ts_ms, surface, event_id, decision_ts_ms, slots, overridden, overridden_by = row
    record = Exposure(
        ts_ms=ts_ms,
        surface=surface,
        event_id=event_id,
        decision_ts_ms=decision_ts_ms,
        slots=tuple(slots),
        overridden=tuple(zip(overridden, overridden_by, strict=True)),
    )
    return LoggedExposure(writer, seq, record)
