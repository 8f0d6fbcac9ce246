"""`bandit gateway`: run the embedded ClickHouse."""

import asyncio
import ipaddress
import os
import signal
import socket
import sys
import time
import uuid
from pathlib import Path

import click
import msgspec
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from bandit.cli.heartbeat import Heartbeat
from bandit.errors import BanditError
from bandit.secrets import secret
from bandit.settings import Settings
from bandit.store.gateway.application import Application, Bounds
from bandit.store.gateway.engine import Engine, Limits
from bandit.store.gateway.users import User

_GRACE_S = 0.6
_BEAT_S = 1.0
HEALING_S = 30.0
"""Who finds damage ends, so that it is set aside at the next start; but not sooner than this."""


@click.command()
@click.option("--data-dir", type=click.Path(path_type=Path), help="BANDIT_DATA_DIR")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="BANDIT_GATEWAY_PORT; 0: any free one")
@click.option("--no-password", is_flag=True, help="Let everybody on this machine in.")
def command(data_dir: Path | None, host: str, port: int | None, no_password: bool) -> None:
    """Run the embedded ClickHouse: one process that owns one directory and speaks HTTP.

    Users: `default` reads and writes, `reader` only reads. Their passwords are made once and
    kept in DATA_DIR/secrets.
    """
    try:
        settings = Settings.from_environ(os.environ)
        if data_dir is not None:
            settings = msgspec.structs.replace(settings, data_dir=data_dir)
        if no_password and not _is_loopback(host):
            raise click.UsageError(f"--host {host} is not loopback: it needs passwords")
        wanted = settings.gateway_port if port is None else port
        code = _run(settings, host, wanted, with_password=not no_password)
    except (BanditError, OSError) as exc:
        click.echo(f"bandit gateway: {exc}", err=True)
        sys.exit(1)
    # Everything is closed and flushed. Granian's threads do not end well with the interpreter:
    # one of them can panic, and the exit code would be SIGABRT's.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(settings: Settings, host: str, port: int, *, with_password: bool) -> int:
    host, port = _free_address(host, port)
    passwords: list[str | None] = [None, None]
    if with_password:
        names = ("clickhouse_password", "clickhouse_readonly_password")
        passwords = [secret(settings.data_dir, name, os.urandom) for name in names]
    users = (
        User.with_password("default", passwords[0]),
        User.with_password("reader", passwords[1], read_only=True),
    )
    os.environ["TZ"] = "UTC"  # the engine's time zone; times are UTC everywhere
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = Limits(memory_bytes=min(Limits().memory_bytes, memory_bytes // 2))
    engine = Engine(settings.store_dir, limits)
    engine.start()
    application = Application(
        engine,
        users,
        now_s=time.monotonic,
        new_id=lambda: str(uuid.uuid4()),
        bounds=Bounds(),
    )
    # Not asyncio.run: it would cancel what could not be killed, and close handles under it.
    return asyncio.new_event_loop().run_until_complete(_serve(application, engine, host, port))


async def _serve(application: Application, engine: Engine, host: str, port: int) -> int:
    server = Server(
        application,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=10_000),
        websockets=False,
        backlog=1024,
        backpressure=1024,
        log_enabled=False,
    )
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    serving = asyncio.ensure_future(server.serve())
    stop = asyncio.ensure_future(stopping.wait())
    beating = asyncio.ensure_future(_beat(Heartbeat(os.environ)))
    healing = asyncio.ensure_future(_healing(application, stopping, loop.time() + HEALING_S))
    try:
        await _listening(serving, host, port)
        click.echo(
            f"gateway: ClickHouse {engine.version} on http://{_bracketed(host)}:{port}/"
            f" from {engine.directory} (pid {os.getpid()})"
        )
        await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        healing.cancel()
        beating.cancel()
        await application.close(_GRACE_S)
    server.stop()  # type: ignore[no-untyped-call]
    await asyncio.wait({serving}, timeout=_GRACE_S)
    return 0 if stop.done() and not application.damaged.is_set() else 1


async def _healing(application: Application, stopping: asyncio.Event, since_s: float) -> None:
    """End the gateway for its supervisor to start it again once damage is found."""
    await application.damaged.wait()
    await asyncio.sleep(since_s - asyncio.get_running_loop().time())
    click.echo("gateway: a part of a table is damaged: starting again sets it aside", err=True)
    stopping.set()


async def _beat(heartbeat: Heartbeat) -> None:
    while True:
        heartbeat.beat()
        await asyncio.sleep(_BEAT_S)


async def _listening(serving: "asyncio.Future[None]", host: str, port: int) -> None:
    """Return once a connection is accepted; Granian has no hook for it."""
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.005)
        else:
            writer.close()
            return
    raise OSError(f"{_bracketed(host)}:{port} can not be listened on: {serving.exception()}")


def _free_address(host: str, port: int) -> tuple[str, int]:
    """The address to listen on as numbers, after making sure that nobody else does.

    Granian shares its port (SO_REUSEPORT): a second gateway would get half of the first one's
    requests instead of an error.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            found = probe.getsockname()
    except OSError as exc:
        raise OSError(f"{_bracketed(host)}:{port} can not be listened on: {exc.strerror}") from exc
    return str(found[0]), int(found[1])


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
