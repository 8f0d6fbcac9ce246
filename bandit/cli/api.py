"""`bandit api`: serve rankings and accept what comes back; drain the journal."""

import os
import tempfile

import click
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.log import LogLevels
from msgspec.structs import replace

from bandit.cli import up
from bandit.cli.binding import free_port, require_keys
from bandit.cli.wiring import project_salt
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
def command(host: str | None, port: int | None, workers: int | None, drain: bool) -> None:
    """Serve rankings and accept rewards; drain the journal."""
    try:
        settings = Settings.from_environ(os.environ)
    except SettingsError as exc:
        raise click.UsageError(str(exc)) from exc
    host = host or settings.host
    require_keys(host, settings.auth)
    settings = replace(
        settings,
        host=host,
        port=free_port(host, settings.port if port is None else port),
        workers=workers or settings.workers,
    )
    if drain:
        up.run(settings, ("drain", "api"))
    else:
        _serve(settings)


def _serve(settings: Settings) -> None:
    """Run the workers until a signal ends them."""
    project_salt(settings)  # is made once, before the workers look for it
    with tempfile.TemporaryDirectory(prefix="bandit-metrics-") as metrics:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", metrics)
        server = Granian(
            "api.application:create_application",
            factory=True,
            address=settings.host,
            port=settings.port,
            interface=Interfaces.ASGI,
            workers=settings.workers,
            loop=Loops.asyncio,
            http=HTTPModes.http1,
            websockets=False,
            backpressure=CONNECTIONS,
            respawn_failed_workers=True,
            respawn_interval=0.5,
            log_level=LogLevels(settings.log_level),
        )
        click.echo(
            f"api: http://{settings.host}:{settings.port}/ with {settings.workers} workers "
            f"(pid {os.getpid()})"
        )
        server.serve()
