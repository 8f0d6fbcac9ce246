"""Records of the log as columns of their tables."""

from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from bandit.records import AnyLogRecord, Assigned, Decision, Exposure, Outcome, Reward
from bandit.wire import RankRequest

Columns = dict[str, list[Any]]

_REQUEST = msgspec.json.Decoder(RankRequest)
_IDS = msgspec.json.Decoder(list[str])


class Block(NamedTuple):
    """How one kind of record lies in its table."""

    kind: type[AnyLogRecord]
    columns: Callable[[Sequence[Any]], Columns]
    clock: str
    """The time column that its table is sorted by."""
    time_ms: Callable[[Any], int]
    """What stands there."""


def _decisions(records: Sequence[Decision]) -> Columns:
    columns = _plain(
        records,
        "event_id",
        "unit_id",
        "experiment",
        "experiment_version",
        "variant",
        "policy",
        "snapshot",
        "ranking",
        "propensities",
        "floor",
        "seed",
        "deferred",
        "surface_version",
        "blocked",
        "pinned",
        "catalogue",
        "forced",
        "keep_share",
    )
    requests = [_REQUEST.decode(record.request) for record in records]
    columns["context"] = [bytes(request.context) for request in requests]
    columns["actions"] = [
        _ids(record, request) for record, request in zip(records, requests, strict=True)
    ]
    columns["action_features"] = [
        [bytes(action.features) for action in request.actions] for request in requests
    ]
    columns["slot_features"] = [
        [bytes(features) for features in request.slot_features] for request in requests
    ]
    excluded = [_excluded(record) for record in records]
    columns["excluded"] = [[index for index, _ in pairs] for pairs in excluded]
    columns["excluded_reasons"] = [[reason for _, reason in pairs] for pairs in excluded]
    columns["pmf"] = [
        _pmf(record.pmf, len(ids)) for record, ids in zip(records, columns["actions"], strict=True)
    ]
    columns["shadow_policies"] = [list(record.shadows) for record in records]
    columns["shadow_probabilities"] = [list(record.shadows.values()) for record in records]
    columns["shadow_tops"] = [
        [record.shadow_tops.get(shadow, -1) for shadow in record.shadows] for record in records
    ]
    return columns


def _rewards(records: Sequence[Reward]) -> Columns:
    columns = _plain(records, "event_id", "slot", "name", "value", "reward_id")
    columns["decision_ts"] = [record.decision_ts_ms for record in records]
    return columns


def _exposures(records: Sequence[Exposure]) -> Columns:
    columns = _plain(records, "event_id", "slots")
    columns["overridden"] = [[slot for slot, _ in record.overridden] for record in records]
    columns["overridden_by"] = [[id_ for _, id_ in record.overridden] for record in records]
    columns["decision_ts"] = [record.decision_ts_ms for record in records]
    return columns


def _assignments(records: Sequence[Assigned]) -> Columns:
    return _plain(records, "unit_id", "experiment", "experiment_version", "variant", "forced")


def _outcomes(records: Sequence[Outcome]) -> Columns:
    return _plain(records, "unit_id", "name", "value", "outcome_id", "project")


BLOCKS: Mapping[str, Block] = {
    "decisions": Block(Decision, _decisions, "ts", lambda record: record.ts_ms),
    "rewards": Block(Reward, _rewards, "decision_ts", lambda record: record.decision_ts_ms),
    "exposures": Block(Exposure, _exposures, "decision_ts", lambda record: record.decision_ts_ms),
    "outcomes": Block(Outcome, _outcomes, "ts", lambda record: record.ts_ms),
    "assignments": Block(Assigned, _assignments, "ts", lambda record: record.ts_ms),
}


def _plain(records: Sequence[AnyLogRecord], *names: str) -> Columns:
    """Fields that are stored as they are, and what every record has."""
    columns: Columns = {name: [getattr(r, name) for r in records] for name in names}
    columns["ts"] = [record.ts_ms for record in records]
    columns["surface"] = [record.surface for record in records]
    return columns


def _ids(record: Decision, request: RankRequest) -> list[str]:
    if request.actions:
        return [action.id for action in request.actions]
    return request.action_ids or _IDS.decode(record.offered)


def _excluded(record: Decision) -> list[tuple[int, str]]:
    """Pairs of index and reason, in offered order."""
    return sorted(
        (index, reason) for reason, indices in record.excluded.items() for index in indices
    )


def _pmf(raw: bytes, k: int) -> Sequence[float]:
    pmf = array("f", raw)
    if len(pmf) != k:
        raise ValueError(f"pmf holds {len(pmf)} probabilities, must hold one per action: {k}")
    return pmf
