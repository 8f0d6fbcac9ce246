import numpy as np

from bandit.policies.coordinates import Coordinates
from bandit.policies.features import Features


def features(**values: float) -> Features:
    return Features(tuple(values), tuple(values.values()))


def test_learned_names_have_coordinates_of_their_own_after_the_constant():
    coordinates = Coordinates(most=4)
    coordinates.learn(("a", "b"))
    coordinates.learn(("b", "c", "d"))  # no room for d
    assert coordinates.names == ["a", "b", "c"]
    assert coordinates.vector(features(c=3.0, a=1.0)).tolist() == [1.0, 1.0, 0.0, 3.0]


def test_a_name_that_nobody_learned_counts_for_nothing_while_there_is_room():
    coordinates = Coordinates(most=4)
    coordinates.learn(("a",))
    assert coordinates.vector(features(new=5.0, a=2.0)).tolist() == [1.0, 2.0]


def test_names_beyond_the_room_share_coordinates_by_hash_with_both_signs():
    coordinates = Coordinates(most=9, names=[f"own{i}" for i in range(8)])
    places = [coordinates.vector(features(**{f"late{i}": 1.0})) for i in range(400)]
    entered = np.array(places)[:, 1:]
    assert (np.abs(entered).sum(axis=1) == 1.0).all()
    # 400 names over 16 places and signs: 25 each, sd 4.8
    counts = np.concatenate([(entered == 1.0).sum(axis=0), (entered == -1.0).sum(axis=0)])
    assert counts.sum() == 400
    assert 25 - 4.4 * 4.8 < counts.min() <= counts.max() < 25 + 4.4 * 4.8


def test_hashes_are_the_published_ones():
    """By `printf hour | b2sum --length 64`: …3d, so the sign is + and the place 1 + 0x1e mod 4."""
    coordinates = Coordinates(most=5, names=["a", "b", "c", "d"])
    assert coordinates.vector(features(hour=2.0)).tolist() == [1.0, 0.0, 0.0, 2.0, 0.0]


def test_a_repeated_name_adds_up():
    coordinates = Coordinates(most=3, names=["tag=go"])
    twice = Features(("tag=go", "tag=go"), (1.0, 1.0))
    assert coordinates.vector(twice).tolist() == [1.0, 2.0]
