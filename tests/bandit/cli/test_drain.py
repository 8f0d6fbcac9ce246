import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bandit.cli.drain import command, host_name, run
from bandit.journal import Journal
from bandit.journal.ballast import BALLAST
from bandit.journal.base import Entry
from bandit.journal.blocks import Block
from bandit.journal.quarantine import Quarantine
from bandit.settings import Settings
from bandit.store.client import Store
from bandit.store.gaps import gaps_of
from bandit.store.sink import ClickHouseSink
from tests.bandit.journal.fakes import decision, reward
from tests.until import until


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(
        tmp_path / "journal",
        writer="w1",
        durability="process",
        now_ms=now_ms,
        max_bytes=1 << 20,
        max_age_s=5.0,
    )
    yield journal
    journal.close()


def start_drain(data_dir: Path, clickhouse_url: str, database: str) -> subprocess.Popen[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("BANDIT_")} | {
        "BANDIT_DATA_DIR": str(data_dir),
        "BANDIT_CLICKHOUSE_URL": clickhouse_url,
        "BANDIT_CLICKHOUSE_DATABASE": database,
    }
    command = [sys.executable, "-m", "bandit", "drain"]
    return subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def stop(process: subprocess.Popen[str]) -> str:
    process.terminate()
    try:
        _, errors = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0, errors
    return errors


def test_records_reach_clickhouse_and_sigterm_brings_the_last_ones(
    store: Store, clickhouse_url: str, tmp_path: Path, journal: Journal
) -> None:
    sink = ClickHouseSink(store, now_ms=now_ms)
    decisions = [Entry(n, decision(n, ts_ms=now_ms())) for n in range(1, 6)]
    process = start_drain(tmp_path, clickhouse_url, store.database)
    for _, record in decisions[:-1]:
        journal.append(record)
    until(lambda: not sink.missing("decisions", "w1", decisions[:-1]), "delivery")
    journal.append(decisions[-1].record)
    errors = stop(process)
    assert not sink.missing("decisions", "w1", decisions)
    assert "ERROR" not in errors


def test_a_store_that_is_away_is_waited_for(tmp_path: Path, journal: Journal) -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        journal.append(reward(1))
        process = start_drain(tmp_path, url, "bandit")
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("drain: ")
        assert "records wait in the journal" in process.stderr.readline()
        assert stop(process) == ""


def test_two_journals_of_a_machine_report_under_two_names(tmp_path: Path) -> None:
    names = {host_name(Settings(data_dir=tmp_path / name)) for name in ("a", "b")}
    assert len(names) == 2
    assert all(name.startswith(socket.gethostname()) for name in names)


def test_ballast_is_tended_though_the_store_is_away(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        clickhouse_url="http://default:secret@127.0.0.1:9",
        ballast_bytes=65_536,
        disk_headroom_bytes=1,  # however full this machine's disk is
    )
    settings.journal_dir.mkdir()
    end = threading.Event()
    thread = threading.Thread(target=run, args=(settings, end))
    thread.start()
    try:
        until((settings.journal_dir / BALLAST).exists, "ballast is there")
    finally:
        end.set()
        thread.join(30)
    assert not any(each.name == "ballast" for each in threading.enumerate())


def test_what_was_set_aside_is_given_up_by_a_command(
    tmp_path: Path, store: Store, clickhouse_url: str
) -> None:
    quarantine = Quarantine(tmp_path / "journal")
    entries = [Entry(seq, reward(seq)) for seq in (2, 3, 7)]
    quarantine.put_rows(Block("w1", "rewards", entries, check=False))
    environ = {
        "BANDIT_DATA_DIR": str(tmp_path),
        "BANDIT_CLICKHOUSE_URL": clickhouse_url,
        "BANDIT_CLICKHOUSE_DATABASE": store.database,
    }
    for said in ("1 files and 3 numbers", "0 files and 0 numbers"):
        result = CliRunner().invoke(command, ["--give-up-rejected"], env=environ)
        assert (result.exit_code, result.stdout) == (0, f"drain: {said} given up\n")
    stream = "rewards/home/w1"
    assert gaps_of(store, {stream: 0})[stream].spans == [(2, 3), (7, 7)]
    assert len(list((tmp_path / "journal" / ".given-up" / "w1").iterdir())) == 1
