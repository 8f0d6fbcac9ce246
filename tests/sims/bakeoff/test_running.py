from pathlib import Path

import pytest

from bandit.errors import BadSpec
from sims.bakeoff import running, worlds
from sims.bakeoff.entries import OURS, contenders_of
from sims.bakeoff.running import Options, bake
from tests.sims.bakeoff.making import table

OPTIONS = Options(("tiny",), policies=("vw", "linucb", "uniform"), seeds=(0, 1), rounds_n=500)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worlds, "_loaded", lambda name, cache: table(200))


def test_it_goes_on_where_it_was_and_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bake(OPTIONS, tmp_path, tmp_path / "cells")

    def never(*_: object) -> None:
        raise AssertionError("a finished cell is run again")

    monkeypatch.setattr("sims.running.runs.run_cell", never)
    again = bake(OPTIONS, tmp_path, tmp_path / "cells")
    for one, other in zip(first.scores, again.scores, strict=True):
        assert one[:3] == other[:3]
        assert one.whole.tolist() == other.whole.tolist()


def test_learning_beats_chance_and_nobody_plays_a_row_twice(tmp_path: Path) -> None:
    found = bake(OPTIONS, tmp_path, None)
    assert running.worlds_of("tiny", OPTIONS, tmp_path)[0].rounds_n == 200
    means = {(s.world, s.policy): s.whole.mean() for s in found.scores}
    assert means["tiny clean", "uniform"] == pytest.approx(1 / 3, abs=0.15)
    assert means["tiny clean", "vw"] > means["tiny clean", "uniform"] + 0.2
    assert means["tiny clean", "linucb"] > means["tiny clean", "uniform"] + 0.2


def test_whole_seeds_are_told_before_the_next_one_is_played(tmp_path: Path) -> None:
    """Whoever stops it has a table: each policy in each world with the same seeds."""
    told: list[set[tuple[int, ...]]] = []
    found = bake(
        OPTIONS, tmp_path, None, finished=lambda p: told.append({s.seeds for s in p.scores})
    )
    assert told == [{(0,)}, {(0, 1)}]
    assert len(found.scores) == 6


def test_a_policy_that_nobody_has_is_refused() -> None:
    with pytest.raises(BadSpec, match=r"policy is 'best', must be one of auto, vw"):
        contenders_of(["best"])


def test_all_of_ours_can_be_served() -> None:
    assert [contender.key for contender in contenders_of(list(OURS))] == list(OURS)
