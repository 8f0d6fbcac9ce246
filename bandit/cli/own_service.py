"""A service of a command's own: fresh folder, free ports, an embedded ClickHouse."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from bandit.cli.binding import free_port
from bandit.settings import Settings

HOST = "127.0.0.1"
MARKER = ".bandit-demo"
"""In a folder that such a command made, and so may be emptied by the next one; locked while one
runs."""


def own_settings(
    settings: Settings, folder: Path, port: int = 0, dashboard_port: int = 0
) -> Settings:
    """Settings of a service that nobody else uses."""
    ports = [port, dashboard_port, 0]
    while 0 in ports or len(set(ports)) < len(ports):
        ports = [free_port(HOST, given) for given in (port, dashboard_port, 0)]
    return msgspec.structs.replace(
        settings,
        data_dir=folder,
        host=HOST,
        auth="off",
        port=ports[0],
        dashboard_port=ports[1],
        gateway_port=ports[2],
        clickhouse_url=None,
        clickhouse_read_url=None,
        clickhouse_cluster=None,
    )


@contextmanager
def fresh_folder(folder: Path) -> Iterator[Path]:
    """An empty folder of a command's own, for as long as it runs.

    Raises:
        ClickException: Something else is in it, or another command runs there.
    """
    marker = folder / MARKER
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        raise click.ClickException(
            f"{folder} holds something that no demo or simulation made, must be empty or another "
            "--data-dir"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with marker.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.ClickException(f"another command runs in {folder}") from None
        for old in folder.iterdir():
            if old.is_dir():
                shutil.rmtree(old)
            elif old != marker:
                old.unlink()
        yield folder
