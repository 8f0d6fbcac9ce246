"""`bandit api`: serve rankings and accept what comes back; drain the journal."""

import os
import tempfile

import click
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.log import LogLevels

from bandit.cli.binding import free_port, require_loopback
from bandit.cli.secrets import secret
from bandit.errors import SettingsError
from bandit.settings import Settings

CONNECTIONS = 1024
"""Per worker. Granian's limit counts connections, busy or idle, and lets further ones wait without
an answer: it must be far above what keep-alive clients hold. Requests are shed in `api.hot`."""


@click.command()
@click.option("--host", help="Address to listen on.  [BANDIT_HOST]")
@click.option("--port", type=click.IntRange(0, 65535), help="0: any free one.  [BANDIT_PORT]")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [BANDIT_WORKERS]")
@click.option("--drain/--no-drain", default=True, help="Also deliver the journal to ClickHouse.")
@click.option("--insecure-bind", is_flag=True, help="Listen where other machines can reach it.")
def command(
    host: str | None, port: int | None, workers: int | None, drain: bool, insecure_bind: bool
) -> None:
    """Serve rankings and accept rewards; drain the journal."""
    try:
        settings = Settings.from_environ(os.environ)
    except SettingsError as exc:
        raise click.UsageError(str(exc)) from exc
    host = host or settings.host
    require_loopback(host, insecure=insecure_bind)
    port = free_port(host, settings.port if port is None else port)
    _serve(settings, host, port, workers or settings.workers)


def _serve(settings: Settings, host: str, port: int, workers: int) -> None:
    """Run the workers until a signal ends them."""
    if settings.salt is None:
        secret(settings.data_dir, "salt", os.urandom)  # once, before the workers look for it
    with tempfile.TemporaryDirectory(prefix="bandit-metrics-") as metrics:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", metrics)
        server = Granian(
            "api.application:create_application",
            factory=True,
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            workers=workers,
            loop=Loops.asyncio,
            http=HTTPModes.http1,
            websockets=False,
            backpressure=CONNECTIONS,
            respawn_failed_workers=True,
            respawn_interval=0.5,
            log_level=LogLevels(settings.log_level),
        )
        click.echo(f"api: http://{host}:{port}/ with {workers} workers (pid {os.getpid()})")
        server.serve()
