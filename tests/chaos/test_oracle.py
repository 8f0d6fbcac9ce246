"""The oracle finds what it is there for: each kind of damage, done to a log on purpose."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bandit.journal.base import Entry
from bandit.store.client import Store
from bandit.store.migrations import migrate
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


@contextmanager
def written(url: str, name: str) -> Iterator[tuple[Log, ClickHouseSink]]:
    """A log of three decisions and a reward, and how to write more into it."""
    store = Store.connect(url, database=f"oracle_{name}_{uuid.uuid4().hex}")
    try:
        migrate(store)
        sink = ClickHouseSink(store, now_ms=lambda: START_MS)
        sink.insert("decisions", "w1", [Entry(n, one) for n, one in enumerate(DECISIONS, 1)], "t1")
        sink.insert("rewards", "w1", [Entry(1, REWARD)], "t2")
        log = Log(url, store.database)
        yield log, sink
        log.close()
    finally:
        store.apply("DROP DATABASE IF EXISTS $database SYNC", in_database=False)
        store.close()


@pytest.fixture(scope="module")
def log(clickhouse_url: str) -> Iterator[Log]:
    """Of which tests only read."""
    with written(clickhouse_url, "whole") as (log, _):
        yield log


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


def test_record_under_two_numbers_is_a_duplicate_and_a_row_that_came_again_is_not(
    clickhouse_url: str,
) -> None:
    told = known(*ALL, rewarded(REWARD.reward_id))
    with written(clickhouse_url, "twice") as (log, sink):
        sink.insert("decisions", "w1", [Entry(1, DECISIONS[0])], "t3")
        assert oracle._duplicates(log, told) == []
        assert list(oracle._holes(log)) == []
        sink.insert("decisions", "w2", [Entry(1, DECISIONS[0])], "t4")
        sink.insert("rewards", "w2", [Entry(1, REWARD)], "t5")
        assert oracle._duplicates(log, told) == [
            f"decision {DECISIONS[0].event_id}: 2",
            f"reward {REWARD.reward_id}: 2 of 1",
        ]


def test_missing_number_and_one_number_of_two_records_are_told(clickhouse_url: str) -> None:
    with written(clickhouse_url, "holes") as (log, sink):
        sink.insert("decisions", "w2", [Entry(2, DECISIONS[0])], "t3")
        sink.insert("decisions", "w1", [Entry(1, DECISIONS[1])], "t4")
        [hole, shared] = oracle._holes(log)
    assert "w2: 1 numbers up to 2" in hole
    assert shared == "two records of decisions are both w1/1"


def test_each_rule_of_a_decision_is_told_when_it_is_broken(clickhouse_url: str) -> None:
    damages = {
        "pmf = arrayMap(p -> toFloat32(p * 0.9), pmf)": "pmfs that do not sum to 1",
        "pmf = [-1, 2], actions = ['a', 'b']": "pmfs with a number out of [0, 1]",
        "propensities = [1.5]": "propensities out of (0, 1]",
        "ranking = [99]": "rankings of unknown or repeated actions",
        "ranking = []": "decisions whose lengths differ",
        "propensities = [0.5], policy = 'vw'": "propensities that do not follow from the pmf",
    }
    with written(clickhouse_url, "rules") as (log, sink):
        many = [Entry(n, decision(n, ts_ms=START_MS + n)) for n in range(1, len(damages) + 1)]
        sink.insert("decisions", "w2", many, "t3")
        for number, damage in enumerate(damages, 1):
            log.rows(
                f"ALTER TABLE decisions UPDATE {damage} WHERE writer = 'w2' AND seq = {number}"
                " SETTINGS mutations_sync = 2"
            )
        assert set(oracle._propensities(log)) == {f"1 {told}" for told in damages.values()}
