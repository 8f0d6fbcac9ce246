import ast
from pathlib import Path

import pytest

import bandit.stats

HERE = Path(bandit.stats.__file__).parent
README = (HERE / "README.md").read_text()

# Shared by the room's own modules; nobody else needs them.
HELPERS = {
    "Ends",
    "Part",
    "at",
    "check_power",
    "check_share",
    "critical",
    "critical_value",
    "invert",
    "least_that",
    "log_ends",
    "logged",
    "missing",
    "p_value_of",
    "ranks",
    "rejection_chance",
    "relative_ends",
    "satterthwaite",
    "score_of_ratio",
    "solve",
    "standardised",
    "tail",
    "to_matrix",
}


def public_names(path: Path) -> set[str]:
    nodes = ast.parse(path.read_text()).body
    defined = {n.name for n in nodes if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    return {name for name in defined if not name.startswith("_")}


DEFINED = {
    path.stem: public_names(path) for path in sorted(HERE.glob("*.py")) if path.stem != "__init__"
}


@pytest.mark.parametrize("module", DEFINED)
def test_every_public_name_is_exported(module: str):
    assert DEFINED[module] - HELPERS <= set(bandit.stats.__all__)


def test_all_is_sorted_and_holds_nothing_else():
    names = list(bandit.stats.__all__)
    assert names == sorted(names)
    assert set(names) <= set().union(*DEFINED.values()) - HELPERS
    assert set().union(*DEFINED.values()) >= HELPERS


@pytest.mark.parametrize("name", bandit.stats.__all__)
def test_every_export_is_documented_and_in_the_readme(name: str):
    assert f"`{name}`" in README
    thing = getattr(bandit.stats, name)
    assert name in DEFINED[thing.__module__.removeprefix("bandit.stats.")]
    assert thing.__doc__


def test_no_module_has_the_name_of_what_it_exports():
    # `srm` and `welch` do, from before: importing the module by name would hide the function.
    assert set(DEFINED) & set(bandit.stats.__all__) == {"srm", "welch"}


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 60
