"""Rooms and who may import whom: the table below is the architecture (AST only)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP = ("bandit", "api", "dashboard", "sims")

# A room imports rooms of lower rank only; rooms of one rank do not know each other.
RANK = {
    "bandit": 0,
    "bandit.errors": 0,
    "bandit.logs": 1,
    "bandit.settings": 1,
    "bandit.records": 1,
    "bandit.secrets": 2,
    "bandit.wire": 2,
    "bandit.event_id": 2,
    "bandit.dsjson": 2,
    "bandit.specs": 3,
    "bandit.assign": 4,
    "bandit.policies": 4,
    "bandit.stats": 4,
    "bandit.ope": 4,
    "bandit.store": 5,
    "bandit.journal": 5,
    "bandit.learning": 6,
    "bandit.service": 7,
    "bandit.client": 7,
    "api": 8,
    "dashboard": 8,
    "sims": 8,
    # The composition root starts the edges, so it stands above them.
    "bandit.cli": 9,
    "bandit.__main__": 10,
}
# Where a third-party library may be imported; a library not listed may be used anywhere.
ONLY_IN = {
    "vowpal_wabbit_next": ("bandit/policies/vw.py", "bandit/policies/vw_examples.py"),
    "clickhouse_connect": ("bandit/store/",),
    "chdb": ("bandit/store/gateway/",),
    "litestar": ("api/",),
    "limits": ("api/",),
    "granian": ("bandit/cli/",),
    "prometheus_client": ("api/", "bandit/service/metering"),
    "opentelemetry": ("api/tracing.py",),
    "cel": ("bandit/assign/",),
    "click": ("bandit/cli/",),
    "rich": ("bandit/cli/", "sims/"),
    "httpx": ("bandit/client/", "bandit/cli/", "sims/", "dashboard/"),
    "streamlit": ("dashboard/",),
    "altair": ("dashboard/",),
    "pandas": ("dashboard/", "sims/"),
    "pyarrow": ("sims/", "bandit/ope/", "bandit/store/"),
    "matplotlib": ("sims/", "bandit/cli/evaluate_plot.py"),
    "scipy": ("bandit/stats/", "bandit/ope/", "sims/"),
}
# Only these may read the clock, the environment, ids or entropy of the machine.
COMPOSITION_ROOTS = (
    "bandit/cli/",
    "bandit/__main__.py",
    "api/application.py",
    "dashboard/app.py",
    # A library has no composition root above it but its user's program; this file is its defaults.
    "bandit/client/ambient.py",
)
AMBIENT = {
    "datetime.now",
    "datetime.utcnow",
    "time.time",
    "time.time_ns",
    "os.environ",
    "os.getenv",
    "os.urandom",
    "uuid.uuid4",
    "random.random",
    "secrets.token_bytes",
}

LONGEST = 400
"""Lines of a module; split a longer one by what it is about."""

FILES = [path for top in TOP for path in sorted((ROOT / top).rglob("*.py"))]


def where(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(module: str) -> str:
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "bandit" else parts[0]


def module_of(path: Path) -> str:
    return where(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{where(path)}: relative import"
            assert node.module is not None
            if node.module == "bandit":  # from bandit import errors
                yield from (f"bandit.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", FILES, ids=where)
def test_imports_go_down_only(path: Path) -> None:
    here = room_of(module_of(path))
    assert here in RANK, f"{where(path)} is in no known room"
    for name in imports_of(path):
        if name.split(".")[0] not in TOP:
            continue
        room = room_of(name)
        if room == "bandit.__version__":
            continue
        assert room in RANK, f"{where(path)} imports {name}, which is in no known room"
        assert room == here or RANK[room] < RANK[here], f"{where(path)} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=where)
def test_third_party_libraries_stay_in_their_rooms(path: Path) -> None:
    for name in imports_of(path):
        allowed = ONLY_IN.get(name.split(".")[0])
        assert allowed is None or where(path).startswith(allowed), f"{where(path)} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=where)
def test_clock_ids_entropy_and_environment_come_in_as_arguments(path: Path) -> None:
    if where(path).startswith(COMPOSITION_ROOTS):
        return
    used = {
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
    }
    assert not used & AMBIENT, f"{where(path)} uses {sorted(used & AMBIENT)}"


def test_modules_are_short_enough_to_read() -> None:
    lines = {where(path): path.read_text().count("\n") for path in FILES}
    assert {name: n for name, n in lines.items() if n > LONGEST} == {}


@pytest.mark.parametrize("path", FILES, ids=where)
def test_sql_lives_in_sql_files(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value.split()
            is_sql = len(words) > 3 and words[0] in {
                "SELECT",
                "INSERT",
                "CREATE",
                "ALTER",
                "DELETE",
            }
            assert not is_sql, f"{where(path)}:{node.lineno} holds SQL: {node.value[:60]!r}"
