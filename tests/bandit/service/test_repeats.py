"""Repeated event ids: what is remembered, and how the log is asked."""

import asyncio
import threading

import msgspec
import pytest

from bandit.errors import NotFound, StoreUnavailable
from bandit.records import LoggedDecision
from bandit.service.repeats import PastDecisions, RecentAnswers, answer_of
from bandit.wire import AssignedVariant, RankAnswer, RankedAction
from tests.bandit.learning.making import decision


def answer(event_id: str) -> RankAnswer:
    return RankAnswer(event_id=event_id, ranking=[], experiment=None, policy="p", snapshot="p@0")


def test_latest_answers_are_remembered_and_memory_is_bounded() -> None:
    recent = RecentAnswers(size=3)
    for n in range(10):
        recent.put(str(n), answer(str(n)))
    remembered = [n for n in range(10) if recent.get(str(n))]
    assert remembered[-3:] == [7, 8, 9]
    assert len(remembered) <= 6


def test_long_rankings_are_remembered_for_less_long() -> None:
    recent = RecentAnswers(size=100, slots_n=10)
    slots = [RankedAction(id=f"a{slot}", slot=slot, propensity=1.0) for slot in range(5)]
    for n in range(100):
        recent.put(str(n), msgspec.structs.replace(answer(str(n)), ranking=slots))
    assert [n for n in range(100) if recent.get(str(n))] == [96, 97, 98, 99]


def test_answer_is_made_from_the_log() -> None:
    logged = decision(
        1,
        ranking=(2, 0),
        propensities=(0.5, 0.25),
        experiment="feed",
        variant="treatment",
        policy="vw",
        snapshot=41,
    )
    ids = [action.id for action in logged.actions]
    assert answer_of(logged) == RankAnswer(
        event_id=logged.event_id,
        ranking=[
            RankedAction(id=ids[2], slot=0, propensity=0.5),
            RankedAction(id=ids[0], slot=1, propensity=0.25),
        ],
        experiment=AssignedVariant(key="feed", variant="treatment"),
        policy="vw",
        snapshot="vw@41",
    )


class Log:
    """A store's look-up that answers, fails, or hangs until it is let go."""

    def __init__(self, *, fails: Exception | None = None, hangs: bool = False) -> None:
        self.fails = fails
        self.calls = 0
        self.let_go = threading.Event()
        if not hangs:
            self.let_go.set()

    def find(self, event_id: str) -> LoggedDecision:
        self.calls += 1
        self.let_go.wait(10)
        if self.fails:
            raise self.fails
        return decision(1)


def test_decision_of_the_log_is_found() -> None:
    past = PastDecisions(Log().find, monotonic_s=lambda: 0.0)
    assert asyncio.run(past.find("id")) == decision(1)
    past.close()


def test_id_that_the_log_does_not_hold_is_none_and_asked_again() -> None:
    log = Log(fails=NotFound("no"))
    past = PastDecisions(log.find, monotonic_s=lambda: 0.0)
    assert [asyncio.run(past.find("id")) for _ in range(2)] == [None, None]
    assert log.calls == 2
    past.close()


@pytest.mark.parametrize("hangs", [False, True])
def test_store_that_fails_or_hangs_is_left_alone_for_a_while(hangs: bool) -> None:
    log = Log(fails=StoreUnavailable("away"), hangs=hangs)
    now_s = [0.0]
    past = PastDecisions(log.find, deadline_s=0.02, pause_s=5.0, monotonic_s=lambda: now_s[0])
    assert [asyncio.run(past.find("id")) for _ in range(3)] == [None, None, None]
    assert log.calls == 1
    log.let_go.set()
    now_s[0] = 5.0
    asyncio.run(past.find("id"))
    assert log.calls == 2
    past.close()
