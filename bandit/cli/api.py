"""`bandit api`: serve rankings and accept what comes back; drain the journal."""

import gc
import os

import click
from msgspec.structs import replace

from bandit import logs
from bandit.cli.binding import free_port, require_keys
from bandit.errors import SettingsError
from bandit.settings import Settings


@click.command()
@click.option("--host", help="Address to listen on.  [BANDIT_HOST]")
@click.option("--port", type=click.IntRange(0, 65535), help="0: any free one.  [BANDIT_PORT]")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [BANDIT_WORKERS]")
@click.option("--drain/--no-drain", default=True, help="Also deliver the journal to ClickHouse.")
@click.option("--stand-by", is_flag=True, hidden=True)
def command(
    host: str | None,
    port: int | None,
    workers: int | None,
    drain: bool,
    stand_by: bool,
) -> None:
    """Serve rankings and accept rewards; drain the journal.

    Each worker is a process of its own under a supervisor. SIGTERM or Ctrl-C ends them, SIGHUP
    restarts them, one after the other.
    """
    try:
        settings = Settings.from_environ(os.environ)
    except SettingsError as exc:
        raise click.UsageError(str(exc)) from exc
    if stand_by:  # this is one of the workers, and the supervisor listens
        _serve(settings)
    from bandit.cli import up  # a worker needs no supervisor, nor the time that takes to import

    host = host or settings.host
    require_keys(host, settings.auth)
    settings = replace(
        settings,
        host=host,
        port=free_port(host, settings.port if port is None else port),
        workers=workers or settings.workers,
    )
    up.run(settings, ("drain", "api") if drain else ("api",))


def _serve(settings: Settings) -> None:
    # What is made at the start stays: to look for what does not takes a tenth of the start.
    gc.disable()
    # These take a second, which the supervisor need not wait.
    from api.application import create_application
    from bandit.cli.serving import serve

    logs.configure("api", level=settings.log_level, how=settings.log_format)
    serve(create_application, None, os.environ)
