"""The example notebooks: they run, and what is committed with outputs is what they say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sims.notebook import executed, parts_of, run_cell

FOLDER = Path(__file__).parents[2] / "sims" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.py"))


def sources(notebook: dict[str, Any]) -> list[str]:
    return ["".join(cell["source"]) for cell in notebook["cells"]]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_the_committed_one_has_its_cells_and_outputs(path: Path) -> None:
    found = executed(path)
    committed = json.loads(path.with_suffix(".ipynb").read_text())
    again = f"python -m sims.notebook sims/notebooks/{path.name}"
    assert sources(committed) == sources(found), f"it has changed: {again}"
    for ours, theirs in zip(found["cells"], committed["cells"], strict=True):
        kinds = [
            [sorted(output.get("data", ["text"])) for output in cell.get("outputs", [])]
            for cell in (ours, theirs)
        ]
        assert kinds[0] == kinds[1], f"its outputs have changed: {again}"


def test_there_are_two_notebooks_to_begin_with() -> None:
    assert len(NOTEBOOKS) == 2


def test_cells_are_told_apart_and_text_loses_its_signs() -> None:
    text = "import x\n# %% [markdown]\n# # Title\n#\n# words\n\n# %%\na = 1\n\na\n"
    assert [tuple(part) for part in parts_of(text)] == [
        (True, "# Title\n\nwords"),
        (False, "a = 1\n\na"),
    ]


def test_cell_gives_what_it_printed_and_what_its_last_line_is_worth() -> None:
    names: dict[str, Any] = {"np": np}
    printed, shown = run_cell("a = 2\nprint('so')\na + 1", names)
    assert printed["text"] == ["so\n"]
    assert shown["data"] == {"text/plain": ["3"]}
    assert run_cell("b = a", names) == []
    with pytest.raises(ZeroDivisionError):
        run_cell("1 / 0", names)
