import dataclasses
import functools

import msgspec
import numpy as np
import pytest

from bandit.errors import RecordError
from bandit.ope import LoggedBatch, Snips, TermMoments, evaluate
from bandit.policies import build
from bandit.service.evaluating import evaluate_specs
from bandit.service.logged import ClosedLog, batch_of, policy_target
from bandit.specs import PolicySpec
from bandit.store import log_range
from bandit.store.client import Store
from bandit.store.gaps import Gap, declare
from tests.bandit.learning import making
from tests.bandit.learning.making import T0
from tests.bandit.service.making_logs import ACTIONS, EVERY_MS, SURFACE, Log, learning

HOUR_MS = 3_600_000


def closed(store: Store, log: Log, **more: int) -> list:
    read = ClosedLog(store, SURFACE, now_ms=log.through_ms, **more)  # type: ignore[arg-type]
    return [one for part in read for one in part]


def uniform(decision: object) -> list[float]:
    return [1 / 3] * 3


def test_decisions_come_closed_in_the_order_of_learners_with_what_they_earned(
    store: Store,
) -> None:
    log = Log(300)
    log.store(store)
    found = closed(store, log, rows_n=100)
    assert [one.joined.decision.event_id for one in found] == [d.event_id for d in log.decisions]
    paid = {reward.record.event_id for reward in log.rewards}
    assert all(
        one.joined.earned == ((0, float(one.joined.decision.event_id in paid)),) for one in found
    )
    assert found[7].joined.decision == log.decisions[7]
    assert {one.barred for one in found} == {""}


def test_a_time_range_holds_its_beginning_and_not_its_end(store: Store) -> None:
    log = Log(50)
    log.store(store)
    found = closed(store, log, since_ms=T0 + 1_000, until_ms=T0 + 2_000)
    assert [one.joined.decision.ts_ms for one in found] == list(range(T0 + 1_000, T0 + 2_000, 100))


def test_what_can_still_earn_is_left_for_later(store: Store) -> None:
    log = Log(100)
    log.store(store)
    read = ClosedLog(store, SURFACE, now_ms=log.through_ms)
    early = ClosedLog(store, SURFACE, now_ms=log.through_ms, until_ms=T0 + 5_000)
    assert (read.rows_n, read.waiting_n) == (100, 0)
    assert early.rows_n == 50
    open_ = msgspec.structs.replace(SURFACE, join_window_s=HOUR_MS / 1000 + 5.0)
    assert (
        len([one for part in ClosedLog(store, open_, now_ms=log.through_ms) for one in part]) == 51
    )


