import pytest

from bandit.errors import StoreUnavailable
from bandit.journal.base import Entry, Numbers
from bandit.journal.continuity import Continuity
from tests.bandit.journal.fakes import FakeSink, outcome, reward


def rewards(*seqs: int, surface: str = "home") -> list[Entry]:
    return [Entry(seq, reward(seq, surface=surface)) for seq in seqs]


def from_start(sink: FakeSink | None = None) -> Continuity:
    return Continuity("w1", sink or FakeSink(), is_from_start=True)


def test_numbers_in_order_skip_nothing_however_streams_are_mixed() -> None:
    continuity = from_start()
    for entries in (
        [*rewards(1, 2), Entry(1, outcome(1)), *rewards(1, surface="cart")],
        [*rewards(2, surface="cart"), Entry(2, outcome(2)), *rewards(3)],
    ):
        assert continuity.skipped(entries) == []
        continuity.passed(entries)


def test_what_is_skipped_at_the_start_inside_and_between_is_told_by_stream() -> None:
    continuity = from_start()
    entries = [*rewards(2, 5), *rewards(1, 2, surface="cart")]
    assert continuity.skipped(entries) == [
        Numbers("rewards", "home", "w1", 1, 1),
        Numbers("rewards", "home", "w1", 3, 4),
    ]
    continuity.passed(entries)
    assert continuity.skipped(rewards(8)) == [Numbers("rewards", "home", "w1", 6, 7)]


def test_what_was_not_passed_is_told_again() -> None:
    continuity = from_start()
    assert continuity.skipped(rewards(2)) == continuity.skipped(rewards(2)) != []


def test_a_number_that_comes_again_is_no_hole() -> None:
    continuity = from_start()
    continuity.passed(rewards(1, 2, 3))
    assert continuity.skipped(rewards(2, 3, 4)) == []


def test_where_segments_were_removed_the_store_says_what_came_before() -> None:
    sink = FakeSink()
    sink.insert("rewards", "w1", rewards(1, 2, 3), "t1")
    sink.insert("rewards", "w2", rewards(9), "t2")
    continuity = Continuity("w1", sink, is_from_start=False)
    assert continuity.skipped(rewards(4)) == []
    assert continuity.skipped(rewards(6)) == [Numbers("rewards", "home", "w1", 4, 5)]
    assert continuity.skipped(rewards(3, surface="cart")) == [
        Numbers("rewards", "cart", "w1", 1, 2)
    ]
    sink.is_down = True
    with pytest.raises(StoreUnavailable):
        continuity.skipped(rewards(6))
    continuity.passed(rewards(6))
    assert continuity.skipped(rewards(7)) == []
