"""`bandit dashboard`: show experiments and policies in the browser."""

import importlib.util
import os
import sys

import click

from bandit.cli.binding import free_port, require_loopback
from bandit.settings import Settings

OPTIONS = {
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": "false",
    "client.showErrorDetails": "none",
    "client.toolbarMode": "viewer",
    "runner.magicEnabled": "false",
    "logger.level": "warning",
    # Stock red fails a contrast check, and reads as an alarm.
    "theme.light.primaryColor": "#1F6BB8",
    "theme.dark.primaryColor": "#5AA5EE",
}


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="0: any free one.  [BANDIT_DASHBOARD_PORT]"
)
def command(host: str, port: int | None) -> None:
    """Show experiments and policies in the browser; it only reads."""
    settings = Settings.from_environ(os.environ)
    require_loopback(host)
    port = free_port(host, settings.dashboard_port if port is None else port)
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"dashboard: http://{shown}:{port}/ (pid {os.getpid()})")
    sys.stdout.flush()
    # This process becomes Streamlit's: signals and the exit code are its own.
    os.execv(sys.executable, streamlit_arguments(host, port))


def streamlit_arguments(host: str, port: int) -> list[str]:
    """The command line of the process that serves the pages."""
    spec = importlib.util.find_spec("dashboard.app")
    assert spec is not None
    assert spec.origin is not None
    options = {**OPTIONS, "server.address": host, "server.port": str(port)}
    return [
        *(sys.executable, "-m", "streamlit", "run", spec.origin),
        *(f"--{name}={value}" for name, value in options.items()),
    ]
