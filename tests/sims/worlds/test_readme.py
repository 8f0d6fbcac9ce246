"""The README's tables of worlds and laws are those that there are."""

import re
from pathlib import Path

from sims.worlds import MODIFIERS, WORLDS

README = (Path(__file__).parents[3] / "sims" / "README.md").read_text()


def first_cells(header: str) -> str:
    rows = README.split(header)[1].split("\n\n")[0].splitlines()
    return "\n".join(row.split("|")[1] for row in rows if row.count("|") > 2)


def test_every_world_has_its_row() -> None:
    shown = set(re.findall(r"`([a-z]+)`", first_cells("| world | a round | the truth | needs |")))
    assert shown == set(WORLDS)


def test_every_law_has_its_row() -> None:
    shown = set(re.findall(r"`([a-z]+):", first_cells("| law | what happens |")))
    assert shown == set(MODIFIERS)
