"""Whether a surface's data comes in and its models learn, over a real store."""

import pytest

from bandit.journal.base import Progress
from bandit.service.reporting import ReportService
from bandit.service.reporting_payloads import Health
from bandit.specs import PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.sink import ClickHouseSink
from tests.bandit.logs import T0, LogMaker, publish

MINUTE = 60_000


@pytest.fixture
def log(store: Store) -> LogMaker:
    """A surface served by one learning policy; nothing in the log."""
    for spec in (
        PolicySpec(key="vw", type="vw", surface="home"),
        Surface(key="home", policy="vw", join_window_s=1.0),
    ):
        Definitions(store).put(spec, expected=None, author="t", change_id=spec.key, now_ms=T0)
    return LogMaker(store)


def report_drain(store: Store, at_ms: int, through_ms: int, host: str = "h1") -> None:
    sink = ClickHouseSink(store, now_ms=lambda: T0 + at_ms)
    sink.report(
        Progress(host=host, drained_through_ms=T0 + through_ms, backlog_bytes=0, segments_n=1)
    )


def health(store: Store, at_ms: int) -> Health:
    return ReportService(store, lambda: T0 + at_ms).surface("home").health


def problems(store: Store, at_ms: int) -> list[str]:
    return [problem.code for problem in health(store, at_ms).problems]


def test_a_healthy_loop_has_no_problem(store: Store, log: LogMaker):
    for n in range(10):
        log.reward(log.decide(100 * n, policy="vw", snapshot=0))
    log.decide(4000, policy="vw", snapshot=1)
    log.deliver()
    publish(store, 1, watermark_ms=2900, created_ms=3900, trained=9, defaulted=1)
    report_drain(store, 4400, 4300)
    got = health(store, 4500)
    assert got.problems == ()
    assert (got.decisions.distinct_n, got.rewards.distinct_n, got.open_n) == (11, 10, 1)
    assert (got.drained_through_ms, got.drain_lag_ms) == (T0 + 4300, 200)
    [vw] = got.policies
    assert (vw.policy, vw.learns, vw.served_snapshot) == ("vw", True, 1)
    assert (vw.learning.snapshot, vw.learning.age_ms) == (1, 600)
    assert (vw.learning.trained, vw.learning.defaulted) == (9, 1)
    # By hand: served at 4,000; the windows ended at 1,000, 1,100 … 1,900; the sixth of the ten.
    assert (vw.latency.decisions_n, vw.latency.p50_ms) == (10, 2600)


def test_a_surface_that_nobody_asks_says_so(store: Store, log: LogMaker):
    assert problems(store, 0) == ["no_decisions", "no_drain"]


def test_decisions_without_rewards_say_what_to_post(store: Store, log: LogMaker):
    log.decide(0, policy="vw")
    log.deliver()
    report_drain(store, 5000, 5000)
    publish(store, 1, watermark_ms=4000, created_ms=4500)
    got = health(store, 5000)
    assert [problem.code for problem in got.problems] == ["no_rewards"]
    assert "/v1/rewards" in got.problems[0].next_step


def test_a_learner_that_never_published_is_named(store: Store, log: LogMaker):
    log.reward(log.decide(0, policy="vw"))
    log.deliver()
    report_drain(store, 5000, 5000)
    assert problems(store, 500) == []  # nothing is due before the window has ended
    assert problems(store, 5000) == ["not_learning"]


def test_a_learner_that_fell_behind_is_named(store: Store, log: LogMaker):
    for at_ms in (0, 2 * MINUTE):
        log.reward(log.decide(at_ms, policy="vw"))
    log.deliver()
    publish(store, 1, watermark_ms=100, created_ms=2000)
    report_drain(store, 2 * MINUTE + 5000, 2 * MINUTE + 5000)
    assert problems(store, 2 * MINUTE + 5000) == ["learner_behind"]


def test_many_rewards_that_join_nothing_are_named(store: Store, log: LogMaker):
    for n in range(10):
        log.reward(log.decide(n, policy="vw"))
    log.deliver()
    publish(store, 1, watermark_ms=900, created_ms=1900, orphan=3, late=1)
    report_drain(store, 2000, 2000)
    assert problems(store, 2000) == ["many_orphan_rewards", "many_late_rewards"]


def test_a_host_that_does_not_deliver_is_noticed(store: Store, log: LogMaker):
    log.reward(log.decide(0, policy="vw"))
    log.deliver()
    publish(store, 1, watermark_ms=900, created_ms=1900)
    report_drain(store, 4 * MINUTE, 0)
    assert problems(store, 4 * MINUTE) == ["drain_behind"]
    report_drain(store, 20 * MINUTE, 20 * MINUTE, host="h2")
    assert problems(store, 20 * MINUTE) == ["silent_hosts"]
    assert problems(store, 60 * MINUTE) == ["no_drain", "silent_hosts"]


def test_decisions_that_were_thinned_say_how_many_they_stand_for(store: Store, log: LogMaker):
    for n in range(3):
        log.reward(log.decide(100 * n, policy="vw", keep_share=0.25))
    log.reward(log.decide(400, policy="vw", keep_share=0.5))
    log.reward(log.decide(500, policy="vw"))
    log.deliver(times=2)
    report_drain(store, 5000, 5000)
    publish(store, 1, watermark_ms=4000, created_ms=4500)
    [thinned] = health(store, 5000).problems
    assert thinned.code == "thinned"
    assert "4 decisions were logged while load was shed, and stand for about 14:" in thinned.text
    assert "thinned" not in problems(store, -1000)