def test_one_part_of_the_log_and_the_next_are_in_memory_at_most(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(600)
    log.store(store)
    fetched: list[int] = []
    read = log_range.LogRange.read

    def counting(self: log_range.LogRange, part: log_range.Part) -> log_range.PartRows:
        rows = read(self, part)
        fetched.append(len(rows.decisions))
        return rows

    monkeypatch.setattr(log_range.LogRange, "read", counting)
    given = 0
    for batch in batch_of(store, SURFACE, uniform, now_ms=log.through_ms, rows_n=50):
        given += batch.n
        assert batch.n <= 60  # a second is never cut, and holds ten
        assert sum(fetched) - given <= 60, "more was read ahead than one part"
    assert given == 600


def test_batches_of_the_logging_policy_itself_weigh_one(store: Store) -> None:
    log = Log(400)
    log.store(store)
    for batch in batch_of(store, SURFACE, "uniform", now_ms=log.through_ms, rows_n=100):
        assert batch.weights == pytest.approx(np.ones(batch.n))


def test_moments_of_batches_add_up_to_those_of_the_whole(store: Store) -> None:
    log = Log(300)
    log.store(store)
    spec = PolicySpec(key="order", type="fixed")
    target = policy_target(build(spec), spec, SURFACE)
    parts = list(batch_of(store, SURFACE, target, now_ms=log.through_ms, rows_n=70))
    [whole] = batch_of(store, SURFACE, target, now_ms=log.through_ms)
    assert len(parts) > 3
    # By decision: units recur from one part to the next.
    moments: list[TermMoments] = [Snips().terms(by_decision(part)).moments for part in parts]
    total = moments[0]
    for more in moments[1:]:
        total = total + more
    assert total.value == pytest.approx(Snips().terms(by_decision(whole)).value, abs=1e-12)
    assert whole.greatest_weight == pytest.approx(3.0)
    truth = whole.reward[whole.target == 1.0].mean()
    assert evaluate(whole)["snips"].value == pytest.approx(truth)


def by_decision(batch: LoggedBatch) -> LoggedBatch:
    """The batch with every decision a unit of its own."""
    return dataclasses.replace(batch, unit=None)


def test_what_no_weight_holds_for_is_left_out_and_counted(store: Store) -> None:
    log = Log(20)
    d = log.decisions
    log.decisions[0] = msgspec.structs.replace(d[0], forced=True)
    log.decisions[1] = msgspec.structs.replace(d[1], pinned=(0,), propensities=(1.0,))
    log.decisions[2] = msgspec.structs.replace(d[2], propensities=(1.0,))
    log.decisions[3] = msgspec.structs.replace(d[3], deferred=True)
    log.rewards = [r for r in log.rewards if r.record.event_id != d[3].event_id]
    log.decisions[5] = msgspec.structs.replace(d[5], shadows={"twin": (0.25,)})
    log.store(store, making.exposure(d[4], after_ms=5, overridden=((0, "other"),)))
    [batch] = batch_of(store, SURFACE, uniform, now_ms=log.through_ms)
    assert dict(batch.excluded) == {
        "forced": 1, "pinned": 1, "fixed": 1, "unseen": 1, "overridden": 1
    }  # fmt: skip
    assert batch.n == 15
    [shadow] = batch_of(store, SURFACE, "twin", now_ms=log.through_ms)
    assert (shadow.n, shadow.excluded["no_shadow"]) == (1, 14)
    assert shadow.weights.tolist() == pytest.approx([0.75])


def test_a_row_that_can_be_of_no_draw_is_left_out_and_ends_nothing(
    store: Store, clickhouse_url: str
) -> None:
    # Whoever writes into the table by hand: one such row ended every evaluation with a traceback,
    # and one whose ranking points behind its actions was judged by another row's probability.
    log = Log(20)
    log.store(store)
    row = f"intDiv(toUnixTimestamp64Milli(ts) - {T0}, {EVERY_MS})"
    store.apply(
        "ALTER TABLE decisions UPDATE "
        f"propensities = if({row} < 4, [[0.], [nan], [1.5], []][{row} + 1], propensities), "
        f"pmf = multiIf({row} = 4, [nan, nan, nan], {row} = 5, [0.5], pmf), "
        f"ranking = if({row} = 6, [77], ranking) WHERE 1 SETTINGS mutations_sync = 2"
    )
    for target in (uniform, "uniform"):
        [batch] = batch_of(store, SURFACE, target, now_ms=log.through_ms)
        assert (batch.n, dict(batch.excluded)) == (13, {"broken": 7})
    connect = functools.partial(Store.connect, clickhouse_url, database=store.database)
    run = evaluate_specs(connect, "home", {"learned": learning()}, now_ms=log.through_ms)
    assert (run.n, run.excluded) == (13, {"broken": 7})


def test_thinned_decisions_weigh_by_their_share_once(store: Store) -> None:
    log = Log(8)
    log.decisions[0] = msgspec.structs.replace(log.decisions[0], keep_share=0.25)
    log.store(store)
    [batch] = batch_of(store, SURFACE, uniform, now_ms=log.through_ms)
    assert batch.sampling is not None
    assert batch.sampling.tolist() == [4.0] + [1.0] * 7
    assert batch.weights == pytest.approx(np.ones(8))


def test_a_pool_is_what_was_neither_excluded_nor_blocked(store: Store) -> None:
    log = Log(1)
    only = msgspec.structs.replace(
        log.decisions[0],
        pmf=(0.0, 0.5, 0.5), excluded=(0,), ranking=(1,), propensities=(1.0,), blocked=((2,),),
    )  # fmt: skip
    log.decisions[0] = only
    log.store(store)
    spec = PolicySpec(key="random", type="uniform")
    [batch] = batch_of(
        store, SURFACE, policy_target(build(spec), spec, SURFACE), now_ms=log.through_ms
    )
    # One action was left: whoever drew, it was drawn.
    assert (batch.n, batch.weights.tolist()) == (1, [1.0])


def test_what_was_declared_a_gap_is_left_out_as_learners_leave_it_out(store: Store) -> None:
    log = Log(10)
    log.store(store)
    declare(store, [Gap("decisions", "home", "w1", 3, 4)], reason="forgotten", now_ms=T0)
    assert [one.joined.decision.seq for one in closed(store, log)] == [1, 2, 5, 6, 7, 8, 9, 10]


def test_a_target_of_another_length_is_refused_by_name(store: Store) -> None:
    log = Log(2)
    log.store(store)
    with pytest.raises(RecordError, match=rf"{log.decisions[0].event_id}, must be \(3,\)"):
        list(batch_of(store, SURFACE, lambda decision: [1.0], now_ms=log.through_ms))


def test_equal_actions_are_one_object(store: Store) -> None:
    log = Log(40)
    log.store(store)
    found = closed(store, log)
    assert {id(a) for one in found for a in one.joined.decision.actions} == {
        id(a) for a in found[0].joined.decision.actions
    }
    assert found[0].joined.decision.actions == ACTIONS


def test_an_empty_log_gives_nothing(store: Store) -> None:
    assert list(batch_of(store, SURFACE, uniform, now_ms=T0)) == []
