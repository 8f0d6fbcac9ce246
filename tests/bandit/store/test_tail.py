import random
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bandit.errors import NotFound
from bandit.store import tail as tail_module
from bandit.store.client import Store
from bandit.store.gaps import Gap, declare, gaps_at
from bandit.store.sink import ClickHouseSink
from bandit.store.tail import Cursor, Tail, TailBatch
from tests.bandit.store.making import SURFACE, T0, entries


class Log:
    """Puts rows into the store and reads them with a tail."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.tail = Tail(store)
        self.blocks_n = 0

    def put(self, table: str, writer: str, *seqs: int, **changes: object) -> None:
        self.blocks_n += 1
        sink = ClickHouseSink(self.store, now_ms=lambda: T0)
        sink.insert(table, writer, entries(table, *seqs, **changes), f"token-{self.blocks_n}")

    def read(self, cursor: Cursor, limit: int = 10_000) -> TailBatch:
        return self.tail.read(SURFACE, cursor, limit=limit)


@pytest.fixture
def log(store: Store) -> Log:
    return Log(store)


def places(batch: TailBatch) -> dict[str, list[tuple[str, int]]]:
    return {
        table: [(row.writer, row.seq) for row in getattr(batch, table)]
        for table in ("decisions", "rewards", "exposures")
        if getattr(batch, table)
    }


def test_empty_log_gives_an_empty_batch(log: Log) -> None:
    assert log.read({}) == TailBatch([], [], [], {})


def test_rows_are_read_once(log: Log) -> None:
    log.put("decisions", "w1", 1, 2)
    log.put("rewards", "w2", 1)
    log.put("exposures", "w1", 1, surface="")
    batch = log.read({})
    assert places(batch) == {
        "decisions": [("w1", 1), ("w1", 2)],
        "rewards": [("w2", 1)],
        "exposures": [("w1", 1)],
    }
    assert batch.cursor == {
        "decisions/home.feed/w1": 2,
        "rewards/home.feed/w2": 1,
        "exposures//w1": 1,
    }
    again = log.read(batch.cursor)
    assert places(again) == {}
    assert again.cursor == batch.cursor
    log.put("decisions", "w1", 3)
    assert places(log.read(again.cursor)) == {"decisions": [("w1", 3)]}


def test_other_surfaces_are_left_alone(log: Log) -> None:
    log.put("decisions", "w", 1, surface="elsewhere")
    log.put("rewards", "w", 1, surface="elsewhere")
    log.put("rewards", "w", 1, 2, surface="")
    assert places(log.read({})) == {"rewards": [("w", 1), ("w", 2)]}


def test_writers_names_may_hold_slashes(log: Log) -> None:
    log.put("rewards", "host/1/x", 1)
    batch = log.read({})
    assert batch.cursor == {"rewards/home.feed/host/1/x": 1}
    assert places(log.read(batch.cursor)) == {}


def test_hole_stops_only_its_stream_until_it_is_filled(log: Log) -> None:
    log.put("decisions", "w1", 1, 2, 4, 5)
    log.put("decisions", "w2", 1, 2)
    log.put("rewards", "w1", 2)
    first = log.read({})
    assert places(first) == {"decisions": [("w1", 1), ("w2", 1), ("w1", 2), ("w2", 2)]}
    assert first.holes == ("decisions/home.feed/w1", "rewards/home.feed/w1")
    assert not first.more
    log.put("decisions", "w2", 3)
    second = log.read(first.cursor)
    assert places(second) == {"decisions": [("w2", 3)]}
    assert second.holes == first.holes
    log.put("decisions", "w1", 3)
    log.put("rewards", "w1", 1)
    third = log.read(second.cursor)
    assert places(third) == {
        "decisions": [("w1", 3), ("w1", 4), ("w1", 5)],
        "rewards": [("w1", 1), ("w1", 2)],
    }
    assert third.holes == ()


def test_limit_bounds_the_rows_of_each_table_and_says_that_there_are_more(log: Log) -> None:
    for writer in ("w1", "w2", "w3"):
        log.put("decisions", writer, *range(1, 11))
    log.put("rewards", "w1", 1, 2)
    cursor: Cursor = {}
    counts = []
    while True:
        batch = log.read(cursor, limit=7)
        counts.append((len(batch.decisions), len(batch.rewards), batch.more, batch.holes))
        cursor = batch.cursor
        if not batch.more:
            break
    assert counts[0] == (7, 2, True, ())
    assert sum(count[0] for count in counts) == 30
    assert all(count[0] <= 7 for count in counts)
    assert set(cursor.values()) == {10, 2}


def test_limit_does_not_hide_a_hole(log: Log) -> None:
    log.put("decisions", "w", 1, 2, 3, 9)
    batch = log.read({}, limit=2)
    assert (batch.more, batch.holes, batch.unread_n) == (True, (), 7)
    batch = log.read(batch.cursor, limit=2)
    assert (batch.more, batch.holes) == (False, ("decisions/home.feed/w",))
    assert batch.unread_n == 6


def test_exact_repetitions_are_read_once(log: Log) -> None:
    log.put("decisions", "w", 1, 2)
    log.put("decisions", "w", 2, 3)
    log.put("rewards", "w", 1)
    log.put("rewards", "w", 1)
    batch = log.read({})
    assert places(batch) == {"decisions": [("w", 1), ("w", 2), ("w", 3)], "rewards": [("w", 1)]}
    log.put("decisions", "w", 1, 2, 3, 4)
    assert places(log.read(batch.cursor)) == {"decisions": [("w", 4)]}


def test_order_inside_a_batch_is_by_time_then_writer_then_number(log: Log) -> None:
    log.put("rewards", "w2", 1, 2, ts_ms=T0 + 5)
    log.put("rewards", "w1", 1, 2, ts_ms=T0 + 5)
    log.put("rewards", "w3", 1, ts_ms=T0 + 4)
    log.put("rewards", "w1", 1, ts_ms=T0 + 5, surface="")
    rows = log.read({}).rewards
    assert [(row.record.surface, row.writer, row.seq) for row in rows] == [
        (SURFACE, "w3", 1),
        ("", "w1", 1),
        (SURFACE, "w1", 1),
        (SURFACE, "w1", 2),
        (SURFACE, "w2", 1),
        (SURFACE, "w2", 2),
    ]


def test_going_back_to_an_earlier_cursor_reads_the_same_again(log: Log) -> None:
    log.put("decisions", "w", 1, 2)
    first = log.read({})
    log.put("decisions", "w", 3)
    log.put("rewards", "v", 1)
    second = log.read(first.cursor)
    assert log.read(second.cursor) == TailBatch([], [], [], second.cursor)
    assert log.read(first.cursor) == second
    assert places(log.read({})) == {
        "decisions": [("w", 1), ("w", 2), ("w", 3)],
        "rewards": [("v", 1)],
    }


def put_hour_old(log: Log, writer: str, *seqs: int) -> None:
    """Rows that came an hour before all others, by the store's clock."""
    columns = "* EXCEPT (ingested_at, writer, seq)"
    log.store.apply(
        f"INSERT INTO decisions ({columns}, ingested_at, writer, seq) SELECT {columns}, "
        f"now64(3) - INTERVAL 1 HOUR, '{writer}', arrayJoin({list(seqs)}) "
        "FROM (SELECT * FROM decisions LIMIT 1)"
    )


