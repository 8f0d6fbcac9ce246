"""Truths that change: what drift and cold start are studied in."""

import numpy as np
import pytest

from sims.scenarios import cold_start, drift
from sims.scenarios.segments import Played, play, policy


def test_every_segment_gets_another_best_action() -> None:
    for seed in range(20):
        change = drift.Change.of(np.random.default_rng(seed))
        before, after = change.at(drift.BEFORE_N - 1), change.at(drift.BEFORE_N)
        assert (before.argmax(axis=1) != after.argmax(axis=1)).all()
        assert sorted(before.ravel()) == sorted(after.ravel())


def test_new_action_comes_in_its_round_and_is_liked_by_its_likers() -> None:
    arrival = cold_start.Arrival.of(np.random.default_rng(1), good=0.9)
    old, new = arrival.at(cold_start.BEFORE_N - 1), arrival.at(cold_start.BEFORE_N)
    assert new.shape[1] == old.shape[1] + 1
    np.testing.assert_array_equal(new[:, :-1], old)
    best = new.argmax(axis=1) == old.shape[1]
    assert best.tolist() == [segment < cold_start.LIKERS_N for segment in range(len(new))]


def test_what_is_not_on_offer_has_no_probability_and_all_others_have_the_floor() -> None:
    table = np.array([[0.5, 0.2]]), np.array([[0.5, 0.2, 0.9]])
    played = play(policy("p", floor=0.05), lambda t: table[t >= 20], np.random.default_rng(3), 40)
    assert (played.pmfs[:20, 2] == 0.0).all()
    assert (played.pmfs[20:] >= 0.05 - 1e-9).all()
    np.testing.assert_allclose(played.pmfs.sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(
        played.expected[20:], played.pmfs[20:] @ np.array([0.5, 0.2, 0.9]), atol=1e-12
    )


def test_shares_compare_likers_and_others_with_what_they_had() -> None:
    n, before = cold_start.BEFORE_N + cold_start.AFTER_N, cold_start.BEFORE_N
    segments = np.arange(n) % cold_start.SEGMENTS_N
    likes, is_new = segments < cold_start.LIKERS_N, np.arange(n) >= before
    pmfs = np.zeros((n, 2))
    pmfs[:, 1] = np.where(is_new, np.where(likes, 0.8, 0.1), 0.0)
    pmfs[before : before + 100, 1] = 0.02  # half of its likers' exposure after a hundred rounds
    expected = np.where(is_new & likes, 0.9, 0.6)
    least, rounds_n, share, mine, others = cold_start.shares(Played(segments, pmfs, expected))
    assert (least, share) == (0.02, 0.8)
    assert 80 <= rounds_n <= 120
    assert (mine, others) == (pytest.approx(1.5), pytest.approx(1.0))
