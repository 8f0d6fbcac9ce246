"""Kept numbers over the real engine: what is read, in which order, and what stays."""

import threading

import msgspec
import pytest

from bandit.store.client import Store
from bandit.store.kept import DAY_MS, FOR_GOOD_S, HOUR_MS, KeptNumbers, spread
from bandit.store.migrations import migrate
from bandit.store.numbers import ExperimentNumbers, VariantNumbers
from tests.bandit.logs import T0

MIDNIGHT = T0 - T0 % DAY_MS


def numbers(decisions_n: int, generation: str = "g1") -> ExperimentNumbers:
    return ExperimentNumbers(
        experiment="e",
        generation=generation,
        closed_ms=T0,
        variants=(VariantNumbers(variant="c", decisions_n=decisions_n, reward_sum=0.1),),
    )


def keep(kept: KeptNumbers, as_of_ms: int, n: int, generation: str = "g1", **given: bool) -> None:
    kept.keep("experiment", "e", as_of_ms, generation, numbers(n, generation), 17, **given)


def decisions_n(found) -> int:
    return found.numbers.variants[0].decisions_n


def test_the_newest_that_is_not_later_is_read_as_it_was_kept(store: Store):
    kept = KeptNumbers(store)
    for n in (1, 2, 3):
        keep(kept, T0 + n, n)
    assert kept.newest("experiment", "e", T0) is None
    found = kept.newest("experiment", "e", T0 + 2)
    assert found == (T0 + 2, "g1", numbers(2), 17)
    assert decisions_n(kept.newest("experiment", "e", T0 + 999)) == 3
    assert kept.newest("experiment", "other", T0 + 999) is None
    assert kept.newest("surface", "e", T0 + 999) is None


def test_other_definitions_are_another_generation(store: Store):
    kept = KeptNumbers(store)
    keep(kept, T0, 1)
    keep(kept, T0 + 1, 2, "g2")
    assert decisions_n(kept.newest("experiment", "e", T0 + 9, "g1")) == 1
    assert decisions_n(kept.newest("experiment", "e", T0 + 9)) == 2
    assert kept.newest("experiment", "e", T0 + 9, "g3") is None


def test_of_two_that_keep_numbers_of_one_time_the_first_one_counts_for_ever(store: Store):
    kept = KeptNumbers(store)
    keep(kept, T0, 1)
    keep(kept, T0, 2)
    assert decisions_n(kept.newest("experiment", "e", T0)) == 1
    store.apply("OPTIMIZE TABLE $database.kept_numbers FINAL")
    assert decisions_n(kept.newest("experiment", "e", T0)) == 1
    assert [decisions_n(row) for row in kept.history("experiment", "e", "g1", at_ms=T0)] == [1]


def test_numbers_of_another_layout_are_not_read(store: Store):
    kept = KeptNumbers(store)
    old = msgspec.structs.replace(numbers(1), version=0)
    kept.keep("experiment", "e", T0, "g1", old, 1)
    assert kept.newest("experiment", "e", T0) is None


def test_history_is_spread_over_the_time_and_bounded(store: Store):
    kept = KeptNumbers(store)
    for n in range(30):
        keep(kept, T0 + n * 1000, n)
    keep(kept, T0 + 40_000, 40, "g2")
    found = kept.history("experiment", "e", "g1", at_ms=T0 + 10**6, n=3)
    assert [decisions_n(row) for row in found] == [9, 19, 29]
    since = kept.history("experiment", "e", "g1", at_ms=T0 + 20_000, since_ms=T0 + 18_000)
    assert [row.as_of_ms - T0 for row in since] == [18_000, 19_000, 20_000]
    assert kept.history("experiment", "e", "g3", at_ms=T0) == []


def test_the_newest_of_each_thing_is_read_at_once(store: Store):
    kept = KeptNumbers(store)
    for key, n in (("a", 1), ("b", 2), ("a", 3)):
        kept.keep("experiment", key, T0 + n, "g1", numbers(n), 1)
    found = kept.newest_of_each("experiment", T0 + 9)
    assert {key: decisions_n(row) for key, row in found.items()} == {"a": 3, "b": 2}
    assert kept.newest_of_each("surface", T0 + 9) == {}


def test_rows_stay_as_long_as_their_time_says(store: Store):
    kept = KeptNumbers(store)
    stays = {}
    for name, as_of_ms in (("day", MIDNIGHT), ("hour", MIDNIGHT + HOUR_MS), ("any", T0 + 1)):
        keep(kept, as_of_ms, 1)
        found = kept.newest("experiment", "e", as_of_ms)
        assert found is not None
        stays[name] = kept.stays_until_s("experiment", "e", found)
    assert stays["day"] == FOR_GOOD_S
    assert stays["hour"] - stays["any"] == pytest.approx(60 * 86_400 - 3600, abs=30)
    keep(kept, T0 + 1, 1, for_good=True)
    found = kept.newest("experiment", "e", T0 + 1)
    assert found is not None
    assert kept.stays_until_s("experiment", "e", found) == FOR_GOOD_S


def test_what_may_go_goes_and_what_is_of_an_hour_or_a_day_stays(store: Store):
    kept = KeptNumbers(store)
    for n, as_of_ms in enumerate((MIDNIGHT, MIDNIGHT + HOUR_MS, MIDNIGHT + HOUR_MS + 7)):
        keep(kept, as_of_ms, n)
    # as if it had been an hour and a bit ago that they were made
    store.apply(
        "ALTER TABLE $database.kept_numbers UPDATE until = until - toIntervalMinute(61) "
        "WHERE 1 SETTINGS mutations_sync = 2"
    )
    store.apply("OPTIMIZE TABLE $database.kept_numbers FINAL")
    left = kept.history("experiment", "e", "g1", at_ms=T0 + DAY_MS)
    assert [decisions_n(row) for row in left] == [0, 1]


def test_several_keep_at_once_and_nothing_is_lost(clickhouse_url: str, store: Store):
    def keep_some(first: int) -> None:
        mine = Store.connect(clickhouse_url, database=store.database)
        for n in range(first, 40, 2):
            keep(KeptNumbers(mine), T0 + n, n)
            keep(KeptNumbers(mine), T0 + 1000, first)  # both
        mine.close()

    migrate(store)
    threads = [threading.Thread(target=keep_some, args=(first,)) for first in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = KeptNumbers(store).history("experiment", "e", "g1", at_ms=T0 + 999)
    assert [decisions_n(row) for row in found] == list(range(40))
    both = {decisions_n(KeptNumbers(store).newest("experiment", "e", T0 + 2000)) for _ in range(5)}
    assert len(both) == 1


@pytest.mark.parametrize("n", [1, 2, 7, 120])
def test_a_spread_keeps_the_last_and_is_never_more_than_asked_for(n: int):
    times = [0, 5, 6, 7, 1000, 1001, 5000, *range(6000, 6500)]
    found = spread(times, n)
    assert len(found) <= n
    assert found[-1] == times[-1]
    assert found == sorted(set(found))
