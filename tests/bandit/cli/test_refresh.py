"""`bandit refresh` over a real store, and reports that read what it keeps."""

import threading
import time
import uuid
from collections.abc import Iterator

import msgspec
import pytest
from click.testing import CliRunner, Result

from bandit.cli import refresh, report
from bandit.journal.base import Progress
from bandit.service.reporting import ExperimentReport, SurfaceReport
from bandit.settings import Settings
from bandit.store.client import Store
from bandit.store.kept import KeptNumbers
from bandit.store.migrations import migrate
from bandit.store.sink import ClickHouseSink
from tests.bandit.logs import LogMaker
from tests.bandit.service.test_refreshing_reports import SPECS, decide, declare
from tests.conftest import Gateway
from tests.until import until


@pytest.fixture(scope="module")
def store(gateway: Gateway) -> Iterator[Store]:
    """A log of six decisions of a minute ago, all delivered."""
    made = Store.connect(gateway.url(), database=f"refresh_{uuid.uuid4().hex}")
    migrate(made)
    now_ms = time.time_ns() // 1_000_000
    declare(made, *SPECS, at_ms=now_ms - 90_000)
    decide(LogMaker(made, start_ms=now_ms - 60_000), 0)
    ClickHouseSink(made, now_ms=lambda: now_ms).report(
        Progress(host="h", drained_through_ms=now_ms, backlog_bytes=0, segments_n=1)
    )
    yield made
    made.apply("DROP DATABASE IF EXISTS $database SYNC", in_database=False)
    made.close()


@pytest.fixture
def environ(gateway: Gateway, store: Store) -> dict[str, str]:
    return {
        "BANDIT_DATA_DIR": str(gateway.data_dir),
        "BANDIT_GATEWAY_PORT": str(gateway.port),
        "BANDIT_CLICKHOUSE_DATABASE": store.database,
    }


def told(environ: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(report.command, arguments, env=environ)


def test_once_keeps_everything_and_says_so(environ: dict[str, str]):
    got = CliRunner().invoke(refresh.command, ["--once"], env=environ)
    assert got.exit_code == 0, got.output
    assert "experiment/e: 1 kept" in got.output
    assert "surface/home: 1 kept" in got.output


def test_reports_read_what_is_kept_or_the_log_as_they_are_told(environ: dict[str, str]):
    kept = msgspec.json.decode(told(environ, "e", "--json").stdout, type=ExperimentReport)
    fresh = msgspec.json.decode(
        told(environ, "e", "--json", "--fresh").stdout, type=ExperimentReport
    )
    assert (kept.source, fresh.source) == ("kept", "log")
    assert kept.variants == fresh.variants
    again = told(environ, "e", "--json", "--at", str(kept.as_of_ms), "--sequential", "fixed")
    then = msgspec.json.decode(again.stdout, type=ExperimentReport)
    assert (then.as_of_ms, then.sequential, then.variants) == (
        kept.as_of_ms,
        "fixed",
        kept.variants,
    )
    surface = told(environ, "--surface", "home", "--json", "--at", str(kept.as_of_ms))
    assert msgspec.json.decode(surface.stdout, type=SurfaceReport).source == "kept"


def test_a_time_that_there_is_not_ends_with_an_error(environ: dict[str, str]):
    got = told(environ, "e", "--at", "yesterday")
    assert (got.exit_code, got.stdout) == (1, "")
    assert "at is 'yesterday', must be a time with its offset" in got.stderr


def test_options_that_do_not_go_together_are_refused(environ: dict[str, str]):
    assert told(environ, "--surface", "home", "--sequential", "fixed").exit_code == 2


def test_it_runs_until_it_is_stopped_and_takes_its_sheet_with_it(gateway: Gateway, store: Store):
    settings = Settings(
        data_dir=gateway.data_dir,
        gateway_port=gateway.port,
        clickhouse_database=store.database,
        report_interval_s=0.2,
    )
    store.apply("TRUNCATE TABLE $database.kept_numbers")
    stop = threading.Event()
    thread = threading.Thread(target=refresh.run, args=(settings, stop))
    thread.start()
    sheet = gateway.data_dir / "metrics" / "refresh.prom"
    try:
        kept = KeptNumbers(store)
        until(lambda: kept.newest("experiment", "e", 2**42), "the experiment is kept")
        until(lambda: "bandit_refresh_kept_total" in _text(sheet), "the sheet is written")
    finally:
        stop.set()
        thread.join()
    assert not sheet.exists()


def _text(path) -> str:
    return path.read_text() if path.exists() else ""
