"""`bandit evaluate` over a real store."""

import contextlib
import csv
import io
import re
import signal
import subprocess
import sys
import types
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from bandit.cli.evaluate import command
from bandit.service.evaluating_results import EvaluationRun
from bandit.store.client import Store
from bandit.store.migrations import migrate
from tests.bandit.service.making_logs import Log
from tests.conftest import Gateway
from tests.until import until

N = 600
SPECS = """
[candidates.learned]
type = "vw"
arguments = "--epsilon 0.1 -q UA"
floor = 0.01

[candidates.order]
type = "fixed"
"""
SEARCH = """
[search.vw]
type = "vw"
floor = 0.01
arguments = "--epsilon {epsilon} -q UA"
choices.epsilon = [0.1, 0.9]
"""


@pytest.fixture(scope="module")
def environ(gateway: Gateway) -> Iterator[dict[str, str]]:
    """Of a process that uses a store with a minute of traffic."""
    database = f"evaluate_{uuid.uuid4().hex}"
    store = Store.connect(gateway.url(), database=database)
    migrate(store)
    Log(N).store(store)
    yield {
        "BANDIT_DATA_DIR": str(gateway.data_dir),
        "BANDIT_GATEWAY_PORT": str(gateway.port),
        "BANDIT_CLICKHOUSE_DATABASE": database,
    }
    store.close()


@pytest.fixture
def specs(tmp_path: Path) -> str:
    path = tmp_path / "specs.toml"
    path.write_text(SPECS)
    return str(path)


def evaluate(environ: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, env=environ)


def test_the_table_tells_who_would_have_earned_more(environ: dict[str, str], specs: str) -> None:
    found = evaluate(environ, "home", "--policies", specs)
    assert found.exit_code == 0, found.output
    assert f"{N} decisions of 97 units" in found.stdout
    assert "learned − order" in found.stdout
    assert "at any time" in found.stdout


def test_json_is_the_whole_run_and_processes_change_nothing(
    environ: dict[str, str], specs: str
) -> None:
    one = evaluate(environ, "home", "--policies", specs, "--json", "--until", "2026-09-30")
    run = msgspec.json.decode(one.stdout, type=EvaluationRun)
    assert [candidate.name for candidate in run.candidates] == ["learned", "order"]
    assert run["learned"].lessons_n == N
    two = evaluate(
        environ, "home", "--policies", specs, "--json", "--until", "2026-09-30", "--workers", "2"
    )
    again = msgspec.json.decode(two.stdout, type=EvaluationRun)
    assert msgspec.structs.replace(again, made_at_ms=run.made_at_ms) == run


def test_csv_has_a_line_for_each_candidate(environ: dict[str, str], specs: str) -> None:
    found = evaluate(environ, "home", "--policies", specs, "--csv", "--mode", "ips")
    rows = list(csv.DictReader(io.StringIO(found.stdout)))
    assert [(row["candidate"], row["estimator"]) for row in rows] == [
        ("learned", "snips"),
        ("order", "snips"),
    ]
    assert float(rows[0]["gain_low"]) > 0.0


def test_markdown_and_a_picture_come_together(
    environ: dict[str, str], specs: str, tmp_path: Path
) -> None:
    picture = tmp_path / "found.png"
    found = evaluate(
        environ, "home", "--policies", specs, "--md", "--plot", str(picture), "--segment", "place"
    )
    assert found.exit_code == 0, found.output
    assert "| place=north |" in found.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_page_and_saved_evaluation_are_one(
    environ: dict[str, str], specs: str, tmp_path: Path
) -> None:
    page = tmp_path / "card.html"
    got = evaluate(environ, "home", "--policies", specs, "--html", str(page), "--save")
    assert got.exit_code == 0, got.output
    saved = re.search(r"saved as (\w+)", got.stderr)
    assert saved is not None
    assert saved[1] in page.read_text()


