import pytest

from bandit.learning.counts import Counts
from bandit.learning.totals import AGGREGATIONS, slot_totals, window_ms
from bandit.specs import Surface
from tests.bandit.learning.making import Row, decision, reward, surface

WIDE = {"reward_low": -100.0, "reward_high": 100.0}


def total_of(values: list[float], aggregation: str) -> float:
    one = decision(1)
    rows = [reward(one, value, after_ms=ms, seq=ms) for ms, value in enumerate(values)]
    place = surface(aggregation=aggregation, **WIDE)
    return slot_totals(one, reversed(rows), place, Counts())[0]


def test_every_declared_aggregation_is_known() -> None:
    declared = Surface.__annotations__["aggregation"].__args__
    assert set(AGGREGATIONS) == set(declared)


@pytest.mark.parametrize(
    ("aggregation", "mixed", "zeros", "negative"),
    [
        ("sum", 3.0, 0.0, -6.0),
        ("first", 5.0, 0.0, -1.0),
        ("last", 2.0, 0.0, -3.0),
        ("mean", 1.0, 0.0, -2.0),
        ("max", 5.0, 0.0, -1.0),
        ("min", -4.0, 0.0, -3.0),
    ],
)
def test_aggregation_is_right_also_for_zeros_and_negatives(
    aggregation: str, mixed: float, zeros: float, negative: float
) -> None:
    assert total_of([5.0, -4.0, 2.0], aggregation) == mixed
    assert total_of([0.0, 0.0], aggregation) == zeros
    assert total_of([-1.0, -2.0, -3.0], aggregation) == negative


def test_names_are_aggregated_apart_and_then_weighted() -> None:
    one = decision(1)
    place = surface(reward_weights={"click": 0.5, "watch_s": 0.1}, aggregation="max", **WIDE)
    rows = [
        reward(one, 1.0, name="click", seq=1),
        reward(one, 1.0, name="click", seq=2),
        reward(one, 30.0, name="watch_s", seq=3),
    ]
    assert slot_totals(one, rows, place, Counts()) == {0: 0.5 + 3.0}


def test_a_name_that_is_not_in_the_weights_counts_nothing() -> None:
    one = decision(1)
    place = surface(reward_weights={"click": 1.0}, default_reward=-0.5)
    assert slot_totals(one, [reward(one, 1.0, name="hover")], place, Counts()) == {0: 0.0}


@pytest.mark.parametrize(
    ("after_ms", "counts"), [(-1, False), (0, True), (9_999, True), (10_000, False)]
)
def test_the_window_is_half_open_and_in_milliseconds(after_ms: int, counts: bool) -> None:
    one, count = decision(1), Counts()
    totals = slot_totals(one, [reward(one, after_ms=after_ms)], surface(), count)
    assert totals == ({0: 1.0} if counts else {})
    assert count.late == (not counts)


def test_a_window_shorter_than_a_millisecond_is_one() -> None:
    assert window_ms(surface(join_window_s=1e-9)) == 1


def test_the_first_reward_of_an_id_by_time_writer_and_seq_stays() -> None:
    one, counts = decision(1), Counts()
    rows: list[Row] = [
        reward(one, 0.4, after_ms=6, reward_id="r"),
        reward(one, 0.3, after_ms=5, reward_id="r", writer="w2", seq=1),
        reward(one, 0.2, after_ms=5, reward_id="r", writer="w1", seq=3),
        reward(one, 0.1, after_ms=5, reward_id="r", writer="w1", seq=2),
    ]
    assert slot_totals(one, rows, surface(), counts) == {0: 0.1}
    assert counts == Counts(duplicate=3)


@pytest.mark.parametrize("value", [1.5, -1.5])
def test_a_value_out_of_bounds_is_ignored_and_counted(value: float) -> None:
    one, counts = decision(1), Counts()
    rows = [reward(one, value, seq=1, reward_id="r"), reward(one, 0.25, seq=2, reward_id="r")]
    assert slot_totals(one, rows, surface(), counts) == {0: 0.25}
    assert counts == Counts(out_of_bounds=1)


@pytest.mark.parametrize(("value", "clipped"), [(0.75, 1.0), (-0.75, -1.0)])
def test_a_total_out_of_bounds_is_clipped_and_counted(value: float, clipped: float) -> None:
    one, counts = decision(1), Counts()
    rows = [reward(one, value, seq=n) for n in range(2)]
    assert slot_totals(one, rows, surface(), counts) == {0: clipped}
    assert counts == Counts(out_of_bounds=1)


def test_a_reward_for_a_slot_that_was_not_ranked_is_an_orphan() -> None:
    one, counts = decision(1), Counts()
    assert slot_totals(one, [reward(one, slot=1)], surface(), counts) == {}
    assert counts == Counts(orphan=1)


@pytest.mark.parametrize("turn", [1, -1])
def test_rows_that_tie_but_for_their_stream_give_one_answer_in_any_order(turn: int) -> None:
    # A writer counts rows that name no surface by themselves: two of one millisecond could have
    # one number, and what was learned depended on which was read first.
    one = decision(1)
    rows = [
        reward(one, 0.25, surface="", reward_id="r"),
        reward(one, -0.5, surface="home", reward_id="r"),
    ]
    assert slot_totals(one, rows[::turn], surface(), Counts()) == {0: 0.25}
