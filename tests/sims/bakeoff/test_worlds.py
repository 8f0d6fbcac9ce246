from itertools import islice

import msgspec
import numpy as np
import pytest

from sims.bakeoff.worlds import TableWorld, bucketed, has_numbers
from sims.worlds.base import Round
from tests.sims.bakeoff.making import table


def rounds(world: TableWorld, n: int, seed: int = 1) -> list[Round]:
    return list(islice(world.rounds(np.random.default_rng(seed)), n))


def test_each_row_comes_once_before_any_comes_again() -> None:
    units = [this.unit_id for this in rounds(TableWorld(table(), "clean"), 120)]
    assert len(set(units[:60])) == len(set(units[60:])) == 60
    assert units[:60] != units[60:]


def test_clean_labels_pay_what_is_right() -> None:
    for this in rounds(TableWorld(table(), "clean"), 10):
        letter = msgspec.json.decode(this.context)["letter"]
        assert this.rewards == this.expected == tuple(float(a.id == letter) for a in this.actions)


def test_clicks_come_as_often_as_their_mean_says() -> None:
    found = rounds(TableWorld(table(), "clicks"), 6_000)
    assert sorted({p for this in found for p in this.expected}) == pytest.approx([0.02, 0.10])
    right = np.mean([this.rewards[this.expected.index(max(this.expected))] for this in found])
    assert abs(right - 0.10) < 4.4 * np.sqrt(0.10 * 0.90 / 6_000)


def test_drift_moves_what_is_right_to_the_next_action_each_third() -> None:
    world = TableWorld(table(), "drift", rounds_n=90)
    found = rounds(world, 90)
    for number, this in enumerate(found):
        letter = msgspec.json.decode(this.context)["letter"]
        shift = number // 30
        assert this.rewards.index(1.0) == ("xyz".index(letter) + shift) % 3


def test_bucketed_numbers_are_fifths_as_texts() -> None:
    assert has_numbers(table())
    found = [msgspec.json.decode(row.context)["number"] for row in bucketed(table().rows)]
    assert [found.count(f"#{fifth}") for fifth in range(5)] == [12] * 5


def test_a_table_of_more_than_is_offered_draws_some_of_it() -> None:
    world = TableWorld(table()._replace(offered_n=2), "clean")
    for this in rounds(world, 10):
        assert len(this.actions) == len(this.rewards) == 2
        letter = msgspec.json.decode(this.context)["letter"]
        assert this.rewards == tuple(float(a.id == letter) for a in this.actions)