def test_a_search_says_how_it_was_corrected(environ: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "search.toml"
    path.write_text(SEARCH)
    found = evaluate(environ, "home", "--search", str(path), "--md")
    assert found.exit_code == 0, found.output
    assert "Chosen: vw-1" in found.stdout
    assert "The best of 2 was chosen on the first 70 % of the decisions." in found.stdout
    assert "| --epsilon 0.1 -q UA floor=0.01 |" in found.stdout


def test_a_log_of_another_time_is_refused_in_words(environ: dict[str, str], specs: str) -> None:
    found = evaluate(environ, "home", "--policies", specs, "--until", "2020-01-01")
    assert found.exit_code == 0, found.output
    assert "no decision is left to judge by" in found.stdout
    assert "the beginning of the log to 2020-01-01 00:00" in found.stdout
    assert "what logged policies earned can not be told." in found.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("home",), "give --policies or --search, and not both"),
        (("home", "--policies", "none.toml"), "none.toml can not be read: "),
        (("nowhere", "--policies", "SPECS"), "surface 'nowhere' is not declared"),
        (("home", "--search", "SPECS"), "contains unknown field `candidates` - at `the top`"),
        (("home", "--policies", "SPECS", "--alpha", "2"), "Invalid value for '--alpha'"),
        (("home", "--policies", "SPECS", "--since", "now"), "Invalid value for '--since'"),
        (
            ("home", "--policies", "SPECS", "--since", "2030-01-01", "--until", "2020-01-01"),
            "--until is 2020-01-01 00:00:00, must be after --since, 2030-01-01 00:00:00",
        ),
        # It was found out when all was evaluated, and all was lost.
        (("home", "--policies", "SPECS", "--plot", "/none/x.png"), "/none is no folder"),
        (("home", "--policies", "SPECS", "--html", "/none/x.html"), "must be one to write x.html"),
    ],
)
def test_what_can_not_be_done_is_told_in_one_line(
    environ: dict[str, str], specs: str, arguments: tuple[str, ...], message: str
) -> None:
    found = evaluate(environ, *(specs if one == "SPECS" else one for one in arguments))
    assert found.exit_code in (1, 2)
    assert message in found.output
    assert "Traceback" not in found.output


def test_a_cluster_is_an_executor_like_any(
    environ: dict[str, str], specs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Client(contextlib.nullcontext):  # what we use of `distributed.Client`
        def __init__(self, address: str) -> None:
            assert address == "tcp://scheduler:8786"
            super().__init__(self)

        def get_executor(self) -> ThreadPoolExecutor:
            return ThreadPoolExecutor(1)

    monkeypatch.setitem(sys.modules, "distributed", types.SimpleNamespace(Client=Client))
    found = evaluate(
        environ, "home", "--policies", specs, "--csv", "--workers", "2",
        "--dask", "tcp://scheduler:8786",
    )  # fmt: skip
    alone = evaluate(environ, "home", "--policies", specs, "--csv")
    assert found.exit_code == 0, found.output
    assert found.stdout == alone.stdout
    monkeypatch.setitem(sys.modules, "distributed", None)
    without = evaluate(environ, "home", "--policies", specs, "--dask", "tcp://scheduler:8786")
    assert "pip install bandit-service[dask]" in without.output


@pytest.mark.acceptance
def test_ctrl_c_ends_all_processes_quietly(
    environ: dict[str, str], specs: str, tmp_path: Path
) -> None:
    folder = tmp_path / "slates"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "bandit", "evaluate", "home", "--policies", specs,
         "--workers", "2", "--step", "0.01"],
        env={**environ, "PATH": "", "TMPDIR": str(folder)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        until(
            lambda: any(folder.glob("bandit-evaluate-*")) or process.poll() is not None,
            "an evaluation in several processes",
            60.0,
        )
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode in (0, 130)  # it may have been done by then
    assert "Traceback" not in err
    assert (process.returncode == 0) == bool(out)
    assert not list(folder.glob("bandit-evaluate-*"))
