"""sims/README.md names only commands and scenarios that exist, and every promise has its row."""

import re
import shlex
from pathlib import Path

import click
import pytest

from bandit.cli import main
from sims.scenarios import SCENARIOS

TEXT = (Path(__file__).parents[2] / "sims" / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| (`bandit [^|]+`) \|$", TEXT, re.MULTILINE)
COMMANDS = sorted({line for _, _, cell in ROWS for line in re.findall(r"`(bandit [^`]+)`", cell)})
SHOWN = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("bandit ")
]
PROMISES = (
    "false positives",
    "coverage",
    "power",
    "regret",
    "unbiased slots",
    "fraud resistance",
    "drift recovery",
    "cold start",
    "closed loop",
    "capacity",
)


@pytest.mark.parametrize("promise", PROMISES)
def test_promise_has_a_row_with_a_figure_and_a_command(promise: str) -> None:
    rows = [row for row in ROWS if f"**{promise}**" in row[0].lower()]
    assert len(rows) == 1
    assert all(cell.strip() for cell in rows[0])


def test_every_scenario_is_in_a_row() -> None:
    named = {word for line in COMMANDS for word in line.split()[3:]}
    assert {one.name for one in SCENARIOS} <= named


@pytest.mark.parametrize("line", sorted({*COMMANDS, *SHOWN}))
def test_command_exists_with_every_option_and_name_that_is_written(line: str) -> None:
    words = shlex.split(line)[1:]
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"{line}: no command {words[0]!r}"
        command, words = found, words[1:]
    options = {opt for param in command.params for opt in (*param.opts, *param.secondary_opts)}
    # What has a blank is an option's value, Vowpal Wabbit's own options say.
    assert {word for word in words if word.startswith("--") and " " not in word} <= options
    if command.name == "scenarios":
        names = {word for word in words if not word.startswith("-") and not word.isdigit()}
        assert names <= {one.name for one in SCENARIOS}
