import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import Error

from bandit.cli.gateway import _healing
from bandit.store.gateway.application import Application
from bandit.store.gateway.engine import Limits
from tests.conftest import Gateway, start_gateway, stop_gateway

pytestmark = pytest.mark.acceptance
BLOCK_N = 500


@pytest.fixture
def own_gateway(tmp_path: Path) -> Iterator[Gateway]:
    running = start_gateway(tmp_path)
    yield running
    stop_gateway(running)


def gateway_fails(*options: str) -> str:
    """What `bandit gateway` says when it refuses to start."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("BANDIT_")}
    ended = subprocess.run(
        [sys.executable, "-m", "bandit", "gateway", *options],
        capture_output=True,
        text=True,
        timeout=30,
        env=environ,
        check=False,
    )
    assert ended.returncode in (1, 2)
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_a_second_process_on_the_same_directory_is_refused(own_gateway: Gateway) -> None:
    said = gateway_fails("--data-dir", str(own_gateway.data_dir), "--port", "0")
    directory = own_gateway.data_dir / "clickhouse"
    assert said == f"bandit gateway: {directory} is in use by another process\n"


def test_a_second_process_on_the_same_port_is_refused(own_gateway: Gateway, tmp_path: Path) -> None:
    # Granian shares its port: without the check, both would get half of the requests.
    port = str(own_gateway.port)
    said = gateway_fails("--data-dir", str(tmp_path / "other"), "--port", port)
    assert said == (
        f"bandit gateway: 127.0.0.1:{port} can not be listened on: Address already in use\n"
    )


def test_nobody_gets_in_from_outside_without_a_password(tmp_path: Path) -> None:
    said = gateway_fails("--data-dir", str(tmp_path), "--host", "0.0.0.0", "--no-password")
    assert "--host 0.0.0.0 is not loopback: it needs passwords" in said
    assert list(tmp_path.iterdir()) == []


def test_a_bad_setting_is_named(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "bandit", "gateway", "--data-dir", str(tmp_path)],
        env={**os.environ, "BANDIT_GATEWAY_PORT": "x"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert "BANDIT_GATEWAY_PORT = 'x'" in ended.stderr


def test_without_passwords_anybody_on_this_machine_gets_in(tmp_path: Path) -> None:
    running = start_gateway(tmp_path, "--no-password")
    client = clickhouse_connect.get_client(host=running.host, port=running.port)
    assert client.command("SELECT 1") == 1
    client.close()
    stop_gateway(running)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_clients_connected(
    tmp_path: Path, number: signal.Signals
) -> None:
    running = start_gateway(tmp_path)
    client = clickhouse_connect.get_client(dsn=running.url(), session_id="kept")
    client.command("CREATE TEMPORARY TABLE t (a Int8)")
    with client.query_row_block_stream("SELECT number FROM numbers(10000000)") as blocks:
        next(iter(blocks))
    running.process.send_signal(number)
    assert running.process.wait(10) == 0
    assert not (tmp_path / "clickhouse" / "status").exists()  # the engine was closed
    client.close()
    stop_gateway(running)


def test_its_data_survives_kill_9_in_the_middle_of_inserts(tmp_path: Path) -> None:
    """What was acknowledged is there, no block is torn, and the same URL's users still work."""
    running = start_gateway(tmp_path)
    client = clickhouse_connect.get_client(dsn=running.url(), autogenerate_session_id=False)
    client.command("CREATE TABLE t (block UInt32, s String) ENGINE = MergeTree ORDER BY block")
    acknowledged: list[int] = []
    enough = threading.Event()

    def insert() -> None:
        try:
            while True:
                block = len(acknowledged) + 1
                data = [[block] * BLOCK_N, ["x" * 100] * BLOCK_N]
                client.insert("t", data, column_oriented=True)
                acknowledged.append(block)
                if block == 20:
                    enough.set()
        except Error:
            enough.set()

    writer = threading.Thread(target=insert)
    writer.start()
    assert enough.wait(30)
    running.process.kill()
    running.process.wait()
    writer.join(30)
    client.close()
    stop_gateway(running)

    again = start_gateway(tmp_path)
    client = clickhouse_connect.get_client(dsn=again.url(), autogenerate_session_id=False)
    stored = client.query("SELECT block, count() FROM t GROUP BY block ORDER BY block").result_rows
    blocks = [block for block, _ in stored]
    assert len(acknowledged) >= 20
    assert blocks[: len(acknowledged)] == acknowledged
    assert len(blocks) <= len(acknowledged) + 1  # the one in flight
    assert {count for _, count in stored} == {BLOCK_N}
    client.close()
    stop_gateway(again)


def test_a_path_that_can_not_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = gateway_fails("--data-dir", str(tmp_path / "file"), "--port", "0")
    assert said.startswith("bandit gateway: ")
    assert str(tmp_path / "file") in said


def test_a_port_is_taken_from_the_environment(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "bandit", "gateway"],
            env={**os.environ, "BANDIT_DATA_DIR": str(tmp_path), "BANDIT_GATEWAY_PORT": str(port)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ended.stderr.startswith(f"bandit gateway: 127.0.0.1:{port} can not be listened on")


def test_nothing_is_written_into_the_last_of_the_disk(own_gateway: Gateway) -> None:
    client = clickhouse_connect.get_client(dsn=own_gateway.url())
    [[kept]] = client.query("SELECT keep_free_space FROM system.disks").result_rows
    client.close()
    assert kept == Limits().keep_free_bytes


def test_a_part_that_a_full_disk_has_damaged_is_told_and_mended_by_a_restart(
    tmp_path: Path,
) -> None:
    # Symptom: after ENOSPC in the middle of a merge, every read was CORRUPTED_DATA for good.
    running = start_gateway(tmp_path)
    client = clickhouse_connect.get_client(dsn=running.url())
    client.command("CREATE TABLE t (x UInt64) ENGINE = MergeTree ORDER BY x")
    for x in range(3):
        client.insert("t", [[x]], column_names=["x"])
    client.command("OPTIMIZE TABLE t FINAL")
    [marks] = (tmp_path / "clickhouse" / "store").rglob("all_1_3_1/data.cmrk*")
    marks.write_bytes(b"")
    client.command("SYSTEM DROP MARK CACHE")
    client.command("SYSTEM DROP INDEX MARK CACHE")
    with pytest.raises(Error, match="CORRUPTED_DATA"):
        client.query("SELECT sum(x) FROM t WHERE x > 0")
    client.close()
    stop_gateway(running)
    running = start_gateway(tmp_path)
    client = clickhouse_connect.get_client(dsn=running.url())
    assert client.query("SELECT count() FROM t").result_rows == [(3,)]
    client.close()
    stop_gateway(running)


def test_a_gateway_that_found_damage_ends_but_not_at_once_again_and_again() -> None:
    class Told:
        damaged = asyncio.Event()

    async def ends_after(since_s: float) -> bool:
        stopping, application = asyncio.Event(), cast(Application, Told())
        now_s = asyncio.get_running_loop().time()
        healing = asyncio.ensure_future(_healing(application, stopping, now_s + since_s))
        await asyncio.sleep(0)
        assert not stopping.is_set()
        application.damaged.set()
        await asyncio.wait({healing}, timeout=0.2)
        healing.cancel()
        return stopping.is_set()

    assert asyncio.run(ends_after(0.0))
    Told.damaged = asyncio.Event()
    assert not asyncio.run(ends_after(60.0))
