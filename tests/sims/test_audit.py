import struct
from collections.abc import Sequence

import msgspec
import pytest

from bandit.journal.base import Entry
from bandit.records import Decision, Reward
from bandit.specs import Surface
from bandit.store.client import Store
from bandit.store.sink import ClickHouseSink
from sims.audit import (
    Audit,
    Late,
    Learned,
    audit,
    check_decisions,
    check_learned,
    check_log,
    check_probabilities,
    check_rewards,
    late_rewards,
    learned,
)
from sims.ledger import Ledger, Shown

GOOD = Audit(
    rows_n=3, events_n=3, bad_propensities_n=0, bad_sums_n=0, below_floor_n=0, not_drawn_with_n=0
)


def event_id(number: int) -> str:
    return f"0192f0c4-8e00-7abc-8def-{number:012x}"


def ledger_of(*numbers: int, rewards: Sequence[str] = (), unknown_n: int = 0) -> Ledger:
    ledger = Ledger()
    for number in numbers:
        ledger.show(Shown(event_id(number), "treatment", "p", 0, 0.5, 1.0))
    ledger.reward_ids |= set(rewards)
    ledger.unknown_n = unknown_n
    return ledger


def decision(number: int, pmf: Sequence[float], propensity: float, floor: float = 0.1) -> Decision:
    request = {
        "surface": "movies",
        "unit_id": "u",
        "actions": [{"id": "a", "features": {}}, {"id": "b", "features": {}}],
    }
    return Decision(
        ts_ms=0x0192F0C48E00,
        surface="movies",
        event_id=event_id(number),
        unit_id="u",
        policy="p",
        snapshot=0,
        request=msgspec.json.encode(request),
        pmf=struct.pack(f"<{len(pmf)}f", *pmf),
        ranking=(0,),
        propensities=(propensity,),
        floor=floor,
        seed=1,
    )


@pytest.mark.parametrize(
    ("in_log", "unknown_n", "passed"),
    [
        ({1, 2}, 0, True),
        ({1}, 0, False),
        ({1, 2, 3}, 0, False),
        ({1, 2, 3}, 1, True),
        ({1, 3}, 1, False),
        ({1, 2, 3, 4}, 1, False),
    ],
)
def test_decisions_agree_but_for_answers_that_were_lost(
    in_log: set[int], unknown_n: int, passed: bool
) -> None:
    check = check_decisions(ledger_of(1, 2, unknown_n=unknown_n), {event_id(n) for n in in_log})
    assert check.passed is passed


@pytest.mark.parametrize("in_log", [{"a"}, {"a", "b", "c"}])
def test_rewards_agree_exactly(in_log: set[str]) -> None:
    ledger = ledger_of(rewards=("a", "b"))
    assert check_rewards(ledger, {"a", "b"}).passed
    assert not check_rewards(ledger, in_log).passed


@pytest.mark.parametrize(("trained_n", "passed"), [(1, False), (2, True), (3, False)])
def test_decisions_are_learned_from_exactly_once(trained_n: int, passed: bool) -> None:
    assert check_learned(GOOD, Learned(7, trained_n, 1, 0)).passed is passed


def test_probabilities_of_an_empty_log_prove_nothing() -> None:
    assert check_probabilities(GOOD).passed
    assert not check_probabilities(GOOD._replace(rows_n=0)).passed


def test_audit_counts_every_broken_rule(store: Store) -> None:
    decisions = [
        decision(1, (0.5, 0.5), 0.5),
        decision(2, (0.6, 0.5), 0.6),  # sums to 1.1
        decision(3, (0.95, 0.05), 0.95),  # below the floor
        decision(4, (0.5, 0.5), 0.4),  # drawn with another propensity
    ]
    sink = ClickHouseSink(store, now_ms=lambda: 0)
    entries = [Entry(seq, record) for seq, record in enumerate(decisions, 1)]
    sink.insert("decisions", "w", entries, "token-1")
    sink.insert("decisions", "w", entries[:1], "token-2")  # delivered twice
    assert audit(store, "movies") == Audit(
        rows_n=4,
        events_n=4,
        bad_propensities_n=0,
        bad_sums_n=1,
        below_floor_n=1,
        not_drawn_with_n=1,
    )


def test_log_is_held_against_the_ledger(store: Store) -> None:
    sink = ClickHouseSink(store, now_ms=lambda: 0)
    sink.insert("decisions", "w", [Entry(1, decision(1, (0.5, 0.5), 0.5))], "token-1")
    reward = Reward(
        ts_ms=0x0192F0C48E00,
        surface="movies",
        event_id=event_id(1),
        decision_ts_ms=0x0192F0C48E00,
        value=1.0,
        reward_id="like-1",
    )
    sink.insert("rewards", "w", [Entry(1, reward)], "token-2")
    checks = check_log(store, ledger_of(1, rewards=["like-1"]), "movies", "p")
    assert [check.passed for check in checks] == [True, True, False, True]
    assert learned(store, "p") == Learned(0, 0, 0, 0)


def test_late_rewards_are_told_by_their_first_row(store: Store) -> None:
    decided_ms = 0x0192F0C48E00
    rewards = [
        Reward(
            ts_ms=decided_ms + after_ms,
            surface="movies",
            event_id=event_id(number),
            decision_ts_ms=decided_ms,
            value=value,
            reward_id=f"like-{number}",
        )
        for number, after_ms, value in [(1, 999, 0.25), (2, 1000, 0.5), (1, 5000, 0.25)]
    ]
    entries = [Entry(seq, reward) for seq, reward in enumerate(rewards, 1)]
    ClickHouseSink(store, now_ms=lambda: 0).insert("rewards", "w", entries, "token")
    surface = Surface(key="movies", policy="p", join_window_s=1.0)
    assert late_rewards(store, surface) == Late(rewards_n=1, worth=0.5)
