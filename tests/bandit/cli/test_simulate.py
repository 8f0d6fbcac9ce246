from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import sims.worlds
from bandit.cli.simulate import command
from sims.datasets import DataSetUnavailable
from sims.worlds.base import World


def simulate(*arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments])


def test_simulate_twice_with_one_seed_writes_identical_numbers(tmp_path: Path) -> None:
    for name in ("first", "again"):
        done = simulate(
            *("--world", "synthetic", "--rounds", "120", "--seed", "9"),
            *("--policy", "vw", "--policy", "--epsilon 0.1 -q UA", "--policy", "uniform"),
            *("--out", str(tmp_path / name)),
        )
        assert done.exit_code == 0, done.output
    first, again = ((tmp_path / name / "simulation.json") for name in ("first", "again"))
    assert first.read_bytes() == again.read_bytes()
    assert (tmp_path / "first" / "simulation.png").exists()


def test_simulate_names_the_way_out_when_the_data_can_not_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(cache: Path) -> World:
        raise DataSetUnavailable("pip can not download it")

    monkeypatch.setitem(sims.worlds.WORLDS, "movielens", unreachable)
    done = simulate("--out", str(tmp_path))
    assert done.exit_code == 1
    assert "pip can not download it; --world synthetic needs no data" in done.output


def test_simulate_says_why_a_policy_is_refused(tmp_path: Path) -> None:
    done = simulate("--world", "synthetic", "--policy", "--squarecb --elim", "--out", str(tmp_path))
    assert done.exit_code == 1
    assert "--elim is refused" in done.output


def test_slots_twice_with_one_seed_writes_identical_numbers(tmp_path: Path) -> None:
    sizes = ("--rounds", "20", "--seeds", "2", "--runs", "2", "--run-rounds", "20")
    outputs = []
    for name in ("first", "again"):
        done = simulate("slots", "--seed", "7", *sizes, "--out", str(tmp_path / name))
        assert done.exit_code == 0, done.output
        outputs.append(done.output.replace(name, ""))
    first, again = ((tmp_path / name / "slots.json") for name in ("first", "again"))
    assert first.read_bytes() == again.read_bytes()
    assert outputs[0].splitlines()[:-1] == outputs[1].splitlines()[:-1]
    assert "position bias" in outputs[0]
