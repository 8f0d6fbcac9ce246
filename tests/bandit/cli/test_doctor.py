"""`bandit doctor` as somebody on call runs it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.metrics import Meter
from bandit.cli.binding import free_port
from bandit.cli.doctor import api_findings, command, snapshot_findings
from bandit.service.examining import looked_at
from bandit.service.findings import Finding, fine
from bandit.service.serving_state import ServingState
from bandit.specs import PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from tests.bandit.logs import LogMaker
from tests.bandit.service.test_examining_host import codes


def run(folder: Path, *options: str, **settings: str) -> Result:
    given = {
        "BANDIT_DATA_DIR": str(folder),
        "BANDIT_PORT": str(free_port("127.0.0.1", 0)),
        "BANDIT_GATEWAY_PORT": str(free_port("127.0.0.1", 0)),
    }
    environ = given | {f"BANDIT_{name.upper()}": value for name, value in settings.items()}
    return CliRunner().invoke(command, options, env=environ, catch_exceptions=False)


def found(result: Result) -> dict[str, str]:
    told = json.loads(result.stdout)
    assert told["exit_code"] == result.exit_code
    return {each["code"]: each["level"] for each in told["findings"] if each["level"] != "ok"}


def test_a_bad_setting_is_all_that_is_told(tmp_path: Path) -> None:
    result = run(tmp_path, "--json", workers="many")
    assert found(result) == {"bad_settings": "problem"}
    assert "BANDIT_WORKERS = 'many'" in result.stdout


def test_an_empty_machine_is_told_so_and_left_empty(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.exit_code == 2
    assert "PROBLEM clickhouse: The embedded one never ran" in result.stdout
    assert "PROBLEM api: http://127.0.0.1:" in result.stdout
    assert "        do:      Start `bandit up`" in result.stdout
    assert result.stdout.endswith("\n2 problems.\n")
    assert list(tmp_path.iterdir()) == []


def test_what_can_not_be_looked_at_is_told_and_the_rest_looked_at(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "drain.lock").mkdir()  # nobody can tell who holds it
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "drain.prom").write_text("")
    os.utime(tmp_path / "metrics" / "drain.prom", (0, 0))
    (tmp_path / "secrets").write_text("not a folder")
    (tmp_path / "journal" / "w").symlink_to("w")  # a loop
    result = run(tmp_path, "--json")
    assert found(result)["process_silent"] == "problem"
    assert result.exit_code == 2


def test_a_part_that_fails_leaves_the_others() -> None:
    def fails() -> Iterator[Finding]:
        yield fine("a", "the beginning")
        raise PermissionError(13, "Permission denied", "/var/lib/bandit")

    told = list(looked_at(("a", fails), ("b", lambda: iter([fine("b", "well")]))))
    assert [(each.area, each.code) for each in told] == [
        ("a", "ok"),
        ("a", "not_looked_at"),
        ("b", "ok"),
    ]


def test_a_store_that_is_away_is_told_in_plain_words(tmp_path: Path) -> None:
    url = f"http://me:hunter2@127.0.0.1:{free_port('127.0.0.1', 0)}"
    result = run(tmp_path, clickhouse_url=url)
    assert "It can not be asked: nobody listens there." in result.stdout
    assert "hunter2" not in result.output


def test_what_the_store_holds_is_examined(
    tmp_path: Path, store: Store, clickhouse_url: str
) -> None:
    settings = {"clickhouse_url": clickhouse_url, "clickhouse_database": store.database}
    definitions, given = Definitions(store), {"expected": None, "author": "me", "now_ms": 1}
    definitions.put(PolicySpec(key="vw", type="vw", surface="home"), change_id="1", **given)
    definitions.put(Surface(key="home", policy="vw", join_window_s=10), change_id="2", **given)
    log = LogMaker(store, start_ms=store_now_ms(store) - 3_600_000)
    for n in range(120):
        log.decide(n, policy="vw")
    log.deliver()
    result = run(tmp_path, "--json", "--quiet", **settings)
    # The test's ClickHouse lets `default` write, and its URL names no reader.
    assert found(result) == {
        "salt_of_this_host": "warning",
        "api_away": "problem",
        "no_host": "warning",
        "no_refresh": "problem",
        "no_rewards": "problem",
        "not_learning": "problem",
    }
    store.apply("DROP TABLE $database.migrations")
    assert found(run(tmp_path, "--json", **settings))["store_away"] == "problem"


def store_now_ms(store: Store) -> int:
    [row] = store.rows("checkup_server", database=store.database)
    return int(row[1])


@pytest.mark.parametrize(
    ("status", "told", "expected"),
    [
        (200, {"store": "reached", "refused_snapshots": {}}, {}),
        (200, {}, {}),
        (503, {}, {"api_not_ready": "problem"}),
        (200, {"store": "connection refused"}, {"api_without_store": "warning"}),
    ],
)
def test_what_the_api_says_of_itself(
    status: int, told: dict[str, Any], expected: dict[str, str]
) -> None:
    assert codes(api_findings(status, told)) == expected


def test_snapshots_that_do_not_serve_are_named(tmp_path: Path) -> None:
    meter = Meter(journal_dir=tmp_path, shared_dir=None)
    meter.serving(ServingState(), store_reached=True, refused={"vw": 17, "other": 0})
    found = list(snapshot_findings(meter.text().decode()))
    assert codes(found) == {"snapshot_refused": "problem"}
    assert [each.text for each in found] == [
        "Snapshot vw@17 failed its digest or canary; an older one serves."
    ]
