"""Logs in ClickHouse, made short; for whatever reads them."""

from array import array
from typing import NamedTuple

import msgspec

from bandit.event_id import make_event_id
from bandit.records import Action, AnyLogRecord, Assigned, Decision, Exposure, Outcome, Reward
from bandit.specs import PolicySpec
from bandit.store.client import Store
from bandit.store.sink import ClickHouseSink
from bandit.store.snapshots import Snapshot, Snapshots
from bandit.wire import RankRequest

T0 = 1_790_000_000_000
"""A round time after which the tests' decisions happen."""


class Entry(NamedTuple):
    """A record with its place."""

    seq: int
    record: AnyLogRecord


class LogMaker:
    """Collects records as writers would have written them, and delivers them."""

    def __init__(self, store: Store, surface: str = "home", start_ms: int = T0) -> None:
        self._sink = ClickHouseSink(store, now_ms=lambda: T0)
        self._entries: dict[tuple[str, str], list[Entry]] = {}
        self._seqs: dict[tuple[str, str, str], int] = {}
        self.surface = surface
        self.start_ms = start_ms
        self.made_n = 0

    def decide(self, at_ms: int, *, unit: str = "u1", writer: str = "w1", **given) -> Decision:
        """A decision `at_ms` after the start over `actions_n` actions; the first are drawn."""
        self.made_n += 1
        actions_n = given.pop("actions_n", 4)
        exclude = given.pop("exclude", [])
        pmf = given.pop("pmf", [1.0 / actions_n] * actions_n)
        propensities = given.pop("propensities", (0.25,))
        ranking = given.pop("ranking", range(len(propensities)))
        request = RankRequest(
            surface=self.surface,
            unit_id=unit,
            actions=[Action(id=f"a{i}") for i in range(actions_n)],
            slots=len(propensities),
            exclude=exclude,
            context=msgspec.Raw(msgspec.json.encode(given.pop("context", {}))),
        )
        fields = {
            "event_id": make_event_id(
                self.start_ms + at_ms, 7, self.made_n.to_bytes(6, "big"), b"salt"
            ),
            "policy": "random",
            "snapshot": 0,
            "floor": 0.0,
            "seed": 0,
            "excluded": {"request": tuple(int(id_[1:]) for id_ in exclude)} if exclude else {},
        } | given
        decision = Decision(
            ts_ms=self.start_ms + at_ms,
            surface=self.surface,
            unit_id=unit,
            request=msgspec.json.encode(request),
            pmf=array("f", pmf).tobytes(),
            ranking=tuple(ranking),
            propensities=tuple(propensities),
            **fields,
        )
        return self.put(decision, writer)

    def reward(
        self, of: Decision, value: float = 1.0, after_ms: int = 1, *, writer: str = "w1", **given
    ) -> Reward:
        """A reward for a decision, so long after it."""
        self.made_n += 1
        fields = {"surface": of.surface, "reward_id": f"r{self.made_n}"} | given
        record = Reward(
            ts_ms=of.ts_ms + after_ms,
            event_id=of.event_id,
            decision_ts_ms=of.ts_ms,
            value=value,
            **fields,
        )
        return self.put(record, writer)

    def expose(
        self,
        of: Decision,
        slots: tuple[int, ...] = (0,),
        after_ms: int = 1,
        writer: str = "w1",
        overridden: tuple[tuple[int, str], ...] = (),
    ) -> Exposure:
        """An exposure of slots of a decision, or of what was shown in their place."""
        record = Exposure(
            ts_ms=of.ts_ms + after_ms,
            surface=of.surface,
            event_id=of.event_id,
            decision_ts_ms=of.ts_ms,
            slots=slots,
            overridden=overridden,
        )
        return self.put(record, writer)

    def assign(
        self,
        unit: str,
        variant: str,
        at_ms: int = 0,
        *,
        experiment: str = "e",
        forced: bool = False,
    ) -> Assigned:
        """A unit was told its variant, `at_ms` after the start."""
        record = Assigned(
            ts_ms=self.start_ms + at_ms,
            unit_id=unit,
            experiment=experiment,
            experiment_version=1,
            variant=variant,
            forced=forced,
        )
        return self.put(record)

    def outcome(
        self, unit: str, name: str, value: float, at_ms: int, writer: str = "w1", **given
    ) -> Outcome:
        """An outcome of a unit, `at_ms` after the start."""
        self.made_n += 1
        fields = {"outcome_id": f"o{self.made_n}"} | given
        record = Outcome(
            ts_ms=self.start_ms + at_ms, unit_id=unit, name=name, value=value, **fields
        )
        return self.put(record, writer)

    def put(self, record, writer: str = "w1"):
        """Any record, at the next place of its stream."""
        stream = (record.table, record.surface, writer)
        self._seqs[stream] = self._seqs.get(stream, 0) + 1
        entries = self._entries.setdefault((record.table, writer), [])
        entries.append(Entry(self._seqs[stream], record))
        return record

    def deliver(self, *, times: int = 1) -> None:
        """Store what was collected; more than once as after a crash of the drain."""
        for attempt in range(times):
            for (table, writer), entries in self._entries.items():
                token = f"{writer}/{entries[0].seq}-{entries[-1].seq}/{attempt}"
                self._sink.insert(table, writer, entries, token)
        self._entries = {}


def publish(
    store: Store,
    number: int,
    watermark_ms: int,
    created_ms: int,
    *,
    start_ms: int = T0,
    **changes,
) -> bool:
    """Publish a snapshot of policy `vw`; times are after the start, counts 0."""
    spec = PolicySpec(key="vw", type="vw", surface="home")
    counts = dict.fromkeys(
        ("trained", "defaulted", "unseen", "late", "duplicate", "orphan", "out_of_bounds"), 0
    )
    given = {
        "policy": "vw",
        "number": number,
        "parent": number - 1,
        "created_ms": start_ms + created_ms,
        "spec_version": 1,
        "spec": spec,
        "format": "vw",
        "weights": b"w",
        "digest": "d",
        "sha256": "s",
        "cursor": {},
        "watermark_ms": start_ms + watermark_ms,
        **counts,
        "learner": "l1",
        "change_id": f"{number}",
        **changes,
    }
    return Snapshots(store).publish(Snapshot(**given))
