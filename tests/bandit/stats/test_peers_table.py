"""PEERS.md names what there is, for every family of the peers' numbers."""

import json
import re
from pathlib import Path

import bandit.stats
import bandit.stats.sequential

ROWS = [
    line.split(" | ")
    for line in (Path(bandit.stats.__file__).parent / "PEERS.md").read_text().splitlines()
    if line.startswith("| `")
]
DATA = Path(__file__).parents[2] / "data"
OTHERWISE = {"bandit.ope"}
"""In the second column without being a name of statistics."""


def test_every_family_has_one_row():
    named = [family for row in ROWS for family in re.findall(r"`(\w+)`", row[0])]
    assert len(named) == len(set(named))
    files = (DATA / "ab_cases_a.json", DATA / "ab_cases_b.json")
    families = {case["family"] for file in files for case in json.loads(file.read_text())["cases"]}
    assert families <= set(named)


def test_every_name_is_there():
    for row in ROWS:
        for code in re.findall(r"`([^`]+)`", row[1]):
            name = re.match(r"[A-Za-z_]{2}\w*", code)
            if name is None or code in OTHERWISE:
                continue
            assert hasattr(bandit.stats, name[0]) or hasattr(bandit.stats.sequential, name[0]), code
