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


def decision_of(row: Sequence[Any]) -> LoggedDecision:
    """A decision from the columns that `tail_decisions` and its like select."""
    (
        event_id, ts_ms, surface, unit_id, experiment, experiment_version, variant, policy,
        snapshot, context, ids, features, excluded, pmf, ranking, propensities, floor, seed,
        deferred, shadow_policies, shadow_probabilities, writer, seq,
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
        actions=tuple(
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
    writer, seq, ts_ms, surface, event_id, decision_ts_ms, slots = row
    record = Exposure(
        ts_ms=ts_ms,
        surface=surface,
        event_id=event_id,
        decision_ts_ms=decision_ts_ms,
        slots=tuple(slots),
    )
    return LoggedExposure(writer, seq, record)
