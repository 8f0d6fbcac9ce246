import pytest

from bandit.errors import NotFound
from bandit.store.client import Store
from bandit.store.decisions import Decisions
from bandit.store.sink import ClickHouseSink
from tests.bandit.store.making import SURFACE, T0, Entry, decision, entries, event, exposure


@pytest.fixture
def decisions(store: Store) -> Decisions:
    sink = ClickHouseSink(store, now_ms=lambda: T0)
    sink.insert("decisions", "w1", entries("decisions", *range(1, 51)), "t1")
    sink.insert("decisions", "w1", entries("decisions", *range(41, 51)), "t2")
    sink.insert("decisions", "w2", entries("decisions", *range(1, 11)), "t3")
    sink.insert("decisions", "w2", entries("decisions", 1, surface="elsewhere"), "t4")
    return Decisions(store)


def test_decision_is_found_by_its_event_id(decisions: Decisions) -> None:
    found = decisions.find(event(30, T0 + 30))
    assert (found.unit_id, found.ts_ms, found.writer, found.seq) == ("u-30", T0 + 30, "w1", 30)


def test_first_of_two_decisions_of_one_event_is_found(decisions: Decisions) -> None:
    assert decisions.find(event(5, T0 + 5)).writer == "w1"


def test_clients_own_event_id_may_be_an_hour_off(decisions: Decisions, store: Store) -> None:
    sink = ClickHouseSink(store, now_ms=lambda: T0)
    for n, off_ms in enumerate((3_600_000, -3_600_000), start=1):
        given = decision(n, event_id=event(n, T0 + off_ms), ts_ms=T0)
        sink.insert("decisions", "w3", [Entry(n, given)], f"off{n}")
        assert decisions.find(given.event_id).event_id == given.event_id


@pytest.mark.parametrize(
    "event_id",
    [
        event(99, T0),
        "00000000-0000-7000-8000-000000000000",
        "ffffffff-ffff-7fff-bfff-ffffffffffff",
        "not an id",
        "' OR 1 = 1",
        "",
    ],
)
def test_event_id_that_the_log_does_not_hold_is_not_found(
    decisions: Decisions, event_id: str
) -> None:
    with pytest.raises(NotFound):
        decisions.find(event_id)


def test_sample_is_without_replacement_and_the_same_for_one_seed(decisions: Decisions) -> None:
    sample = decisions.sample(SURFACE, 20, seed=7)
    assert len({row.event_id for row in sample}) == 20
    assert {row.surface for row in sample} == {SURFACE}
    assert decisions.sample(SURFACE, 20, seed=7) == sample
    assert decisions.sample(SURFACE, 10, seed=7) == sample[:10]
    assert decisions.sample(SURFACE, 20, seed=8) != sample


def test_sample_of_more_than_there_are_is_all(decisions: Decisions) -> None:
    assert len(decisions.sample(SURFACE, 1_000, seed=0)) == 50
    assert decisions.sample("nowhere", 10, seed=0) == []


def test_newest_of_several_event_ids_that_is_there_is_found(decisions: Decisions) -> None:
    ids = [event(99, T0 + 99), event(30, T0 + 30), event(7, T0 + 7)]
    assert decisions.find_newest(ids).unit_id == "u-30"
    with pytest.raises(NotFound, match="none of 1 event ids"):
        decisions.find_newest(ids[:1])


def test_span_is_from_the_first_decision_to_the_last(decisions: Decisions) -> None:
    assert decisions.span(SURFACE) == (T0 + 1, T0 + 50)
    assert decisions.span("nothing") is None


def test_sample_leaves_out_what_was_imported(decisions: Decisions, store: Store) -> None:
    sink = ClickHouseSink(store, now_ms=lambda: T0)
    given = [Entry(n, decision(n, surface="s", policy=p)) for n, p in ((1, "imported"), (2, "p"))]
    sink.insert("decisions", "w5", given, "imports")
    assert [found.policy for found in decisions.sample("s", 10, 0)] == ["p"]


def test_overrides_of_a_decision_are_those_that_were_said_first(store: Store) -> None:
    said = [
        exposure(3, slots=(0,), overridden=((1, "billboard"), (2, "\u202e\x00"))),
        exposure(3, slots=(), ts_ms=T0 + 9_000, overridden=((1, "later"),)),
        exposure(4, slots=(), overridden=((0, "another decision's"),)),
    ]
    ClickHouseSink(store, now_ms=lambda: T0).insert(
        "exposures", "w1", [Entry(seq, one) for seq, one in enumerate(said, 1)], "t"
    )
    decisions = Decisions(store)
    assert decisions.overrides(event(3, T0 + 3)) == {1: "billboard", 2: "\u202e\x00"}
    assert decisions.overrides(event(5, T0 + 5)) == {}
