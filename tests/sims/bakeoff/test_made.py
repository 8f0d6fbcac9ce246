"""Data that nobody tidied up: no default may fail on it, whatever it learns."""

from itertools import islice

import numpy as np
import pytest

from sims.bakeoff.data import Row, Table
from sims.bakeoff.entries import OURS
from sims.bakeoff.made import MADE
from sims.bakeoff.worlds import TableWorld
from sims.learners import contender_of
from sims.running.playing import Game, Timing

FIRST_N = 220
"""Edges, means and sds are frozen after 200 lessons."""


def some(name: str, n: int = 300) -> list[Row]:
    return list(islice(MADE[name](), n))


@pytest.mark.parametrize("name", MADE)
def test_rows_have_something_right_and_are_the_same_each_time(name: str) -> None:
    rows = some(name, 30)
    assert rows == some(name, 30)
    assert all(len(row.right) == len(row.actions) for row in rows)
    assert 0.0 < np.mean([max(row.right) for row in rows]) <= 1.0


def everything_at_once() -> Table:
    """A row of each kind in turn: names, units, freaks and actions of all of them."""
    kinds = [some(name, FIRST_N // len(MADE)) for name in MADE]
    return Table("all", "made", [row for rows in zip(*kinds, strict=True) for row in rows])


@pytest.mark.parametrize("key", OURS)
def test_no_default_fails_on_all_of_them_together(key: str) -> None:
    world = TableWorld(everything_at_once(), "clicks", rounds_n=FIRST_N)
    game = Game(world, contender_of(OURS[key]), 0, Timing())
    for _ in range(FIRST_N):
        game.step()  # its draw refuses what is no distribution
    for row in some("scales", 3) + some("freaks", 3):
        this = next(TableWorld(Table("one", "", [row]), "clean").rounds(np.random.default_rng(0)))
        pmf = np.array(game.learner.pmf(this))
        assert np.isfinite(pmf).all()
        assert pmf.min() > 0.0
