"""`bandit up`: run everything under one supervisor and restart what dies."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import click
import httpx

from bandit.cli.binding import free_port, require_keys
from bandit.cli.processes import Processes
from bandit.cli.supervisor import Child, Supervisor
from bandit.errors import SettingsError
from bandit.settings import Settings

NAMES = ("gateway", "drain", "api", "learn", "dashboard")
"""What can run here, in the order to start; it is ended in the opposite one.

So the drain outlives the API and brings the last records to ClickHouse, which ends last. All of
them wait for ClickHouse by themselves, and whoever comes first makes the tables.
"""
LOOK_S = 0.2
PATIENCE_S = 15.0
"""After so long it is said what is still not ready."""


class Address(NamedTuple):
    """Where a child answers."""

    name: str
    url: str
    probe: str
    """Path that answers 200 when it is ready."""


@click.command()
@click.option("--dashboard/--no-dashboard", default=True, help="Also run the dashboard.")
def command(dashboard: bool) -> None:
    """Run everything under one supervisor and restart what dies.

    The embedded ClickHouse (unless BANDIT_CLICKHOUSE_URL names a real one), the API, the drain, the
    learner and the dashboard. SIGTERM or Ctrl-C ends them in order, a second one at once.
    """
    try:
        settings = Settings.from_environ(os.environ)
    except SettingsError as exc:
        raise click.UsageError(str(exc)) from exc
    without = set() if settings.clickhouse_url is None else {"gateway"}
    if not dashboard:
        without.add("dashboard")
    names = [name for name in NAMES if name not in without]
    run(settings, names)


def run(settings: Settings, names: Sequence[str] = NAMES) -> None:
    """Run children until a signal, and print where they answer once they do.

    Raises:
        UsageError: An address that must not be used, or is used already.
    """
    require_keys(settings.host, settings.auth)
    found = addresses(settings, names)
    for address in found:
        url = httpx.URL(address.url)
        free_port(url.host, url.port or 80)
    stop = threading.Event()
    with running(settings, names) as supervisor:

        def end(*_: object) -> None:
            if stop.is_set():
                supervisor.stop()
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        if wait_until_ready(found, stop):
            click.echo(table(found))
            sys.stdout.flush()
            stop.wait()


@contextmanager
def running(
    settings: Settings,
    names: Sequence[str] = NAMES,
    *,
    logs: Path | None = None,
    tell: Callable[[str], None] = click.echo,
) -> Iterator[Supervisor]:
    """Run children until the block ends.

    Args:
        settings: Passed on to every child, whatever the environment says.
        names: Which of `NAMES`.
        logs: Folder for each child's lines; without it they go to standard output, named.
        tell: Takes lines about deaths and restarts.
    """

    def tell_named(line: str) -> None:
        with suppress(OSError):  # nobody watching is no reason to stop
            tell(f"{'up':9} | {line}")

    processes = Processes(logs=logs)
    supervisor = Supervisor(
        children(settings, names),
        spawn=processes.spawn,
        monotonic_s=time.monotonic,
        tell=tell_named,
    )
    try:
        with supervisor.running():
            yield supervisor
    finally:
        processes.close()


def children(settings: Settings, names: Sequence[str] = NAMES) -> list[Child]:
    """What to run: one command each, with its settings in the environment."""
    env = environ_of(settings, os.environ)
    return [
        Child(
            name,
            (sys.executable, "-m", "bandit", name, *(("--no-drain",) if name == "api" else ())),
            env,
        )
        for name in NAMES
        if name in names
    ]


def environ_of(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """An environment that gives exactly these settings."""
    given = {name: getattr(settings, name) for name in Settings.__struct_fields__}
    given["data_dir"] = settings.data_dir.resolve()
    ours = {f"BANDIT_{k.upper()}": str(v) for k, v in given.items() if v is not None}
    others = {key: value for key, value in environ.items() if not key.startswith("BANDIT_")}
    return others | ours | {"PYTHONUNBUFFERED": "1"}


def addresses(settings: Settings, names: Sequence[str] = NAMES) -> list[Address]:
    """Where those children answer that do."""
    api = f"http://{_reachable(settings.host)}:{settings.port}"
    found = {
        "api": Address("API", api, "/health/ready"),
        "dashboard": Address(
            "Dashboard", f"http://127.0.0.1:{settings.dashboard_port}", "/_stcore/health"
        ),
        "gateway": Address("ClickHouse", f"http://127.0.0.1:{settings.gateway_port}", "/ping"),
    }
    return [address for name, address in found.items() if name in names]


def wait_until_ready(found: Sequence[Address], stop: threading.Event) -> bool:
    """Wait until all of them answer; False if `stop` comes first."""
    began_s, is_told, missing = time.monotonic(), False, list(found)
    while missing := [address for address in missing if not _answers(address)]:
        if not is_told and time.monotonic() - began_s > PATIENCE_S:
            is_told = True
            names = ", ".join(address.name for address in missing)
            click.echo(f"{'up':9} | still waiting for: {names}")
        if stop.wait(LOOK_S):
            return False
    return not stop.is_set()


def table(found: Sequence[Address]) -> str:
    """Addresses, one a line.

    >>> print(table([Address("API", "http://127.0.0.1:8080", "/health/ready")]))
    <BLANKLINE>
      API         http://127.0.0.1:8080
    <BLANKLINE>
    """
    return "\n".join(["", *(f"  {address.name:11} {address.url}" for address in found), ""])


def _answers(address: Address) -> bool:
    try:
        response = httpx.get(address.url + address.probe, timeout=2.0, trust_env=False)
    except httpx.HTTPError:
        return False
    return response.status_code == 200


def _reachable(host: str) -> str:
    """An address that reaches a server which listens on `host`."""
    any_address = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    host = any_address.get(host, host)
    return f"[{host}]" if ":" in host else host
