"""`bandit up`: run everything under one supervisor and restart what dies."""

import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import click
import httpx

from bandit.cli.binding import free_port, require_keys, require_sign_in
from bandit.cli.child import Child, Pulse
from bandit.cli.listeners import Listeners
from bandit.cli.processes import Processes
from bandit.cli.stopping import Stop, Stopping
from bandit.cli.supervisor import Supervisor
from bandit.cli.wiring import project_salt
from bandit.errors import SettingsError
from bandit.logs import wrapped
from bandit.settings import Settings, reachable

NAMES = ("gateway", "drain", "api", "learn", "refresh", "dashboard")
"""What can run here, in the order to start; it is ended in the opposite one.

So the drain outlives the API and brings the last records to ClickHouse, which ends last. All of
them wait for ClickHouse by themselves, and whoever comes first makes the tables.
"""
LOOK_S = 0.2
PATIENCE_S = 15.0
"""After so long it is said what is still not ready."""
PULSES = {
    "gateway": Pulse(first_s=float("inf"), then_s=60.0),
    "drain": Pulse(first_s=120.0, then_s=600.0),
    "api": Pulse(first_s=120.0, then_s=10.0),
    "learn": Pulse(first_s=120.0, then_s=600.0),
    "refresh": Pulse(first_s=120.0, then_s=1800.0),
}
"""Who says that it moves, and how often: an event loop that stands still for 10 s hangs, while one
pass of a drain over a slow store may take minutes, and a refresh over a long log many. The engine
may load for as long as it has to."""
NICE = {"gateway": 5, "drain": 5, "learn": 5, "refresh": 10, "dashboard": 5}
"""Serving never waits for learning, storage or reports, for a processor either: where there are too
few, each of these gets a third of an API process's share, or a tenth."""
SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"


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
    learner and the dashboard. SIGTERM or Ctrl-C ends them in order, a second one at once. SIGHUP
    restarts the API's processes, one after the other, so that requests are answered all the while.
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
    if "dashboard" in names:
        require_sign_in(settings.dashboard_host, settings.sign_in)
    found = addresses(settings, names)
    for address in found:
        url = httpx.URL(address.url)
        free_port(url.host, url.port or 80)
    # Whoever says `nohup` wants to go on without the terminal.
    follows_terminal = has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    with running(settings, names) as supervisor:

        def in_thread(work: Callable[..., object], *given: object) -> None:
            # The signal may have come while this thread held the supervisor's lock.
            threading.Thread(target=work, args=given).start()

        stop = Stop.on_signals(again=lambda: in_thread(supervisor.stop))

        def hang_up(*_: object) -> None:
            if follows_terminal and not has_terminal():
                signal.raise_signal(signal.SIGTERM)  # whoever started it has closed the window
            else:
                in_thread(supervisor.roll, "api")

        signal.signal(signal.SIGHUP, hang_up)
        if wait_until_ready(found, stop, as_json=settings.log_format == "json"):
            if settings.log_format == "json":
                for address in found:
                    click.echo(_said(f"{address.name} answers at {address.url}", as_json=True))
            else:
                click.echo(table(found))
            sys.stdout.flush()
            stop.wait()