def test_rows_that_came_long_ago_are_read_together_with_new_ones(log: Log) -> None:
    log.put("decisions", "w", 1)
    put_hour_old(log, "old", 1, 2)
    batch = log.read({})
    assert batch.cursor == {"decisions/home.feed/w": 1, "decisions/home.feed/old": 2}
    assert len(batch.decisions) == 3


def test_rows_behind_a_hole_are_remembered_however_long_it_stays(log: Log) -> None:
    log.put("decisions", "w", 1)
    put_hour_old(log, "old", 2, 3)
    first = log.read({})
    assert first.holes == ("decisions/home.feed/old",)
    log.put("decisions", "w", 2)
    second = log.read(first.cursor)
    assert places(second) == {"decisions": [("w", 2)]}
    log.put("decisions", "old", 1)
    third = log.read(second.cursor)
    assert sorted(places(third)["decisions"]) == [("old", 1), ("old", 2), ("old", 3)]
    assert third.holes == ()


def test_rows_that_the_limit_left_are_remembered(log: Log) -> None:
    log.put("decisions", "w", 1)
    put_hour_old(log, "old", *range(1, 6))
    cursor: Cursor = {}
    read = []
    for _ in range(5):  # the first one gives a row of each stream
        batch = log.read(cursor, limit=1)
        cursor = batch.cursor
        read += places(batch)["decisions"]
    assert sorted(read) == [*(("old", seq) for seq in range(1, 6)), ("w", 1)]
    assert not batch.more


