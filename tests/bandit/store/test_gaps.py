from hypothesis import given
from hypothesis import strategies as st

from bandit.store.client import Store
from bandit.store.gaps import Gap, StreamGaps, declare, gaps_at, gaps_of

SPANS = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 6)).map(lambda s: (s[0], s[0] + s[1])), max_size=8
)


@given(spans=SPANS, after=st.integers(0, 50), n=st.integers(0, 20))
def test_gaps_are_the_numbers_in_them(spans: list[tuple[int, int]], after: int, n: int) -> None:
    gaps = StreamGaps(spans)
    numbers = {seq for first, last in spans for seq in range(first, last + 1)}
    assert {seq for seq in range(1, 100) if seq in gaps} == numbers
    assert gaps.within(after, after + n) == len(numbers & set(range(after + 1, after + n + 1)))
    end = gaps.after(after)
    assert numbers.issuperset(range(after + 1, end + 1))
    assert end + 1 not in numbers
    rows = [seq for seq in range(after + 1, 200) if seq not in numbers]
    reached = gaps.reach(after, n)
    assert sum(seq <= reached for seq in rows) == n
    assert bool(gaps) == bool(numbers)


def test_declaring_twice_and_overlapping_says_no_more(store: Store) -> None:
    streams = {"rewards/home/w": 0, "rewards//w": 0, "decisions/home/w": 0}
    for gap in ((4, 6), (4, 6), (5, 9), (1, 2)):
        declare(store, [Gap("rewards", "home", "w", *gap)], reason="rejected", now_ms=1)
    declare(store, [Gap("rewards", "", "w", 7, 7)], reason="forgotten", now_ms=1)
    found = gaps_of(store, streams)
    assert {stream: gaps.spans for stream, gaps in found.items()} == {
        "rewards/home/w": [(1, 2), (4, 9)],
        "rewards//w": [(7, 7)],
    }
    assert gaps_of(store, {"rewards/home/w": 6})["rewards/home/w"].spans == [(5, 9)]
    assert gaps_of(store, {"rewards/home/w": 9}) == {}
    assert gaps_of(store, {}) == {}


def test_nothing_to_declare_is_declared_without_asking_the_store() -> None:
    declare(None, [], reason="lost", now_ms=1)  # type: ignore[arg-type]


def test_numbers_become_runs_of_their_stream() -> None:
    places = [("rewards", "", "w", 2), ("rewards", "", "w", 1), ("outcomes", "", "v", 5)]
    assert gaps_at(places) == [Gap("outcomes", "", "v", 5, 5), Gap("rewards", "", "w", 1, 2)]
