import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bandit.errors import StoreRejected
from bandit.journal import base
from bandit.records import TABLES, Action, Decision
from bandit.store.blocks import BLOCKS
from bandit.store.client import Store
from bandit.store.decisions import Decisions
from bandit.store.gaps import Gap, declare, gaps_of
from bandit.store.sink import ClickHouseSink, columns_of
from bandit.store.tail import Tail
from tests.bandit.store.making import (
    MAKE,
    SURFACE,
    T0,
    Entry,
    decision,
    entries,
    outcome,
    request,
    reward,
)

AWKWARD = [
    "quotes \" and ' and `",
    "newline \n tab \t return \r",
    "back\\slash \\n \\N",
    "nul \x00 in the middle",
    "emoji 🎰 and \u2028 and \ufeff",
    "{x:String} and $database and %s",
    "x" * 10_000,
    "",
]


@pytest.fixture
def sink(store: Store) -> ClickHouseSink:
    return ClickHouseSink(store, now_ms=lambda: T0)


def test_sink_is_what_the_journal_asks_for(sink: ClickHouseSink) -> None:
    asked: base.Sink = sink
    assert {name for name in vars(base.Sink) if not name.startswith("_")} <= set(dir(asked))


def test_what_a_unit_had_forgotten_is_not_missed(sink: ClickHouseSink, store: Store) -> None:
    # Symptom: the drain read back, missed the rows of a forgotten unit and stored them again.
    block = entries("rewards", 1, 2, 3, 4)
    sink.insert("rewards", "w", block[:1], "token")
    declare(store, [Gap("rewards", SURFACE, "w", 2, 2)], reason="forgotten", now_ms=T0)
    declare(store, [Gap("rewards", SURFACE, "w", 3, 3)], reason="rejected", now_ms=T0)
    assert sink.missing("rewards", "w", block) == block[2:]


def test_only_what_is_not_there_is_given_up(sink: ClickHouseSink, store: Store) -> None:
    sink.insert("rewards", "w", entries("rewards", 1, 4), "token")
    there, partly = (base.Numbers("rewards", SURFACE, "w", *ends) for ends in ((1, 1), (2, 5)))
    assert sink.give_up([there, partly], reason="lost") == [partly]
    stream = f"rewards/{SURFACE}/w"
    assert gaps_of(store, {stream: 0})[stream].spans == [(2, 3), (5, 5)]
    assert sink.give_up([], reason="lost") == []


@pytest.mark.parametrize("table", TABLES)
def test_what_came_before_a_number_is_told_by_surface(sink: ClickHouseSink, table: str) -> None:
    sink.insert(table, "w", entries(table, 1, 2, 7), f"{table}-1")
    sink.insert(table, "v", entries(table, 5), f"{table}-2")
    surface = entries(table, 1)[0].record.surface
    assert sink.preceding(table, "w", {surface: 7, "other": 9}) == {surface: 2}
    assert sink.preceding(table, "w", {surface: 1}) == {}


def test_every_kind_of_record_has_its_block() -> None:
    assert tuple(BLOCKS) == TABLES
    assert [block.kind.table for block in BLOCKS.values()] == list(BLOCKS)


@pytest.mark.parametrize("table", TABLES)
def test_what_was_inserted_is_not_missing(sink: ClickHouseSink, table: str) -> None:
    block = entries(table, 1, 2, 3)
    assert sink.missing(table, "w", block) == block
    sink.insert(table, "w", block[:2], "token")
    assert sink.missing(table, "w", block) == block[2:]
    assert sink.missing(table, "another", block) == block


def test_streams_of_one_writer_are_told_apart(sink: ClickHouseSink) -> None:
    known = entries("rewards", 1, 2)
    unknown = entries("rewards", 1, 2, surface="")
    sink.insert("rewards", "w", known, "token")
    assert sink.missing("rewards", "w", known + unknown) == unknown


def test_nothing_is_missing_of_nothing(sink: ClickHouseSink) -> None:
    sink.insert("rewards", "w", [], "token")
    assert sink.missing("rewards", "w", []) == []


def test_decision_comes_back_as_it_was(sink: ClickHouseSink, store: Store) -> None:
    asked = request(exclude=["a3", "nobody"], slot_features=[msgspec.Raw(b'{"size":"big"}')])
    given = decision(
        1,
        asked,
        experiment="exp",
        experiment_version=3,
        variant="treatment",
        deferred=True,
        shadows={"uniform": (0.5, 1.0), "fixed": (0.0, 1.0)},
        shadow_tops={"fixed": 1},
        surface_version=4,
        excluded={"request": (2,), "denied": (0,)},
        blocked=((1,), ()),
        pinned=(1,),
        catalogue=0,
        forced=True,
        keep_share=0.25,
    )
    sink.insert("decisions", "w", [Entry(5, given)], "token")
    logged = Decisions(store).find(given.event_id)
    same = set(Decision.__struct_fields__) - {"request", "pmf", "excluded", "offered"}
    assert {name: getattr(logged, name) for name in same} == {
        name: getattr(given, name) for name in same
    }
    assert logged.context == bytes(asked.context)
    assert [(a.id, bytes(a.features)) for a in logged.actions] == [
        (a.id, bytes(a.features)) for a in asked.actions
    ]
    assert logged.excluded == (0, 2)
    assert logged.excluded_reasons == ("denied", "request")
    assert logged.slot_features == (b'{"size":"big"}',)
    assert logged.pmf == (0.5, 0.25, 0.25)
    assert (logged.writer, logged.seq) == ("w", 5)


