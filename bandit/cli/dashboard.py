"""`bandit dashboard`: show experiments and policies in the browser."""

import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import click

from bandit.cli.binding import free_port, require_sign_in
from bandit.errors import SettingsError
from bandit.secrets import Entropy, secret
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
    # Captions are this at 60 %: stock grey on white is 3.9 to 1, must be 4.5.
    "theme.light.textColor": "#17171A",
}


@click.command()
@click.option("--host", help="Address to listen on.  [BANDIT_DASHBOARD_HOST]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="0: any free one.  [BANDIT_DASHBOARD_PORT]"
)
def command(host: str | None, port: int | None) -> None:
    """Show experiments and policies in the browser; what is changed there, the API changes."""
    try:
        settings = Settings.from_environ(os.environ)
    except SettingsError as exc:
        raise click.UsageError(str(exc)) from exc
    host = settings.dashboard_host if host is None else host
    require_sign_in(host, settings.sign_in)
    options = options_of(settings)
    port = free_port(host, settings.dashboard_port if port is None else port)
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"dashboard: http://{shown}:{port}/ (pid {os.getpid()})")
    sys.stdout.flush()
    # This process becomes Streamlit's: signals and the exit code are its own.
    os.execv(sys.executable, streamlit_arguments(host, port, options))


def options_of(settings: Settings) -> dict[str, str]:
    """Streamlit's options, as far as they do not depend on the port; writes what OIDC needs.

    Raises:
        UsageError: OIDC is asked for, and what it needs is not installed.
    """
    options = dict(OPTIONS)
    if settings.dashboard_url:
        found = urlsplit(settings.dashboard_url)
        # Or Streamlit would ask another host for our address, to know who may connect.
        options["browser.serverAddress"] = found.hostname or ""
        options["browser.serverPort"] = str(found.port or (443 if found.scheme == "https" else 80))
    if settings.sign_in == "oidc":
        if importlib.util.find_spec("authlib") is None:
            raise click.UsageError(
                "people sign in by OIDC, and authlib is not installed: "
                "pip install 'bandit-service[oidc]'"
            )
        options["secrets.files"] = str(write_oidc(settings, os.urandom))
    return options


def write_oidc(settings: Settings, entropy: Entropy) -> Path:
    """Write what Streamlit reads of OIDC into a file that its owner only can read."""
    url = (settings.dashboard_url or "").rstrip("/")
    told = {
        "redirect_uri": f"{url}/oauth2callback",
        "cookie_secret": secret(settings.data_dir, "dashboard_cookie", entropy),
        "client_id": settings.oidc_client_id,
        "client_secret": settings.oidc_client_secret,
        "server_metadata_url": settings.oidc_metadata_url,
    }
    # JSON's texts are TOML's, too.
    lines = ["[auth]", *(f"{name} = {json.dumps(value)}" for name, value in told.items()), ""]
    path = settings.data_dir.resolve() / "secrets" / "dashboard_oidc.toml"
    fresh = path.with_name(f".{path.name}.{entropy(8).hex()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("\n".join(lines))
    return fresh.replace(path)


def streamlit_arguments(host: str, port: int, options: Mapping[str, str] = OPTIONS) -> list[str]:
    """The command line of the process that serves the pages."""
    spec = importlib.util.find_spec("dashboard.app")
    assert spec is not None
    assert spec.origin is not None
    given = {**options, "server.address": host, "server.port": str(port)}
    return [
        *(sys.executable, "-m", "streamlit", "run", spec.origin),
        *(f"--{name}={value}" for name, value in given.items()),
    ]
