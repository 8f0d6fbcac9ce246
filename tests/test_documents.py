"""What the documents name exists: files, headings, tests, commands with their options."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bandit.cli import main

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    *sorted(
        path for top in ("bandit", "api", "dashboard", "sims", "tests")
        for path in (ROOT / top).rglob("*.md")
    ),
]  # fmt: skip
TESTS = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|`|\$ )bandit ([a-z][^`\n#]*)", re.MULTILINE)


def where(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(path: Path) -> set[str]:
    """Of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", each.strip().lower()) for each in headings)
    return {re.sub(r"[^\w\- ]", "", each).replace(" ", "-") for each in plain}


@pytest.mark.parametrize("document", DOCUMENTS, ids=where)
def test_links_lead_somewhere(document: Path) -> None:
    for link in LINK.findall(document.read_text()):
        if re.match(r"https?:|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name) if name else document
        assert target.exists(), f"{where(document)} links {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{where(document)} links {link}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=where)
def test_tests_that_hold_a_promise_exist(document: Path) -> None:
    text = document.read_text()
    for path in re.findall(r"tests/[\w/]+\.py", text):
        assert (ROOT / path).exists(), f"{where(document)} names {path}"
    for name in re.findall(r"\btest_\w+\.py", text):
        assert name in TESTS, f"{where(document)} names {name}"


def commands(words: list[str]) -> Iterator[click.Command]:
    """The command that words begin with, and those that it is under."""
    found: click.Command = main
    for word in words:
        if not isinstance(found, click.Group) or word.startswith("-"):
            return
        below = found.get_command(click.Context(found), word)
        if below is None:
            assert found is not main, f"there is no command {word}"
            return
        found = below
        yield found


@pytest.mark.parametrize("document", DOCUMENTS, ids=where)
def test_commands_have_the_options_that_are_shown(document: Path) -> None:
    for line in COMMAND.findall(document.read_text()):
        known = {"--help"}
        for command in commands(line.split()):
            for parameter in command.params:
                known.update([*parameter.opts, *parameter.secondary_opts])
        shown = set(re.findall(r"(?<![\w'-])--[a-z][\w-]*", line.split("'")[0]))
        assert shown <= known, f"{where(document)} shows `bandit {line}`"
