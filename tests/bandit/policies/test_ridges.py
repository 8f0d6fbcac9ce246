import numpy as np

from bandit.policies.ridges import Ridges


def test_weights_are_those_of_the_normal_equations():
    rng = np.random.default_rng(4)
    x = np.column_stack([np.ones(60), rng.normal(size=(60, 3))])
    y = x @ [0.5, 1.0, -2.0, 0.0] + rng.normal(size=60)
    ridges = Ridges([0.1, 7.0], length=4, most=3)
    for row, reward in zip(x, y, strict=True):
        ridges.learn("a", row, float(reward))
    for place, ridge in enumerate((0.1, 7.0)):
        penalty = np.diag([0.01 * ridge, ridge, ridge, ridge])
        expected = np.linalg.solve(x.T @ x + penalty, x.T @ y)
        found = ridges.worths(["a"], np.eye(4)[:1])[place]
        assert abs(found[0] - expected[0]) < 1e-9
        assert np.allclose(ridges.worths(["a"], x[:1])[place], x[:1] @ expected)


def test_a_saved_one_goes_on_to_the_bit():
    rng = np.random.default_rng(5)
    ridges = Ridges([0.3, 3.0], length=5, most=4)
    for turn in range(20):
        ridges.learn("ab"[turn % 2], rng.normal(size=5), float(turn))
    again = Ridges([0.3, 3.0], length=5, most=4)
    again.load(*ridges.save(), gone=ridges.gone)
    x = rng.normal(size=5)
    for each in (ridges, again):
        each.learn("a", x, 1.0)
        each.learn("c", x, 2.0)
    assert again.save() == ridges.save()


def test_more_ids_than_it_may_have_are_not_remembered():
    ridges = Ridges([1.0], length=2, most=2)
    for id_ in "abca":
        ridges.learn(id_, np.ones(2), 1.0)
    assert ridges.gone
    assert ridges.save() == ([], b"")
    assert ridges.worths(["a"], np.ones((1, 2))).tolist() == [[0.0]]


def test_one_action_s_worth_has_the_bits_that_it_has_among_questions():
    rng = np.random.default_rng(6)
    ridges = Ridges([0.3, 3.0], length=129, most=4)
    for turn in range(12):
        ridges.learn("ab"[turn % 2], rng.normal(size=129), float(turn))
    x = rng.normal(size=129)
    for id_ in ("a", "never-shown"):
        assert ridges.worth_of(id_, x).tolist() == ridges.worths([id_], x[None])[:, 0].tolist()
