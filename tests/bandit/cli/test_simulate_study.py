"""`bandit simulate` with several worlds or seeds."""

import contextlib
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import sims.simulating
from bandit.cli.simulate import command
from bandit.service.simulations import load, runs

SMALL = ("--world", "linear", "--world", "linear+late:5", "--rounds", "40", "--seeds", "3")
ONE = SMALL[2:]  # "linear+late:5" alone
POLICIES = ("--policy", "linear", "--policy", "popularity", "--policy", "lints")


def simulate(data_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments], env={"BANDIT_DATA_DIR": str(data_dir)})


def curves(data_dir: Path) -> bytes:
    [path] = data_dir.glob("simulations/*/curves.parquet")
    return path.read_bytes()


def test_several_worlds_and_seeds_are_printed_and_saved_for_the_dashboard(tmp_path: Path) -> None:
    done = simulate(
        tmp_path,
        *SMALL,
        *POLICIES,
        *("--seed", "7", "--join", "8", "--name", "two", "--reference", "popularity"),
        *("--out", str(tmp_path / "out")),
    )
    assert done.exit_code == 0, done.output
    assert "linear+late:5: 40 rounds, 3 seeds" in done.output
    assert "vs popularity" in done.output
    [head] = runs(tmp_path).runs
    run = load(tmp_path, head.id)
    assert (run.name, run.reference, run.options.join_n) == ("two", "popularity", 8)
    assert run.options.seeds == [7, 8, 9]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"run.json", *run.files}


def test_dask_writes_the_bytes_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Client(contextlib.nullcontext):  # what we use of `distributed.Client`
        def __init__(self, address: str) -> None:
            assert address == "tcp://scheduler:8786"
            super().__init__(self)

        def get_executor(self) -> ThreadPoolExecutor:
            return ThreadPoolExecutor(2)

        def ncores(self) -> dict[str, int]:
            return {"tcp://one": 1, "tcp://two": 1}

    monkeypatch.setitem(sys.modules, "distributed", types.SimpleNamespace(Client=Client))
    for name, more in (("dask", ("--dask", "tcp://scheduler:8786")), ("alone", ("--workers", "1"))):
        done = simulate(tmp_path / name, *ONE, *POLICIES, *more)
        assert done.exit_code == 0, done.output
    assert curves(tmp_path / "dask") == curves(tmp_path / "alone")
    monkeypatch.setitem(sys.modules, "distributed", None)
    without = simulate(tmp_path, *SMALL, "--dask", "tcp://scheduler:8786")
    assert without.exit_code == 1
    assert "pip install bandit-service[dask]" in without.output


def test_finished_cells_are_kept_by_resume_and_thrown_away_without(tmp_path: Path) -> None:
    def times() -> list[int]:
        cells = sorted(tmp_path.glob("simulations/*/cells/*.parquet"))
        return [path.stat().st_mtime_ns for path in cells]

    seen = []
    for more in ((), ("--resume",), ()):
        assert simulate(tmp_path, *ONE, *POLICIES, *more).exit_code == 0
        seen.append(times())
    assert seen[0] == seen[1] != seen[2]


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sims.simulating, "run_plan", stopped)
    done = simulate(tmp_path, *SMALL, *POLICIES)
    assert done.exit_code == 130
    assert "the same with --resume goes on" in done.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--world", "linear+luck"), "law is 'luck', must be one of"),
        (("--world", "linear", "--policy", 'linear {"scale": "x"}'), "Expected `float`"),
        (("--world", "linear", "--policy", "linucb {"), "parameters of linucb"),
        (("--world", "synthetic", "--policy", "linucb"), "needs a world of batches"),
        (("--world", "linear", "--reference", "best"), "reference is 'best'"),
    ],
)
def test_what_can_not_be_run_is_said(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    done = simulate(tmp_path, *options, "--seeds", "2", "--rounds", "5")
    assert done.exit_code == 1
    assert said in done.output