def test_row_that_came_unbelievably_late_is_found_by_the_sweep(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_module, "SWEEP_EVERY", 3)
    log.put("decisions", "w", 1)
    cursor = log.read({}).cursor
    put_hour_old(log, "late", 1)
    reads = 0
    while "decisions/home.feed/late" not in cursor:
        cursor = log.read(cursor).cursor
        reads += 1
        assert reads <= 4
    assert reads > 1


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), limit=st.sampled_from([1, 3, 1_000]))
def test_every_row_is_read_exactly_once_in_its_streams_order(
    store: Store, seed: int, limit: int
) -> None:
    rng = random.Random(seed)
    for table in ("decisions", "rewards", "exposures"):
        store.apply(f"TRUNCATE TABLE {table}$local")
    log = Log(store)
    log.blocks_n = seed * 1_000
    streams = [
        (table, surface, writer)
        for table in ("decisions", "rewards", "exposures")
        for surface in (SURFACE, "")
        for writer in ("w1", "w2")
        if table != "decisions" or surface
    ]
    chunks = []
    for table, surface, writer in rng.sample(streams, 4):
        seqs = list(range(1, rng.randint(2, 8)))
        rng.shuffle(seqs)
        cut = rng.randint(0, len(seqs))
        chunks += [(table, surface, writer, seqs[:cut]), (table, surface, writer, seqs[cut:])]
    rng.shuffle(chunks)
    seen: dict[str, list[int]] = {}
    cursor: Cursor = {}

    def read() -> TailBatch:
        batch = log.read(cursor, limit)
        for table in ("decisions", "rewards", "exposures"):
            for row in getattr(batch, table):
                surface = row.surface if table == "decisions" else row.record.surface
                seen.setdefault(f"{table}/{surface}/{row.writer}", []).append(row.seq)
        return batch

    for table, surface, writer, seqs in chunks:
        if seqs:
            log.put(table, writer, *seqs, surface=surface)
        cursor = read().cursor
    while (batch := read()).more:
        cursor = batch.cursor
    want: dict[str, int] = {}
    for table, surface, writer, seqs in chunks:
        if seqs:
            stream = f"{table}/{surface}/{writer}"
            want[stream] = want.get(stream, 0) + len(seqs)
    assert {stream: sorted(seqs) for stream, seqs in seen.items()} == {
        stream: list(range(1, n + 1)) for stream, n in want.items()
    }
    assert batch.cursor == want
    assert batch.holes == ()


def test_reread_gives_what_a_cursor_has_passed_since_a_time(log: Log) -> None:
    log.put("decisions", "w", *range(1, 6))
    log.put("rewards", "w", *range(1, 6))
    log.put("exposures", "w", 4, 5, 1, 2, 3, surface="")
    cursor = {"decisions/home.feed/w": 4, "rewards/home.feed/w": 5, "exposures//w": 3}
    batch = log.tail.reread(SURFACE, cursor | {"decisions/elsewhere/w": 9}, T0 + 3)
    assert places(batch) == {
        "decisions": [("w", 3), ("w", 4)],
        "rewards": [("w", 3), ("w", 4), ("w", 5)],
        "exposures": [("w", 3)],
    }
    assert batch.cursor["decisions/home.feed/w"] == 4


def test_between_gives_what_was_read_on_the_way(log: Log) -> None:
    log.put("decisions", "w", *range(1, 6))
    log.put("rewards", "v", 1, 2)
    first = log.read({}, limit=2)
    second = log.read(first.cursor, limit=2)
    batch = log.tail.between(SURFACE, first.cursor, second.cursor)
    assert places(batch) == places(second)
    assert batch.cursor == second.cursor
    assert places(log.tail.between(SURFACE, {}, first.cursor)) == places(first)
    assert places(log.tail.between(SURFACE, second.cursor, second.cursor)) == {}


def test_between_refuses_a_log_with_holes(log: Log) -> None:
    log.put("decisions", "w", 1, 3)
    with pytest.raises(NotFound, match="holds 2 of 3 rows"):
        log.tail.between(SURFACE, {}, {"decisions/home.feed/w": 3})


def test_streams_end_for_now_before_their_first_row_after_a_time(log: Log) -> None:
    log.put("decisions", "w", 1, 2, 3)
    times = [d.ts_ms for d in log.read({}).decisions]
    until = log.tail.read(SURFACE, {}, until_ms=times[1])
    assert places(until) == {"decisions": [("w", 1), ("w", 2)]}
    assert (until.more, until.holes) == (False, ())


def test_decisions_can_be_read_again_as_bare_event_ids_up_to_a_time(log: Log) -> None:
    log.put("decisions", "w", 1, 2, 3, 4)
    log.put("rewards", "w", 1, 2)
    rows = log.read({}).decisions
    cursor: Cursor = {"decisions/home.feed/w": 3, "rewards/home.feed/w": 1}
    ids = log.tail.event_ids(SURFACE, cursor, rows[1].ts_ms, rows[3].ts_ms)
    assert sorted(ids) == sorted(row.event_id for row in rows[1:3])
    assert log.tail.event_ids(SURFACE, {}, 0, rows[3].ts_ms) == ()
    again = log.tail.reread(SURFACE, cursor, 0, decisions_since_ms=rows[2].ts_ms)
    assert places(again) == {"decisions": [("w", 3)], "rewards": [("w", 1)]}


