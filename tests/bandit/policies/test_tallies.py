from bandit.policies.tallies import NONE, Tallies, Tally


def test_lessons_and_rewards_are_counted_by_id():
    tallies = Tallies(most=10)
    for id_, reward in (("a", 0.5), ("b", 1.0), ("a", 0.25)):
        tallies.add(id_, reward)
    assert tallies.of_all(["b", "a", "new"]) == [Tally(1, 1.0), Tally(2, 0.75), NONE]
    assert tallies.lessons_n == 3


def test_the_id_that_was_learned_the_longest_ago_is_forgotten():
    tallies = Tallies(most=3)
    for id_ in ("a", "b", "c", "a", "d"):
        tallies.add(id_, 1.0)
    assert [tallies.of(id_).lessons_n for id_ in "abcd"] == [2, 0, 1, 1]
    tallies.add("b", 0.0)  # c is next
    assert [tallies.of(id_).lessons_n for id_ in "abcd"] == [2, 1, 0, 1]


def test_what_was_saved_forgets_the_same_ids():
    tallies = Tallies(most=3)
    for id_ in ("a", "b", "c", "a"):
        tallies.add(id_, 0.1)
    again = Tallies(3, tallies.save())
    for id_ in ("d", "e", "a", "f", "b"):
        assert again.save() == tallies.save()
        tallies.add(id_, 0.7)
        again.add(id_, 0.7)
    assert again.save() == tallies.save()
    assert again.lessons_n == 9


def test_state_stays_bounded():
    tallies = Tallies(most=100)
    for number in range(5_000):
        tallies.add(f"id-{number}", 1.0)
    assert len(tallies.save()) < 100 * 24 + 20
