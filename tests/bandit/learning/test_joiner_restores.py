"""A joiner that was restored is the joiner that never stopped: over random logs and cuts."""

from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.learning.counts import Counts
from bandit.learning.joiner import MINUTE_MS, SKEW_MS, Joined, Joiner
from bandit.records import LoggedDecision, Reward
from bandit.specs import Surface
from tests.bandit.learning.fakes import AnyRow, Cursor, FakeLog, ts_ms
from tests.bandit.learning.making import T0, Row, decision, event_id, exposure, reward
from tests.bandit.learning.making import surface as make_surface


class Step(NamedTuple):
    """What a snapshot says about how far it had come."""

    cursor: Cursor
    watermark_ms: int


class Closed(NamedTuple):
    """What a step led to."""

    joined: list[Joined]
    counts: Counts


# Coarse times meet each other, and the edges of windows, minutes and hours, far more often.
MOMENTS = st.one_of(
    st.sampled_from([0, 1, 5_000, 10_000, 30_000, MINUTE_MS, 90_000, SKEW_MS, 2 * SKEW_MS]),
    st.integers(0, 30_000),
)
AGES = st.sampled_from([-1, 0, 1, 500, 9_999, 10_000, MINUTE_MS, SKEW_MS, 3 * SKEW_MS])
SKEWS = st.sampled_from([0, 0, 0, -SKEW_MS, SKEW_MS, 1 - SKEW_MS, SKEW_MS - 1, -MINUTE_MS])
WRITERS = st.sampled_from(["w1", "w2", "w3"])


@st.composite
def logs(draw: st.DrawFn) -> list[AnyRow]:
    """Decisions, copies, rewards and exposures in the order in which they were accepted."""
    rows: list[AnyRow] = []
    for n in range(draw(st.integers(1, 5))):
        moment = T0 + draw(MOMENTS)
        born = moment + draw(SKEWS)
        one = decision(
            n,
            moment,
            event_id=event_id(n, born),
            writer=draw(WRITERS),
            policy=draw(st.sampled_from(["vw", "uniform"])),
            deferred=draw(st.booleans()),
            ranking=(1, 0),
            propensities=(0.3, 0.4),
        )
        if draw(st.integers(0, 9)):  # else it is lost, and its rewards are orphans
            rows.append(one)
        if draw(st.booleans()):
            again = min(moment + draw(MOMENTS), born + SKEW_MS)
            rows.append(decision(n, again, event_id=one.event_id, writer=draw(WRITERS)))
        rows += draw(st.lists(a_reward(one), max_size=4))
        if draw(st.booleans()):
            rows.append(exposure(one, draw(st.integers(0, 2)), after_ms=draw(AGES)))
    return sorted(rows, key=ts_ms)


@st.composite
def a_reward(draw: st.DrawFn, one: LoggedDecision) -> Row:
    return reward(
        one,
        draw(st.sampled_from([0.1, 0.7, -0.2, 1.5])),
        draw(AGES),
        slot=draw(st.integers(0, 2)),
        reward_id=draw(st.sampled_from(["r1", "r2"])),
        surface=draw(st.sampled_from(["home", ""])),
        writer=draw(WRITERS),
    )


