"""`bandit doctor` on a host on which each thing is wrong in turn."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from bandit.journal.disk import Space
from bandit.journal.pressure import Watermarks
from bandit.journal.segments import DRAIN_LOCK, REJECTED, hold
from bandit.secrets import secret
from bandit.service.examining_host import (
    directory_findings,
    journal_findings,
    secrets_findings,
    settings_findings,
    sheet_findings,
)
from bandit.service.findings import Finding, exit_code
from bandit.settings import Settings
from tests.bandit.journal.fakes import START_MS, Clock, make_journal, reward

GB = 1 << 30
WATERMARKS = Watermarks(headroom_bytes=16 * GB)


def codes(findings: Iterable[Finding]) -> dict[str, str]:
    """Level by code; what is well is left out, and what is not says what to do."""
    found = [each for each in findings if each.level != "ok"]
    assert all(each.text and each.must_be and each.next_step for each in found)
    return {each.code: each.level for each in found}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"host": "::1"}, {}),
        ({"host": "0.0.0.0", "auth": "keys"}, {}),
        ({"host": "0.0.0.0"}, {"open_to_all": "problem"}),
        ({"clickhouse_cluster": "c"}, {"cluster_without_url": "problem"}),
        ({"clickhouse_url": "http://h:8123"}, {"salt_of_this_host": "warning"}),
        ({"clickhouse_url": "http://h:8123", "salt": "s"}, {}),
        ({"dashboard_port": 8080}, {"same_port": "problem"}),
        ({"gateway_port": 8080}, {"same_port": "problem"}),
        ({"gateway_port": 8080, "clickhouse_url": "http://h:1", "salt": "s"}, {}),
    ],
)
def test_settings_that_do_not_go_together(given: dict[str, str], expected: dict[str, str]) -> None:
    assert codes(settings_findings(Settings(**given), {})) == expected  # type: ignore[arg-type]


def test_settings_say_where_they_come_from_and_no_secret() -> None:
    (told,) = settings_findings(Settings(salt="hush"), {"BANDIT_SALT": "hush", "HOME": "/"})
    assert "BANDIT_SALT" in told.text
    assert "hush" not in told.text
    assert "HOME" not in told.text


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (30, {}),
        (20, {"disk_fills": "warning"}),
        (10, {"disk_full": "problem"}),
        (5, {"disk_full": "problem"}),
    ],
)
def test_a_disk_that_fills_up(tmp_path: Path, free: int, expected: dict[str, str]) -> None:
    found = list(directory_findings(tmp_path, WATERMARKS, lambda _: Space(100 * GB, free * GB)))
    assert codes(found) == expected
    assert f"{free}.0 GiB are free" in found[-1].text
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_that_is_not_there_or_can_not_be_written(tmp_path: Path) -> None:
    def room(_: Path) -> Space:
        return Space(100, 90)

    gone = directory_findings(tmp_path / "gone", WATERMARKS, room)
    assert codes(gone) == {"no_directory": "warning"}
    is_file = tmp_path / "file"
    is_file.touch()
    assert codes(directory_findings(is_file, WATERMARKS, room)) == {"not_writable": "problem"}


def test_secrets_that_others_may_read_or_that_are_empty(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert codes(secrets_findings(settings)) == {}
    secret(tmp_path, "salt", os.urandom)
    assert codes(secrets_findings(settings)) == {}
    path = tmp_path / "secrets" / "salt"
    path.chmod(0o640)
    assert codes(secrets_findings(settings)) == {"secret_exposed": "problem"}
    path.chmod(0o600)
    path.write_text("")
    assert codes(secrets_findings(settings)) == {"secret_empty": "problem"}


def test_a_journal_that_nobody_drains(tmp_path: Path) -> None:
    assert codes(journal_findings(tmp_path, START_MS)) == {}
    make_journal(tmp_path, Clock()).append(reward(1))
    now_ms = next(tmp_path.glob("w1/*.seg")).stat().st_mtime_ns // 1_000_000
    assert codes(journal_findings(tmp_path, now_ms)) == {"no_drain_here": "problem"}
    lock = hold(tmp_path / DRAIN_LOCK)
    assert lock is not None
    assert codes(journal_findings(tmp_path, now_ms)) == {}
    assert codes(journal_findings(tmp_path, now_ms + 61_000)) == {"journal_waits": "warning"}
    assert codes(journal_findings(tmp_path, now_ms + 601_000)) == {"journal_waits": "problem"}
    os.close(lock)


def test_what_was_set_aside_is_named(tmp_path: Path) -> None:
    aside = tmp_path / "w1" / REJECTED / "rewards-x.seg"
    aside.parent.mkdir(parents=True)
    aside.write_bytes(b"rows")
    found = list(journal_findings(tmp_path, START_MS))
    assert codes(found) == {"set_aside": "warning"}
    assert str(aside) in found[-1].text
    assert "--retry-rejected" in found[-1].next_step


def test_a_process_that_says_nothing_any_more(tmp_path: Path) -> None:
    sheet = tmp_path / "drain.prom"
    sheet.write_text("")
    now_ms = sheet.stat().st_mtime_ns // 1_000_000
    assert codes(sheet_findings(tmp_path, now_ms + 1000)) == {}
    assert codes(sheet_findings(tmp_path, now_ms + 16_000)) == {"process_silent": "problem"}
    assert codes(sheet_findings(tmp_path / "gone", now_ms)) == {}


def test_the_worst_finding_is_the_exit_code() -> None:
    levels = ["ok", "warning", "problem"]
    made = [Finding(area="a", code="c", level=level, text="t") for level in levels]  # type: ignore[arg-type]
    assert [exit_code(made[:n]) for n in range(4)] == [0, 0, 1, 2]
