"""`bandit export` and `bandit import` as they are typed."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bandit.dsjson import read_line
from bandit.specs import PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from tests.bandit.logs import T0, LogMaker


@pytest.fixture
def log(store: Store) -> LogMaker:
    log = LogMaker(store)
    definitions = Definitions(store)
    for spec in (
        PolicySpec(key="random", type="uniform"),
        Surface(key="home", policy="random"),
        Surface(key="copy", policy="random"),
    ):
        definitions.put(spec, expected=None, author="test", change_id=spec.key, now_ms=T0)
    for at in range(4):
        log.reward(log.decide(at, unit=f"u{at}", ranking=(at,)), value=at / 4)
    log.deliver()
    return log


@pytest.fixture
def run(store: Store, clickhouse_url: str, tmp_path: Path):  # type: ignore[no-untyped-def]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("BANDIT_")} | {
        "BANDIT_DATA_DIR": str(tmp_path / "data"),
        "BANDIT_CLICKHOUSE_URL": clickhouse_url,
        "BANDIT_CLICKHOUSE_DATABASE": store.database,
    }

    def running(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "bandit", *map(str, arguments)],
            env=environ,
            capture_output=True,
            timeout=60,
            check=False,
        )

    return running


def test_log_goes_out_and_in_again(run, log: LogMaker, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "home.dsjson"
    out = run("export", "home", "--format", "dsjson", "-o", file)
    assert out.returncode == 0, out.stderr
    assert b"4 decisions written, 0 left out that nobody saw" in out.stderr
    assert run("export", "home").stdout == file.read_bytes()

    told = run("import", file, "--surface", "copy")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(b"4 decisions with 4 rewards, 8 rows of them new;")
    assert b" 0 rows of them new" in run("import", file, "--surface", "copy").stdout

    copied = run("export", "copy").stdout.splitlines()
    rewards = [read_line(raw).slots[0].reward for raw in copied]
    assert rewards == [0.0, 0.25, 0.5, 0.75]
    assert {read_line(raw).model for raw in copied} == {"imported@0"}


def test_file_with_a_bad_line_is_not_imported_unless_told_so(  # type: ignore[no-untyped-def]
    run, log: LogMaker, tmp_path: Path
) -> None:
    lines = run("export", "home").stdout.splitlines()
    lines[2] = msgspec.json.encode(msgspec.json.decode(lines[2]) | {"p": []})
    file = tmp_path / "home.dsjson"
    file.write_bytes(b"\n".join(lines))
    refused = run("import", file, "--surface", "copy")
    assert refused.returncode == 1
    assert b"line 3: actions are" in refused.stderr
    assert b"nothing was imported" in refused.stderr
    assert run("export", "copy").stdout == b""
    told = run("import", file, "--surface", "copy", "--skip-bad")
    assert told.returncode == 0
    assert told.stdout.startswith(b"3 decisions with 3 rewards")
    assert told.stdout.rstrip().endswith(b"1 bad ones")


def test_time_is_cut_half_open(run, log: LogMaker) -> None:  # type: ignore[no-untyped-def]
    assert run("export", "home", "--until", "2026-09-21T14:13:20Z").stdout == b""
    since = run("export", "home", "--since", "2026-09-21", "--until", "2026-09-22")
    assert len(since.stdout.splitlines()) == 4


@pytest.mark.parametrize("command", [["export", "nothing"], ["import", __file__, "--surface", "x"]])
def test_surface_must_be_declared(run, log: LogMaker, command: list[str]) -> None:  # type: ignore[no-untyped-def]
    refused = run(*command)
    assert refused.returncode == 1
    assert b"is not declared" in refused.stderr


def test_report_reads_what_was_imported(run, log: LogMaker, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "home.dsjson"
    file.write_bytes(run("export", "home").stdout)
    assert run("import", file, "--surface", "copy").returncode == 0
    told = run("report", "--surface", "copy", "--json")
    assert told.returncode == 0, told.stderr
    rewards = [p for p in msgspec.json.decode(told.stdout)["policies"] if p["policy"] == "imported"]
    assert rewards
