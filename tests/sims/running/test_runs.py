"""Runs: the same bytes on any number of workers, and after a kill."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest

import sims
from bandit.errors import BadSpec, RecordError
from bandit.specs import PolicySpec
from sims.learners import Contender
from sims.policies import policy_of
from sims.running.cells import as_parquet
from sims.running.plan import Plan, plan_of
from sims.running.runs import WorkerDied, processes, run_plan
from sims.worlds.base import Round
from sims.worlds.formulas import FormulaWorld
from sims.worlds.synthetic import SyntheticWorld
from tests.until import until


@pytest.fixture(scope="module")
def asked() -> Plan:
    """Two worlds, one of which has no batches, and a policy of each kind."""
    specs = [policy_of(text, 1) for text in ("popularity", "vw")]
    return plan_of([FormulaWorld(), SyntheticWorld()], specs, rounds_n=60, seeds=[1, 2, 3])


@pytest.fixture(scope="module")
def alone(asked: Plan) -> bytes:
    """Its rows when nothing disturbed it, in one process."""
    return as_parquet(run_plan(asked, None)[0])


def curves(data_dir: Path) -> bytes:
    [path] = data_dir.glob("simulations/*/curves.parquet")
    return path.read_bytes()


def cells(data_dir: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in data_dir.rglob("cells/*.parquet")}


def test_two_processes_write_the_bytes_of_one(asked: Plan, alone: bytes, tmp_path: Path) -> None:
    with processes(2) as executor:
        rows, seconds = run_plan(asked, tmp_path, executor=executor, workers_n=2)
    assert as_parquet(rows) == alone
    assert seconds.keys() == {cell.digest for cell in asked.cells}


def test_any_executor_writes_the_same_bytes(asked: Plan, alone: bytes) -> None:
    with ThreadPoolExecutor(3) as executor:
        rows, _ = run_plan(asked, None, executor=executor, workers_n=3)
    assert as_parquet(rows) == alone


def test_torn_cells_are_run_again_and_no_others(asked: Plan, alone: bytes, tmp_path: Path) -> None:
    run_plan(asked, tmp_path)
    first, second, *_ = sorted(tmp_path.glob("cells/*.parquet"))
    first.write_bytes(first.read_bytes()[:50])
    second.write_bytes(b"")
    before = cells(tmp_path)
    assert as_parquet(run_plan(asked, tmp_path)[0]) == alone
    after = cells(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {first.name, second.name}


@pytest.mark.acceptance
def test_killed_run_goes_on_with_its_finished_cells_to_the_same_bytes(tmp_path: Path) -> None:
    options = "simulate --world linear --policy popularity --policy vw --seeds 4 --rounds 600"
    command = [sys.executable, "-m", "bandit", *options.split(), "--workers", "1"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    with subprocess.Popen(
        command, env={**os.environ, "BANDIT_DATA_DIR": str(broken)}, stdout=subprocess.DEVNULL
    ) as process:
        until(
            lambda: len(cells(broken)) >= 2 or process.poll() is not None,
            "a run with two finished cells",
            within_s=120.0,
        )
        process.send_signal(signal.SIGKILL)
    finished = cells(broken)
    assert len(finished) >= 2
    for data_dir in (whole, broken):
        sims.run("linear", ("popularity", "vw"), n=600, seeds=4, workers=1, data_dir=data_dir)
    assert curves(broken) == curves(whole)
    assert len(cells(broken)) == 5
    assert {name: cells(broken)[name] for name in finished} == finished


def test_run_that_is_not_to_resume_begins_anew(tmp_path: Path) -> None:
    sims.run("linear", "popularity", n=20, seeds=2, data_dir=tmp_path)
    before = cells(tmp_path)
    sims.run("linear", "popularity", n=20, seeds=2, data_dir=tmp_path, resume=False)
    after = cells(tmp_path)
    assert before.keys() == after.keys()
    assert before != after


def test_more_seeds_leave_those_of_before_as_they_were() -> None:
    few, many = (sims.run("linear", "linear", n=100, seeds=n).to_pandas() for n in (2, 4))
    assert few.equals(many[many.seed <= 2].astype({"world": few.world.dtype}))


def test_executor_is_handed_few_cells_at_a_time() -> None:
    made = plan_of([FormulaWorld()], [Silent()], rounds_n=2, seeds=range(30))
    under_way = most = 0

    class Counting(ThreadPoolExecutor):
        def submit(self, *args, **kwargs):  # type: ignore[no-untyped-def]
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            future = super().submit(*args, **kwargs)
            future.add_done_callback(lambda _: done())
            return future

    def done() -> None:
        nonlocal under_way
        under_way -= 1

    with Counting(1) as executor:
        run_plan(made, None, executor=executor, workers_n=1)
    assert most <= 2


class Silent:
    """A contender that only the scalar path can run."""

    key = "silent"

    def learner(self, world: object, seed: int) -> "Silent":
        return self

    def pmf(self, this: Round) -> list[float]:
        return [1.0 / len(this.actions)] * len(this.actions)

    def learn(self, this: Round, drawn: int, propensity: float, reward: float) -> None:
        pass

    def __repr__(self) -> str:
        return "Silent()"


def test_plans_that_differ_in_anything_share_no_cell() -> None:
    def digests(contender: Contender, world: FormulaWorld, rounds_n: int) -> set[str]:
        made = plan_of([world], [contender], rounds_n=rounds_n, seeds=[1])
        return {cell.digest for cell in made.cells}

    class Loud(Silent):
        def __repr__(self) -> str:
            return "Loud()"

    every = [
        digests(Silent(), FormulaWorld(), 10),
        digests(Loud(), FormulaWorld(), 10),
        digests(Silent(), FormulaWorld(seed=2), 10),
        digests(Silent(), FormulaWorld(), 11),
    ]
    assert len(set.union(*every)) == 4
    assert every[0] == digests(Silent(), FormulaWorld(), 10)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rounds_n": 0}, "rounds_n is 0"),
        ({"seeds": []}, "there are no seeds"),
        ({"seeds": [1, 1]}, "seeds hold '1' more than once"),
        ({"seeds": [-1]}, "seeds hold -1"),
        ({"worlds": []}, "there are no worlds"),
        ({"policies": [Silent(), Silent()]}, "policies hold 'silent' more than once"),
    ],
)
def test_plan_that_can_not_be_run_is_refused(given: dict[str, object], said: str) -> None:
    usual: dict[str, object] = {
        "worlds": [FormulaWorld()], "policies": [Silent()], "rounds_n": 2, "seeds": [1],
    }  # fmt: skip
    with pytest.raises(RecordError, match=said):
        plan_of(**(usual | given))  # type: ignore[arg-type]


def test_refusal_in_another_process_says_what_it_says_here() -> None:
    spec = PolicySpec(key="u", type="uniform", floor=0.5)
    made = plan_of([FormulaWorld()], [spec], rounds_n=2, seeds=[1])
    with ThreadPoolExecutor(1) as executor, pytest.raises(RecordError, match="for 10 actions"):
        run_plan(made, None, executor=executor)


def test_executor_that_lost_a_process_is_told_from_a_refusal() -> None:
    class Broken(ThreadPoolExecutor):
        def submit(self, *args, **kwargs):  # type: ignore[no-untyped-def]
            raise BrokenProcessPool

    made = plan_of([FormulaWorld()], [Silent()], rounds_n=2, seeds=[1])
    with Broken(1) as executor, pytest.raises(WorkerDied, match="run it again to go on"):
        run_plan(made, None, executor=executor)


def test_world_that_no_process_can_be_sent_is_refused_with_the_way_out() -> None:
    class Local(FormulaWorld):
        pass

    made = plan_of([Local()], [Silent()], rounds_n=2, seeds=[1])
    with processes(2) as executor, pytest.raises(BadSpec, match="run with one worker"):
        run_plan(made, None, executor=executor, workers_n=2)


def test_equal_tables_are_equal_files(tmp_path: Path) -> None:
    rows = sims.run("linear", "uniform", n=5, seeds=1).rows
    assert as_parquet(rows) == as_parquet(rows.slice(0))
    assert np.all(np.diff(rows.column("rounds_n").to_numpy()) == 1)
