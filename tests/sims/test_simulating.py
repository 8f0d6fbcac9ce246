"""`sims.run` and what it gives back."""

import re
from pathlib import Path

import msgspec
import pytest

import sims
from bandit.errors import BadSpec, RecordError
from bandit.service.simulations import load, runs
from bandit.specs import PolicySpec
from sims.results import Result
from sims.worlds import from_arrays
from sims.worlds.base import World

WORLDS = ["linear", "linear+abrupt:50"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("data")
    policies = ["uniform", "lints", 'linear {"scale": 0.2}']
    result = sims.run(WORLDS, policies, n=150, seeds=4, data_dir=folder, name="<b>two worlds</b>")
    return folder, result


def test_result_prints_a_table_for_each_world(saved: tuple[Path, Result]) -> None:
    said = repr(saved[1])
    assert "linear+abrupt:50: 150 rounds, 4 seeds" in said
    assert said.count("linear-3") == 2
    assert "vs uniform" in said
    assert len({len(line) for line in said.split("\n\n")[0].splitlines()[1:]}) == 1


def test_result_is_data_frames_and_figures(saved: tuple[Path, Result]) -> None:
    result = saved[1]
    frame = result.to_pandas()
    assert len(frame) == 2 * 3 * 4 * 100
    ends = frame[frame.rounds_n == 150].groupby(["world", "policy"], observed=True).reward.mean()
    table = result.table().set_index(["world", "policy"])
    assert {key: pytest.approx(value / 150) for key, value in ends.items()} == dict(table.reward)
    assert set(result.pairs().verdict) <= {"wins", "loses", "open"}
    left, right = result.plot("linear+abrupt:50").axes
    assert [len(axes.lines) for axes in (left, right)] == [3, 3]
    assert len(left.collections) == 3  # a band for each
    with pytest.raises(RecordError, match="world is 'nowhere', must be one of linear, "):
        result.plot("nowhere")


def test_saved_run_is_found_by_pages_and_is_what_was_printed(
    saved: tuple[Path, Result],
) -> None:
    folder, result = saved
    [head] = runs(folder).runs
    assert head.name == "<b>two worlds</b>"
    assert load(folder, head.id) == result.run
    files = {path.name for path in (folder / "simulations" / head.id).iterdir()}
    assert files == {"run.json", "cells", *result.run.files}
    assert {"1-linear.png", "2-linear-abrupt-50.png"} <= files


def test_page_needs_nothing_else_and_believes_no_name(saved: tuple[Path, Result]) -> None:
    folder, result = saved
    page = (folder / "simulations" / result.run.id / "report.html").read_text()
    assert "<b>two worlds</b>" not in page
    assert "&lt;b&gt;two worlds" in page
    assert page.count("data:image/png;base64,") == 2
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "<img" not in result._repr_html_()
    assert "<table>" in result._repr_html_()


def test_equal_run_is_read_and_not_run_again(saved: tuple[Path, Result]) -> None:
    folder, result = saved
    told: list[tuple[int, int]] = []
    again = sims.run(
        WORLDS,
        ["uniform", "lints", 'linear {"scale": 0.2}'],
        n=150,
        seeds=4,
        data_dir=folder,
        name="<b>two worlds</b>",
        watch=lambda *done: told.append(done),
    )
    assert told[-1] == (3600, 3600)
    assert len(told) == 6  # once a cell: none was stepped through
    assert again.run.finals == result.run.finals


def test_world_of_own_arrays_and_declared_policy_need_no_names() -> None:
    world: World = from_arrays([[0.0], [1.0]] * 20, [0, 1] * 20, name="mine")
    spec = PolicySpec(key="u", type="uniform")
    result = sims.run(world, spec, n=30, seeds=[5])
    assert [(f.world, f.policy) for f in result.run.finals] == [("mine", "u")]
    assert result.run.options.seeds == [5]
    assert msgspec.json.decode(result.run.policies[0].what) == {"type": "uniform"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"reference": "best"}, "reference is 'best', must be one of uniform"),
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"workers": 0}, "workers is 0"),
        ({"seeds": 0}, "there are no seeds"),
        ({"n": 0}, "rounds_n is 0"),
        ({"policies": ["uniform", "uniform"]}, "policies hold 'uniform' more than once"),
        ({"worlds": "nowhere"}, "world is 'nowhere'"),
        ({"delay_n": -1}, "delay_n is -1"),
    ],
)
def test_what_can_not_be_run_is_refused_before_it_runs(given: dict[str, object], said: str) -> None:
    usual: dict[str, object] = {"worlds": "linear", "policies": "uniform", "n": 10, "seeds": 1}
    with pytest.raises(RecordError, match=said):
        sims.run(**(usual | given))


def test_policy_that_could_not_be_served_is_refused() -> None:
    with pytest.raises(BadSpec, match="--elim is refused"):
        sims.run("linear", "--squarecb --elim", n=10, seeds=1)


def test_package_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'runs'"):
        _ = sims.runs