def test_awkward_text_comes_back_byte_for_byte(sink: ClickHouseSink, store: Store) -> None:
    context = [msgspec.json.encode({text: text}) for text in AWKWARD]
    actions = [
        [
            Action(id=text[:256] or "-", features=msgspec.Raw(context[n])),
            Action(id="a2", features=msgspec.Raw(b'{ "not" :\n "canonical" , "e": 1e5 }')),
            Action(id="a3", features=msgspec.Raw(b'{"escaped":"\\u0000\\ud83c\\udfb0"}')),
        ]
        for n, text in enumerate(AWKWARD)
    ]
    block = [
        Entry(
            n + 1,
            decision(n, request(context=msgspec.Raw(context[n]), actions=actions[n]), unit_id=text),
        )
        for n, text in enumerate(AWKWARD)
    ]
    sink.insert("decisions", "w", block, "token")
    logged = Tail(store).read(SURFACE, {}).decisions
    assert [row.unit_id for row in logged] == AWKWARD
    assert [row.context for row in logged] == context
    assert [[(a.id, bytes(a.features)) for a in row.actions] for row in logged] == [
        [(a.id, bytes(a.features)) for a in offered] for offered in actions
    ]


def test_bytes_that_are_no_text_come_back_too(sink: ClickHouseSink, store: Store) -> None:
    context = b'{"latin":"caf\xe9"}'  # msgspec does not look into what it keeps raw
    body = msgspec.json.encode(request()).replace(b'"context":{}', b'"context":' + context)
    given = decision(1, body)
    sink.insert("decisions", "w", [Entry(1, given)], "token")
    assert Decisions(store).find(given.event_id).context == context


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.floats(-1e6, 1e6),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
            st.integers(0, 999),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_rewards_come_back_as_they_were(
    store: Store, given_rewards: list[tuple[float, str, int]]
) -> None:
    store.apply("TRUNCATE TABLE rewards$local")
    block = [
        Entry(n, reward(n, value=value, name=text, reward_id=text, slot=slot))
        for n, (value, text, slot) in enumerate(given_rewards, start=1)
    ]
    ClickHouseSink(store, now_ms=lambda: T0).insert("rewards", "w", block, f"{given_rewards}")
    batch = Tail(store).read(SURFACE, {})
    assert [(row.seq, row.record) for row in batch.rewards] == block


def test_same_block_and_token_again_is_stored_once(sink: ClickHouseSink, store: Store) -> None:
    block = entries("outcomes", 1, 2)
    for _ in range(3):
        sink.insert("outcomes", "w", block, "token")
    store.apply("OPTIMIZE TABLE outcomes$local FINAL")
    assert store._client.command("SELECT count() FROM outcomes") == 2


def test_only_an_exact_repetition_collapses(sink: ClickHouseSink, store: Store) -> None:
    """The same rewards by another writer stay: their numbers would be holes."""
    block = entries("rewards", 1, 2)
    for token, writer in (("t1", "w1"), ("t2", "w1"), ("t3", "w2")):
        sink.insert("rewards", writer, block, token)
    store.apply("OPTIMIZE TABLE rewards$local FINAL")
    assert store._client.command("SELECT count() FROM rewards") == 4


@pytest.mark.parametrize("table", TABLES)
def test_record_of_another_table_is_rejected_by_name(sink: ClickHouseSink, table: str) -> None:
    stranger = Entry(9, outcome(9) if table != "outcomes" else reward(9))
    block = [*entries(table, 1, 2), stranger]
    with pytest.raises(StoreRejected, match=f"record w/9 of {table} is "):
        sink.insert(table, "w", block, "token")
    assert sink.missing(table, "w", entries(table, 1, 2)) == entries(table, 1, 2)


@pytest.mark.parametrize(
    "bad",
    [
        decision(2, b'{"surface":"home.feed"}'),
        decision(2, b"not json"),
        decision(2, pmf=b"\x00\x00\x80\x3f"),
        decision(2, pmf=b"\x00"),
    ],
    ids=["incomplete", "no json", "short pmf", "torn pmf"],
)
def test_decision_that_does_not_hold_what_it_must_is_rejected_by_name(bad: Decision) -> None:
    with pytest.raises(StoreRejected, match="record w/2 of decisions: "):
        columns_of("decisions", "w", [Entry(1, decision(1)), Entry(2, bad)])


def test_every_block_fills_columns_of_one_length() -> None:
    for table, make in MAKE.items():
        columns = columns_of(table, "w", [Entry(n, make(n)) for n in range(3)])
        assert {len(column) for column in columns.values()} == {3}
