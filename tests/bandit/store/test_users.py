"""Who may do what in ClickHouse: the file for administrators, and which address readers use."""

from importlib.resources import files
from pathlib import Path

import pytest

from bandit.settings import Settings
from bandit.store import opening
from bandit.store.client import Store
from bandit.store.migrations import statements
from tests.conftest import Gateway

USERS = files("bandit.store").joinpath("users.sql").read_text()


@pytest.mark.parametrize("statement", [*statements(USERS, cluster=True)], ids=lambda s: s[:30])
def test_what_administrators_run_can_be_parsed(gateway: Gateway, statement: str) -> None:
    connected = Store.connect(gateway.url(), database="default")
    connected.apply(f"EXPLAIN AST {statement}", in_database=False)
    connected.close()


def test_the_reader_reads_and_sees_no_keys() -> None:
    reading = [s for s in statements(USERS, cluster=True) if "bandit_reader" in s]
    assert {s.split()[0] for s in reading} == {"CREATE", "GRANT", "REVOKE"}
    granted = [s for s in reading if s.startswith("GRANT")]
    assert granted == [
        "GRANT SELECT ON bandit.* TO bandit_reader",
        "GRANT REMOTE ON *.* TO bandit_reader",
    ]
    assert "REVOKE SELECT ON bandit.keys FROM bandit_reader" in reading
    assert "readonly = 1" in USERS


@pytest.mark.parametrize(
    ("readonly", "settings", "url", "user"),
    [
        (False, {}, "http://127.0.0.1:8123", "default"),
        (True, {}, "http://127.0.0.1:8123", "reader"),
        (False, {"clickhouse_url": "http://w@db"}, "http://w@db", "default"),
        (True, {"clickhouse_url": "http://w@db"}, "http://w@db", "default"),
        (
            True,
            {"clickhouse_url": "http://w@db", "clickhouse_read_url": "http://r@db"},
            "http://r@db",
            "default",
        ),
        (
            False,
            {"clickhouse_url": "http://w@db", "clickhouse_read_url": "http://r@db"},
            "http://w@db",
            "default",
        ),
    ],
)
def test_readers_use_their_own_address_and_passwords_of_ours_stay_here(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    readonly: bool,
    settings: dict[str, str],
    url: str,
    user: str,
) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr(Store, "connect", lambda url, **given: asked.update(given, url=url))
    opening.open_store(Settings(data_dir=tmp_path, **settings), bytes, readonly=readonly)  # type: ignore[arg-type]
    assert (asked["url"], asked["user"], asked["readonly"]) == (url, user, readonly)
    assert bool(asked["password"]) == (not settings)