@contextmanager
def running(
    settings: Settings,
    names: Sequence[str] = NAMES,
    *,
    logs: Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> Iterator[Supervisor]:
    """Run children until the block ends.

    Args:
        settings: Passed on to every child, whatever the environment says.
        names: Which of `NAMES`.
        logs: Folder for each child's lines; without it they go to standard output, named.
        tell: Takes lines about deaths and restarts; None: standard output.
    """
    as_json = settings.log_format == "json" and tell is None

    def tell_named(line: str) -> None:
        with suppress(OSError):  # nobody watching is no reason to stop
            (tell or click.echo)(_said(line, as_json=as_json))

    with ExitStack() as stack:
        listeners = None
        if "api" in names:
            project_salt(settings)  # is made once, before several look for it
            listeners = Listeners(settings.host, settings.port, settings.workers)
            stack.enter_context(closing(listeners))
        fds = listeners.fds if listeners is not None else []

        def steer(ready: frozenset[str]) -> None:
            if listeners is not None:
                listeners.steer([queue for queue in range(len(fds)) if api_name(queue) in ready])

        metrics = stack.enter_context(tempfile.TemporaryDirectory(prefix="bandit-metrics-"))
        processes = Processes(
            logs=logs,
            when_ended=lambda: supervisor.look(),
            as_json_s=time.time if settings.log_format == "json" else None,
        )
        stack.callback(processes.close)
        supervisor = Supervisor(
            children(settings, names, fds=fds, metrics=metrics),
            spawn=processes.spawn,
            monotonic_s=time.monotonic,
            tell=tell_named,
            changed=steer,
        )
        with supervisor.running():
            yield supervisor


def children(
    settings: Settings,
    names: Sequence[str] = NAMES,
    *,
    fds: Sequence[int] = (),
    metrics: str | None = None,
) -> list[Child]:
    """What to run, with its settings in the environment.

    Args:
        names: Which of `NAMES`.
        fds: Sockets that listen for the API: one process each.
        metrics: Folder in which the API's processes share their numbers, unless the environment
            names one.
    """
    env = environ_of(settings, os.environ)
    shared = env if metrics is None else {SHARED_METRICS: metrics} | env
    # Only workers share numbers: the others write theirs in sheets.
    alone = {name: value for name, value in env.items() if name != SHARED_METRICS}
    made: list[Child] = []
    for name in (name for name in NAMES if name in names):
        command = (sys.executable, "-m", "bandit", name)
        if name == "api":
            # All of them start alike, so that whoever is ready first takes a place that is empty.
            one = Child(name, (*command, "--stand-by"), shared, tuple(fds), PULSES[name])
            made += [one._replace(name=api_name(n), order=str(fd)) for n, fd in enumerate(fds)]
            made += [
                one._replace(name=f"api-spare{n}", is_spare=True)
                for n in range(1, settings.spare_workers + 1)
            ]
        else:
            made.append(Child(name, command, alone, pulse=PULSES.get(name), nice=NICE.get(name, 0)))
    return made


def _said(line: str, *, as_json: bool) -> str:
    """What the supervisor says, as people or machines read it."""
    if as_json:
        return wrapped("up", line, time.time(), event="supervisor")
    return f"{'up':9} | {line}"


def api_name(queue: int) -> str:
    """What the API process is called that answers a listener's queue.

    >>> api_name(0)
    'api-1'
    """
    return f"api-{queue + 1}"


def has_terminal() -> bool:
    """Whether there is a terminal that this process belongs to."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def environ_of(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """An environment that gives exactly these settings."""
    given = {name: getattr(settings, name) for name in Settings.__struct_fields__}
    given["data_dir"] = settings.data_dir.resolve()
    ours = {f"BANDIT_{k.upper()}": str(v) for k, v in given.items() if v is not None}
    others = {key: value for key, value in environ.items() if not key.startswith("BANDIT_")}
    return others | ours | {"PYTHONUNBUFFERED": "1"}


def addresses(settings: Settings, names: Sequence[str] = NAMES) -> list[Address]:
    """Where those children answer that do."""
    api = f"http://{reachable(settings.host)}:{settings.port}"
    found = {
        "api": Address("API", api, "/health/ready"),
        "dashboard": Address(
            "Dashboard",
            f"http://{reachable(settings.dashboard_host)}:{settings.dashboard_port}",
            "/_stcore/health",
        ),
        "gateway": Address("ClickHouse", f"http://127.0.0.1:{settings.gateway_port}", "/ping"),
    }
    return [address for name, address in found.items() if name in names]


def wait_until_ready(found: Sequence[Address], stop: Stopping, *, as_json: bool = False) -> bool:
    """Wait until all of them answer; False if `stop` comes first."""
    began_s, is_told, missing = time.monotonic(), False, list(found)
    while missing := [address for address in missing if not _answers(address)]:
        if not is_told and time.monotonic() - began_s > PATIENCE_S:
            is_told = True
            names = ", ".join(address.name for address in missing)
            click.echo(_said(f"still waiting for: {names}", as_json=as_json))
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
