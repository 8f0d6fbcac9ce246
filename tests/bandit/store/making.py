"""Records to store."""

import struct
import threading
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from bandit.event_id import make_event_id, surface_tag
from bandit.records import Action, AnyLogRecord, Assigned, Decision, Exposure, Outcome, Reward
from bandit.wire import RankRequest

T0 = 1_790_000_000_000
SURFACE = "home.feed"

T = TypeVar("T")


class Entry(NamedTuple):
    """What the sink takes: a record with its place."""

    seq: int
    record: AnyLogRecord


def event(n: int, ts_ms: int = T0) -> str:
    return make_event_id(ts_ms, surface_tag(SURFACE), n.to_bytes(6, "big"), b"salt")


def request(**changes: object) -> RankRequest:
    actions = [Action.of("a1", topic="go"), Action.of("a2", topic="py"), Action.of("a3")]
    fields = {"surface": SURFACE, "unit_id": "u-1", "actions": actions, "slots": 2}
    return RankRequest(**fields | changes)


def decision(n: int, asked: RankRequest | bytes | None = None, **changes: object) -> Decision:
    body = asked if isinstance(asked, bytes) else msgspec.json.encode(asked or request())
    fields = {
        "ts_ms": T0 + n,
        "surface": SURFACE,
        "event_id": event(n, T0 + n),
        "unit_id": f"u-{n}",
        "policy": "feed",
        "snapshot": 7,
        "request": body,
        "pmf": struct.pack("<3f", 0.5, 0.25, 0.25),
        "ranking": (1, 0),
        "propensities": (0.25, 2 / 3),
        "floor": 0.01,
        "seed": 2**64 - 1 - n,
    }
    return Decision(**fields | changes)


def reward(n: int, **changes: object) -> Reward:
    fields = {
        "ts_ms": T0 + 1_000 + n,
        "surface": SURFACE,
        "event_id": event(n, T0 + n),
        "decision_ts_ms": T0 + n,
        "value": 1.0,
        "reward_id": f"r-{n}",
    }
    return Reward(**fields | changes)


def exposure(n: int, **changes: object) -> Exposure:
    fields = {
        "ts_ms": T0 + 500 + n,
        "surface": SURFACE,
        "event_id": event(n, T0 + n),
        "decision_ts_ms": T0 + n,
        "slots": (0, 1),
    }
    return Exposure(**fields | changes)


def outcome(n: int, **changes: object) -> Outcome:
    fields = {
        "ts_ms": T0 + n,
        "unit_id": f"u-{n}",
        "name": "revenue",
        "value": 9.5,
        "outcome_id": f"o-{n}",
    }
    return Outcome(**fields | changes)


def assigned(n: int, **changes: object) -> Assigned:
    fields = {
        "ts_ms": T0 + n,
        "unit_id": f"u-{n}",
        "experiment": "banner",
        "experiment_version": 2,
        "variant": "treatment",
    }
    return Assigned(**fields | changes)


MAKE = {
    "decisions": decision,
    "rewards": reward,
    "exposures": exposure,
    "outcomes": outcome,
    "assignments": assigned,
}


def entries(table: str, *seqs: int, **changes: object) -> list[Entry]:
    return [Entry(seq, MAKE[table](seq, **changes)) for seq in seqs]


def at_once(*calls: Callable[[], T]) -> list[T | Exception]:
    """Call all of them from threads of their own, started together; what each gave or raised."""
    start = threading.Barrier(len(calls))
    answers: list[T | Exception] = [TimeoutError("it did not end")] * len(calls)

    def run(place: int) -> None:
        start.wait(30)
        try:
            answers[place] = calls[place]()
        except Exception as exc:
            answers[place] = exc

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers
