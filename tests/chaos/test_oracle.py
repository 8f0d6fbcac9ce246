"""The oracle finds what it is there for: each kind of damage, done to a log on purpose."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from bandit.journal.base import Entry
from bandit.store.client import Store
from bandit.store.sink import ClickHouseSink
from tests.bandit.journal.fakes import START_MS, decision, reward
from tests.chaos import oracle
from tests.chaos.acknowledged import Acknowledged, attempt
from tests.chaos.oracle import Log

DECISIONS = [decision(n, ts_ms=START_MS + n) for n in range(1, 4)]
REWARD = reward(1, ts_ms=START_MS + 9)


def ranked(event_id: str, ranking: list[tuple[str, float]], **more: Any) -> dict[str, Any]:
    times = {"planned": 0.0, "sent": 0.0, "done": 0.1, "snapshot": "p@1"}
    return {
        "kind": "rank",
        "status": 200,
        "id": event_id,
        "ranking": ranking,
        "logged": True,
        **times,
        **more,
    }


def rewarded(reward_id: str, **more: Any) -> dict[str, Any]:
    times = {"planned": 0.0, "sent": 0.0, "done": 0.1}
    return {"kind": "reward", "status": 202, "id": reward_id, "accepted": 1, **times, **more}


def known(*lines: dict[str, Any]) -> Acknowledged:
    return Acknowledged(map(attempt, lines))


ANSWER = [("a", 1.0)]
ALL = [ranked(one.event_id, ANSWER) for one in DECISIONS]


@pytest.fixture
def sink(store: Store) -> ClickHouseSink:
    sink = ClickHouseSink(store, now_ms=lambda: START_MS)
    sink.insert("decisions", "w1", [Entry(n, one) for n, one in enumerate(DECISIONS, 1)], "t1")
    sink.insert("rewards", "w1", [Entry(1, REWARD)], "t2")
    return sink


@pytest.fixture
def log(clickhouse_url: str, store: Store, sink: ClickHouseSink) -> Iterator[Log]:
    log = Log(clickhouse_url, store.database)
    yield log
    log.close()


def test_whole_log_is_found_whole(log: Log) -> None:
    told = known(*ALL, rewarded(REWARD.reward_id))
    assert list(oracle._lost_decisions(log, told)) == []
    assert list(oracle._lost_posts(log, told)) == []
    assert oracle._duplicates(log, told) == []
    assert list(oracle._holes(log)) == []
    assert list(oracle._propensities(log)) == []


def test_acknowledged_decision_that_is_not_there_is_lost(log: Log) -> None:
    event_id = str(uuid.UUID(int=7))
    told = known(*ALL, ranked(event_id, []))
    assert list(oracle._lost_decisions(log, told)) == [f"decision {event_id}"]


def test_decision_that_was_answered_otherwise_is_lost(log: Log) -> None:
    told = known(ranked(DECISIONS[0].event_id, [("a", 0.5)]))
    [lost] = oracle._lost_decisions(log, told)
    assert "as it was answered" in lost


def test_answer_that_promised_nothing_is_not_lost(log: Log) -> None:
    told = known(
        ranked(str(uuid.UUID(int=7)), [], logged=False),
        ranked(str(uuid.UUID(int=8)), [], status=503),
        rewarded("r-unlogged", accepted=0),
    )
    assert told.n == 0
    assert list(oracle._lost_decisions(log, told)) == []
    assert list(oracle._lost_posts(log, told)) == []


def test_reward_that_was_acknowledged_twice_must_be_there_twice(log: Log) -> None:
    told = known(*[rewarded(REWARD.reward_id)] * 2)
    assert list(oracle._lost_posts(log, told)) == [f"reward {REWARD.reward_id}: 1 of 2"]


def test_record_under_two_numbers_is_a_duplicate(log: Log, sink: ClickHouseSink) -> None:
    sink.insert("decisions", "w2", [Entry(1, DECISIONS[0])], "t3")
    sink.insert("rewards", "w2", [Entry(1, REWARD)], "t4")
    assert oracle._duplicates(log, known(*ALL, rewarded(REWARD.reward_id))) == [
        f"decision {DECISIONS[0].event_id}: 2",
        f"reward {REWARD.reward_id}: 2 of 1",
    ]


def test_row_that_was_stored_again_is_one_record(log: Log, sink: ClickHouseSink) -> None:
    sink.insert("decisions", "w1", [Entry(1, DECISIONS[0])], "t3")
    assert oracle._repeats(log, "decisions") in (0, 1)  # merged or not
    assert oracle._duplicates(log, known(*ALL, rewarded(REWARD.reward_id))) == []
    assert list(oracle._holes(log)) == []


def test_missing_number_and_one_number_of_two_records_are_told(
    log: Log, sink: ClickHouseSink
) -> None:
    sink.insert("decisions", "w2", [Entry(2, DECISIONS[0])], "t3")
    sink.insert("decisions", "w1", [Entry(1, DECISIONS[1])], "t4")
    [hole, shared] = oracle._holes(log)
    assert "w2: 1 numbers up to 2" in hole
    assert shared == "two records of decisions are both w1/1"


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        ("pmf = arrayMap(p -> toFloat32(p * 0.9), pmf)", "pmfs that do not sum to 1"),
        ("propensities = [1.5]", "propensities out of (0, 1]"),
        ("ranking = [99]", "rankings of unknown or repeated actions"),
        ("ranking = []", "decisions whose lengths differ"),
        (
            "propensities = arrayMap(p -> p / 2, propensities), policy = 'vw'",
            "propensities that do not follow from the pmf",
        ),
    ],
)
def test_decision_that_breaks_a_rule_is_told(log: Log, damage: str, finding: str) -> None:
    log.rows(f"ALTER TABLE decisions UPDATE {damage} WHERE seq = 1 SETTINGS mutations_sync = 2")
    assert any(finding in told for told in oracle._propensities(log))
