from bandit.policies.cache import Generations


def test_what_is_asked_for_stays():
    cache = Generations[int, int](limit=10)
    cache.put(0, 7)
    for number in range(1, 1000):
        cache.put(number, number)
        assert cache.get(0) == 7


def test_what_is_not_asked_for_is_forgotten():
    cache = Generations[int, int](limit=10)
    for number in range(100):
        cache.put(number, number)
    assert cache.get(0) is None
    assert cache.get(99) == 99


def test_it_never_holds_more_than_two_generations():
    cache = Generations[int, int](limit=10)
    for number in range(1000):
        cache.put(number, number)
        assert len(cache) <= 20


def test_entries_may_weigh_differently():
    cache = Generations[str, int](limit=100, weigh=len)
    for number in range(1000):
        cache.put(f"{number:050}", number)
        assert len(cache) <= 4


def test_one_entry_heavier_than_the_limit_is_kept_until_the_next_but_one():
    cache = Generations[str, int](limit=3, weigh=len)
    cache.put("heavy", 1)
    assert cache.get("heavy") == 1
    cache.put("other", 2)
    cache.put("third", 3)
    assert cache.get("heavy") is None


def test_clearing_forgets_everything():
    cache = Generations[str, int](limit=3)
    cache.put("a", 1)
    cache.clear()
    assert cache.get("a") is None
    assert len(cache) == 0