@st.composite
def steps(draw: st.DrawFn, log: FakeLog) -> list[Step]:
    """Cursors that only grow, each with a watermark that only grows."""
    cursor: Cursor = {}
    watermark = draw(st.sampled_from([0, T0]))
    found = []
    for _ in range(draw(st.integers(1, 6))):
        cursor = {
            name: max(
                cursor.get(name, 0),
                draw(st.sampled_from([len(stream), (len(stream) + 1) // 2, 0, len(stream)])),
            )
            for name, stream in log.streams.items()
        }
        watermark = max(watermark, T0) + draw(MOMENTS)
        found.append(Step(cursor, watermark))
    return found


def follow(joiner: Joiner, log: FakeLog, after: Cursor, path: list[Step]) -> list[Closed]:
    closed = []
    for step in path:
        joiner.add(log.between("home", after, step.cursor))
        closed.append(Closed(joiner.close(step.watermark_ms), joiner.counts.copy()))
        after = step.cursor
    return closed


def restore(
    joiner: Joiner, log: FakeLog, cursor: Cursor, watermark_ms: int, counts: Counts
) -> None:
    """As the learner does it."""
    since_ms = Joiner.since_ms(watermark_ms)
    closed = log.event_ids("home", cursor, since_ms, watermark_ms)
    past = log.reread("home", cursor, since_ms, decisions_since_ms=watermark_ms + 1)
    joiner.restore(closed, past, watermark_ms, counts)


@st.composite
def cases(draw: st.DrawFn) -> tuple[FakeLog, list[Step], str | None]:
    log = FakeLog()
    log.write(*draw(logs()))
    return log, draw(steps(log)), draw(st.sampled_from([None, "vw"]))


SURFACE: Surface = make_surface(default_reward=-0.1)


@settings(max_examples=150, deadline=None)
@given(cases(), st.data())
def test_restored_at_any_step_it_goes_on_as_if_never_interrupted(
    case: tuple[FakeLog, list[Step], str | None], data: st.DataObject
) -> None:
    log, path, only = case
    whole = follow(Joiner(SURFACE, only_policy=only), log, {}, path)
    cut = data.draw(st.integers(0, len(path) - 1))
    cursor, watermark = path[cut]

    restored = Joiner(SURFACE, only_policy=only)
    restore(restored, log, cursor, watermark, whole[cut].counts)

    assert follow(restored, log, cursor, path[cut + 1 :]) == whole[cut + 1 :]


@settings(max_examples=50, deadline=None)
@given(cases(), st.data())
def test_only_the_rows_between_two_closes_matter_not_how_they_came(
    case: tuple[FakeLog, list[Step], str | None], data: st.DataObject
) -> None:
    log, path, only = case
    whole = follow(Joiner(SURFACE, only_policy=only), log, {}, path)

    joiner = Joiner(SURFACE, only_policy=only)
    after: Cursor = {}
    for step, expected in zip(path, whole, strict=True):
        batch = log.between("home", after, step.cursor)
        pieces = [
            *(batch._replace(decisions=[d], rewards=[], exposures=[]) for d in batch.decisions),
            *(batch._replace(decisions=[], rewards=[r], exposures=[]) for r in batch.rewards),
            *(batch._replace(decisions=[], rewards=[], exposures=[e]) for e in batch.exposures),
        ]
        for piece in data.draw(st.permutations(pieces)):
            joiner.add(piece)
            joiner.is_settled(step.watermark_ms)
        assert (joiner.close(step.watermark_ms), joiner.counts) == expected
        after = step.cursor


@settings(max_examples=50, deadline=None)
@given(cases())
def test_settled_is_when_closing_gives_and_counts_nothing(
    case: tuple[FakeLog, list[Step], str | None],
) -> None:
    log, path, only = case
    joiner = Joiner(SURFACE, only_policy=only)
    after: Cursor = {}
    for step in path:
        joiner.add(log.between("home", after, step.cursor))
        before, settled = joiner.counts.copy(), joiner.is_settled(step.watermark_ms)
        joined = joiner.close(step.watermark_ms)
        assert not settled or (joined, joiner.counts) == ([], before)
        after = step.cursor


@settings(max_examples=100, deadline=None)
@given(cases())
def test_every_decision_and_every_reward_is_used_or_counted_exactly_once(
    case: tuple[FakeLog, list[Step], str | None],
) -> None:
    log, path, _ = case
    for stream in log.streams.values():
        stream[:] = [worth_one(row) for row in stream]
    joiner = Joiner(make_surface(reward_low=-100.0, reward_high=100.0))
    end = Step(log.end(), T0 + 20 * SKEW_MS)
    closed = [j for step in follow(joiner, log, {}, [*path, end]) for j in step.joined]
    rows = log.between("home", {}, log.end())

    used = sum(total for joined in closed for _, total in joined.earned)
    lost = joiner.counts.late + joiner.counts.orphan + joiner.counts.duplicate
    assert len(closed) + used + lost == len(rows.decisions) + len(rows.rewards)
    assert len(joiner) == 0


def worth_one(row: AnyRow) -> AnyRow:
    if isinstance(row, Row) and isinstance(row.record, Reward):
        return row._replace(record=msgspec.structs.replace(row.record, value=1.0))
    return row


def alike(log: FakeLog, watermark_ms: int, then: AnyRow) -> tuple[Closed, Closed]:
    """What the next row leads to with a joiner that never stopped, and with a restored one."""
    whole, restored = Joiner(SURFACE), Joiner(SURFACE)
    for mark in (watermark_ms - MINUTE_MS, watermark_ms):
        whole.close(mark)
    whole.add(log.between("home", {}, log.end()))
    whole.close(watermark_ms)
    restore(restored, log, log.end(), watermark_ms, whole.counts)
    before = log.end()
    log.write(then)
    for joiner in (whole, restored):
        joiner.add(log.between("home", before, log.end()))
    return (
        Closed(whole.close(watermark_ms), whole.counts),
        Closed(restored.close(watermark_ms), restored.counts),
    )


def test_the_oldest_decision_that_is_remembered_is_restored_too() -> None:
    born = T0 // MINUTE_MS * MINUTE_MS
    old = decision(1, born - SKEW_MS, event_id=event_id(1, born))
    log = FakeLog()
    log.write(old)
    again = decision(1, born - SKEW_MS, event_id=old.event_id, writer="w2")
    whole, restored = alike(log, born + SKEW_MS + MINUTE_MS - 1, again)
    assert whole == restored
    assert whole.counts.duplicate == 1


def test_a_decision_that_came_too_late_to_be_remembered_is_forgotten_by_all() -> None:
    log = FakeLog()
    late = decision(1)
    log.write(late)
    again = decision(1, event_id=late.event_id, writer="w2")
    whole, restored = alike(log, T0 + 3 * SKEW_MS, again)
    assert whole == restored
