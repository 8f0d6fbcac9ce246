"""Each adapter learns a table that a child could; a library that is not installed is skipped."""

import numpy as np
import pytest

from sims.bakeoff.worlds import TableWorld
from sims.peers import PEERS, PeerMissing
from sims.peers.numbers import MOST_ARMS, Arms, Numbers, library
from sims.running.playing import Game, Timing, play
from sims.worlds.base import Round
from tests.sims.bakeoff.making import ACTIONS, table

LIBRARIES = {
    "mabwiser": "mabwiser.mab",
    "contextualbandits": "contextualbandits.online",
    "river": "river.bandit",
    "coba": "coba.learners",
}

# River's bounds become NaN after a few lessons (its regression's variance is below 0), so what it
# learned is hardly asked for: it only has to get to the end.
LEAST = {"river-linucb": 0.2}


@pytest.mark.parametrize("key", PEERS)
# What these libraries warn of at import is theirs.
@pytest.mark.filterwarnings("ignore")
def test_learns_and_beats_chance(key: str) -> None:
    name = key.partition("-")[0]
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name], exc_type=ImportError)
    rounds_n = 150
    sums = play(Game(TableWorld(table(), "clean"), PEERS[key], 0, Timing()), rounds_n)
    assert sums[-1, 1] / rounds_n > LEAST.get(key, 0.42)


def test_a_library_that_is_missing_is_named_with_what_to_install() -> None:
    with pytest.raises(PeerMissing, match=r"pip install 'bandit-service\[bakeoff\]'"):
        library("no_such_library")


def test_fixed_arms_are_refused_where_there_are_too_many() -> None:
    world = TableWorld(table(), "clean")
    world.actions_n = MOST_ARMS + 1
    pytest.importorskip("mabwiser.mab")
    with pytest.raises(PeerMissing, match="at most 64, and here are 65"):
        PEERS["mabwiser-linucb"].learner(world, 1)


def test_features_of_what_is_offered_are_in_the_vector() -> None:
    plain = Round(unit_id="u", context=b"{}", actions=ACTIONS[:1], rewards=(1.0,), expected=(1.0,))
    numbers, arms = Numbers(most=4), Arms()
    assert np.flatnonzero(numbers.of(plain)).tolist() == [0]
    assert arms.of(plain) == [0]
    assert np.flatnonzero(numbers.vector(b'{"offered":{"x":{"topic":"go"}}}')).tolist() == [0, 1]
