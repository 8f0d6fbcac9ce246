"""Notebooks as Python files (`# %%` cells): run, and written with their outputs as `.ipynb`.

`python -m sims.notebook sims/notebooks/*.py` runs each and writes the `.ipynb` beside it. No
Jupyter is needed for that; `jupytext --to notebook` reads the same files.
"""

import ast
import base64
import contextlib
import io
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from sims.pictures import png

MARK = "# %%"
TEXT = "# %% [markdown]"


class Part(NamedTuple):
    """One cell.

    Attributes:
        is_text: Markdown, without its comment signs.
        source: As written.
    """

    is_text: bool
    source: str


def parts_of(text: str) -> Iterator[Part]:
    """The cells of a file; what stands before the first is none."""
    for block in ("\n" + text).split("\n" + MARK)[1:]:
        first, _, rest = block.partition("\n")
        is_text = (MARK + first).startswith(TEXT)
        source = rest.strip("\n")
        if is_text:
            lines = [line.removeprefix("#").removeprefix(" ") for line in source.splitlines()]
            source = "\n".join(lines)
        yield Part(is_text, source)


def executed(path: Path) -> dict[str, Any]:
    """A notebook with its outputs, in Jupyter's format 4.5.

    Raises:
        Exception: Whatever a cell raises.
    """
    module = types.ModuleType(path.stem)
    sys.modules[path.stem] = module  # classes of a notebook are looked up in it
    cells = []
    try:
        for number, part in enumerate(parts_of(path.read_text())):
            cell: dict[str, Any] = {"id": f"cell-{number}", "metadata": {}}
            cell["source"] = part.source.splitlines(keepends=True)
            if part.is_text:
                cell["cell_type"] = "markdown"
            else:
                outputs = run_cell(part.source, vars(module))
                cell |= {"cell_type": "code", "execution_count": None, "outputs": outputs}
            cells.append(cell)
    finally:
        del sys.modules[path.stem]
    return {
        "cells": cells,
        "metadata": {"language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def run_cell(source: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a cell; what it printed, and what its last line is worth."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), names)  # noqa: S102 (our own notebooks)
        value = None
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)  # noqa: S307
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        lines = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": lines})
    if value is not None:
        shown: dict[str, Any] = {
            "output_type": "execute_result",
            "execution_count": None,
            "metadata": {},
        }
        outputs.append({**shown, "data": shown_as(value)})
    return outputs


def shown_as(value: object) -> dict[str, Any]:
    """What a notebook shows of a value, by MIME type."""
    data: dict[str, Any] = {"text/plain": repr(value).splitlines(keepends=True)}
    if isinstance(value, Figure):
        data["image/png"] = base64.b64encode(png(value)).decode()
    elif hasattr(value, "_repr_html_"):
        data["text/html"] = value._repr_html_().splitlines(keepends=True)
    return data


def main(paths: list[str]) -> None:
    """Run notebooks and write them with their outputs."""
    for name in paths:
        path = Path(name)
        content = json.dumps(executed(path), indent=1, ensure_ascii=False)
        path.with_suffix(".ipynb").write_text(content + "\n")
        print(path.with_suffix(".ipynb"))


if __name__ == "__main__":
    main(sys.argv[1:])
