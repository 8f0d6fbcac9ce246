"""Rows of a log, made short."""

from collections.abc import Sequence

from bandit.event_id import make_event_id
from bandit.records import Action, Exposure, LoggedDecision, Reward
from bandit.specs import Surface
from bandit.store.logged import LoggedExposure, LoggedReward
from bandit.store.tail import TailBatch

T0 = 1_790_000_000_000
"""A round time after which the tests' decisions happen."""


Row = LoggedReward | LoggedExposure
AnyRow = LoggedDecision | Row


def surface(**changes: object) -> Surface:
    given = {"key": "home", "policy": "uniform", "join_window_s": 10.0, **changes}
    return Surface(**given)  # type: ignore[arg-type]


def event_id(n: int, born_ms: int = T0) -> str:
    return make_event_id(born_ms, 7, n.to_bytes(6, "big"), b"salt")


def decision(n: int, ts_ms: int = T0, **changes: object) -> LoggedDecision:
    """The n-th decision: three actions, one slot, its event id as old as itself."""
    given = {
        "event_id": event_id(n, ts_ms),
        "ts_ms": ts_ms,
        "surface": "home",
        "unit_id": "u",
        "experiment": "",
        "experiment_version": 0,
        "variant": "",
        "policy": "vw",
        "snapshot": 0,
        "context": b'{"hour":9}',
        "actions": tuple(Action.of(f"a{i}", n=i) for i in range(3)),
        "excluded": (),
        "pmf": (0.2, 0.3, 0.5),
        "ranking": (1,),
        "propensities": (0.3,),
        "floor": 0.0,
        "seed": 0,
        "deferred": False,
        "shadows": {},
        "writer": "w1",
        "seq": n,
        **changes,
    }
    return LoggedDecision(**given)  # type: ignore[arg-type]


def reward(
    of: LoggedDecision, value: float = 1.0, after_ms: int = 1, **changes: object
) -> LoggedReward:
    """A reward for a decision so long after it; its place is where it came from."""
    writer = str(changes.pop("writer", "w1"))
    seq = int(str(changes.pop("seq", 1)))
    given = {
        "ts_ms": of.ts_ms + after_ms,
        "surface": "home",
        "event_id": of.event_id,
        "decision_ts_ms": int(of.event_id.replace("-", "")[:12], 16),
        "value": value,
        "reward_id": f"{writer}-{seq}-{after_ms}-{value}",
        **changes,
    }
    return LoggedReward(writer, seq, Reward(**given))  # type: ignore[arg-type]


def exposure(
    of: LoggedDecision,
    *slots: int,
    after_ms: int = 1,
    overridden: tuple[tuple[int, str], ...] = (),
) -> LoggedExposure:
    return LoggedExposure(
        "w1",
        1,
        Exposure(
            ts_ms=of.ts_ms + after_ms,
            surface="home",
            event_id=of.event_id,
            decision_ts_ms=int(of.event_id.replace("-", "")[:12], 16),
            slots=slots,
            overridden=overridden,
        ),
    )


def batch(
    decisions: Sequence[LoggedDecision] = (),
    rewards: Sequence[LoggedReward] = (),
    exposures: Sequence[LoggedExposure] = (),
) -> TailBatch:
    """Rows as a tail gives them, where the cursor does not matter."""
    return TailBatch([*decisions], [*rewards], [*exposures], {})