def lose(log: Log, table: str, writer: str, first: int, last: int, surface: str = SURFACE) -> None:
    gap = Gap(table, surface, writer, first, last)
    declare(log.store, [gap], reason="lost", now_ms=T0)


def test_a_gap_lets_a_stream_go_on_over_what_never_came(log: Log) -> None:
    log.put("rewards", "w1", 1, 4, 6)
    stopped = log.read({})
    assert (stopped.holes, stopped.more) == ((f"rewards/{SURFACE}/w1",), False)
    lose(log, "rewards", "w1", 2, 3)
    lose(log, "rewards", "w2", 5, 5)
    on = log.read(stopped.cursor)
    assert places(on) == {"rewards": [("w1", 4)]}
    assert (on.given_up_n, on.holes) == (2, (f"rewards/{SURFACE}/w1",))
    lose(log, "rewards", "w1", 5, 5)
    end = log.read(on.cursor)
    assert places(end) == {"rewards": [("w1", 6)]}
    assert (end.given_up_n, end.cursor[f"rewards/{SURFACE}/w1"], end.holes) == (1, 6, ())


def test_what_comes_after_it_was_declared_a_gap_is_never_read(log: Log) -> None:
    # Symptom: a rebuild learned a reward that had been given up when the learner went on without.
    log.put("decisions", "w1", 1, 4)
    log.put("rewards", "w1", 1, 3)
    lose(log, "decisions", "w1", 2, 3)
    lose(log, "rewards", "w1", 2, 2)
    first = log.read({})
    log.put("decisions", "w1", 2, 3)
    log.put("rewards", "w1", 2)
    seen = {"decisions": [("w1", 1), ("w1", 4)], "rewards": [("w1", 1), ("w1", 3)]}
    assert places(first) == seen
    for again in (
        log.read({}),
        log.tail.between(SURFACE, {}, first.cursor),
        log.tail.reread(SURFACE, first.cursor, 0),
    ):
        assert places(again) == seen
    event_ids = log.tail.event_ids(SURFACE, first.cursor, 0, T0 + 1_000_000)
    assert sorted(event_ids) == [decision.event_id for decision in first.decisions]
    between = log.tail.between(SURFACE, {}, first.cursor)
    assert (between.given_up_n, first.given_up_n) == (3, 3)


def test_a_gap_longer_than_a_read_is_passed_at_once(log: Log) -> None:
    log.put("rewards", "w1", 1, 2_000_001, 2_000_002)
    lose(log, "rewards", "w1", 2, 2_000_000)
    batch = log.read({}, limit=2)
    assert places(batch) == {"rewards": [("w1", 1), ("w1", 2_000_001)]}
    assert batch.more
    assert places(log.read(batch.cursor)) == {"rewards": [("w1", 2_000_002)]}


def test_a_stream_that_ends_in_rows_given_up_is_read_to_its_end(log: Log) -> None:
    log.put("rewards", "w1", 1, 2, 3)
    lose(log, "rewards", "w1", 2, 9)
    batch = log.read({})
    assert places(batch) == {"rewards": [("w1", 1)]}
    assert (batch.more, batch.holes) == (False, ())
    assert log.read(batch.cursor) == TailBatch([], [], [], batch.cursor)
    log.put("rewards", "w1", 10)
    assert places(log.read(batch.cursor)) == {"rewards": [("w1", 10)]}


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(given_up=st.sets(st.integers(1, 30)), limit=st.integers(1, 12))
def test_reading_in_pieces_goes_over_gaps_as_reading_at_once(
    store: Store, given_up: set[int], limit: int
) -> None:
    writer = uuid.uuid4().hex  # `random` is the same for every example
    log = Log(store)
    sink = ClickHouseSink(store, now_ms=lambda: T0)
    sink.insert("exposures", writer, entries("exposures", *range(1, 31)), writer)
    places_of = [("exposures", SURFACE, writer, seq) for seq in given_up]
    declare(store, gaps_at(places_of), reason="forgotten", now_ms=T0)
    read: list[int] = []
    cursor: Cursor = {}
    given_up_n, more = 0, True
    while more:
        batch = log.tail.read(SURFACE, cursor, limit=limit)
        read += [row.seq for row in batch.exposures if row.writer == writer]
        given_up_n += batch.given_up_n
        cursor, more = batch.cursor, batch.more
    assert read == [seq for seq in range(1, 31) if seq not in given_up]
    assert cursor[f"exposures/{SURFACE}/{writer}"] == 30
