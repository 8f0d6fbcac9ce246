import pytest

from bandit.learning.reading import Reader, Slice
from bandit.store.client import Store
from bandit.store.tail import Tail
from tests.bandit.learning.fakes import AnyRow, FakeLog, ts_ms
from tests.bandit.learning.filling import RealLog
from tests.bandit.learning.making import T0, decision, reward

NOW = T0 + 1_000_000


def read_all(reader: Reader, *, at_most: int = 200) -> list[Slice]:
    slices = [reader.read(NOW)]
    while slices[-1].more:
        assert len(slices) < at_most
        slices.append(reader.read(NOW))
    return slices


def rows_of(piece: Slice) -> list[AnyRow]:
    return [*piece.rows.decisions, *piece.rows.rewards, *piece.rows.exposures]


def a_long_log(log: FakeLog) -> int:
    """Two writers one after the other, five rewards a decision, a pause in between."""
    for n in range(600):
        at_ms = T0 + n * 100 + (200_000 if n >= 300 else 0)
        one = decision(n, at_ms, writer="w1" if n < 300 else "w2")
        log.write(one, *(reward(one, after_ms=ms, writer=one.writer) for ms in range(5)))
    return 600 * 6


def test_a_reader_that_keeps_up_has_read_all_that_the_hosts_delivered() -> None:
    log = FakeLog()
    log.write(decision(1), reward(decision(1)))
    reader = Reader(log, "home", {}, limit=10)
    first, then = reader.read(NOW), reader.read(NOW + 1)
    assert (len(rows_of(first)), first.through_ms, first.more) == (2, NOW, False)
    assert (len(rows_of(then)), then.through_ms, then.more) == (0, NOW + 1, False)
    assert reader.cursor == log.end()


def test_a_backlog_is_read_completely_in_slices_that_fit() -> None:
    log = FakeLog()
    rows_n = a_long_log(log)
    slices = read_all(Reader(log, "home", {}, limit=100))
    assert sum(len(rows_of(piece)) for piece in slices) == rows_n
    assert max(len(rows_of(piece)) for piece in slices) <= 200
    assert slices[-1].through_ms == NOW


def test_what_a_slice_says_is_read_through_is_read_through() -> None:
    log = FakeLog()
    a_long_log(log)
    everything = [row for stream in log.streams.values() for row in stream]
    read_n, before = 0, 0
    for piece in read_all(Reader(log, "home", {}, limit=100)):
        read_n += len(rows_of(piece))
        assert piece.through_ms >= before
        assert read_n == sum(ts_ms(row) < piece.through_ms for row in everything)
        before = piece.through_ms


def test_slices_grow_where_there_is_little_so_that_reading_stays_quick() -> None:
    log = FakeLog()
    a_long_log(log)
    read_all(Reader(log, "home", {}, limit=100))
    answered = sum(rows_n for _, rows_n in log.reads)
    assert len(log.reads) < 120
    assert answered < 2 * 600 * 6


def test_more_rows_in_one_millisecond_than_fit_are_read_piece_by_piece() -> None:
    log = FakeLog()
    log.write(decision(0, T0 - 5), *(decision(n, T0) for n in range(1, 36)), decision(40, T0 + 5))
    slices = read_all(Reader(log, "home", {}, limit=10))
    assert sum(len(rows_of(piece)) for piece in slices) == 37
    assert max(len(rows_of(piece)) for piece in slices) <= 10
    halfway = [piece.through_ms for piece in slices if piece.through_ms <= T0]
    assert halfway.count(T0) >= 3


@pytest.mark.parametrize(("limit", "decisions_n"), [(2, 9), (7, 30), (40, 30)])
def test_the_real_tail_is_read_alike(store: Store, limit: int, decisions_n: int) -> None:
    fake, real = FakeLog(), RealLog(store)
    rows: list[AnyRow] = []
    for n in range(decisions_n):
        one = decision(n, T0 + 10 * (n // 3), writer=f"w{n % 3}")
        rows += [one, *(reward(one, after_ms=1, writer=f"w{n % 2}") for _ in range(n % 3))]
    rows.sort(key=ts_ms)
    fake.write(*rows)
    real.write(*rows)
    expected = [
        (set(map(place, rows_of(p)))) for p in read_all(Reader(fake, "home", {}, limit=limit))
    ]
    reader = Reader(Tail(store), "home", {}, limit=limit)
    found = [(set(map(place, rows_of(p)))) for p in read_all(reader)]
    assert set.union(*found) == set.union(*expected)
    assert reader.cursor == fake.end()
    assert max(map(len, found)) <= 2 * max(limit, 3)


def place(row: AnyRow) -> tuple[str, str, int, int]:
    return type(row).__name__, row.writer, row.seq, ts_ms(row)


def test_the_tail_stops_each_stream_before_its_first_row_after_a_time(store: Store) -> None:
    log, tail = RealLog(store), Tail(store)
    log.write(*(decision(n, T0 + n, writer="w1") for n in range(5)))
    log.write(decision(9, T0 + 3, writer="w2"))
    first = tail.read("home", {}, until_ms=T0 + 2)
    assert [d.ts_ms - T0 for d in first.decisions] == [0, 1, 2]
    assert (first.more, first.holes) == (False, ())
    then = tail.read("home", first.cursor)
    assert [d.ts_ms - T0 for d in then.decisions] == [3, 3, 4]
    limited = tail.read("home", {}, limit=2, until_ms=T0 + 2)
    assert limited.more
