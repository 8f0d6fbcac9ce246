"""`bandit keys`: make, list, revoke and rotate API keys."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
import msgspec
from rich.console import Console
from rich.table import Table

from bandit.cli.wiring import now_ms, open_migrated
from bandit.errors import BanditError
from bandit.service.keys import KeyService, ListedKey, MadeKey
from bandit.settings import Settings
from bandit.store.keys import SCOPES, Keys, Scope
from bandit.wire import Key

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


def _name(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """What surfaces and policies are called by; a callback of options."""
    try:
        return value if value is None else msgspec.convert(value, Key)
    except msgspec.ValidationError:
        raise click.BadParameter(
            f"{value!r} must be lower-case letters, digits, '.', '_' and '-', at most 100"
        ) from None


@click.group("keys")
def command() -> None:
    """Make, list, revoke and rotate API keys.

    They are asked for where BANDIT_AUTH is `keys`. Every worker knows a change within
    BANDIT_REFRESH_INTERVAL_S.
    """


@command.command()
@click.argument("client", callback=_name)
@click.option("--project", callback=_name, default="default", show_default=True)
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    default=("rank", "reward"),
    show_default=True,
    help="What it may do; may be given several times.",
)
@click.option("--expires-in-days", type=click.FloatRange(min=0, min_open=True), help="Else never.")
@click.option(
    "--rate-limit",
    type=click.FloatRange(min=0, min_open=True),
    help="Requests a second and worker.  [BANDIT_RATE_LIMIT]",
)
def create(
    client: str,
    project: str,
    scopes: tuple[Scope, ...],
    expires_in_days: float | None,
    rate_limit: float | None,
) -> None:
    """Make a key for a CLIENT of a project; it is shown once, on standard output."""
    expires_ms = None if expires_in_days is None else now_ms() + round(expires_in_days * DAY_MS)
    with _service() as service:
        made = service.create(project, client, scopes, expires_ms=expires_ms, rate_limit=rate_limit)
    _show(made)


@command.command("list")
@click.option("--project", callback=_name, help="Only this one's.")
def list_all(project: str | None) -> None:
    """List the keys, and when each was last used."""
    with _service() as service:
        found = [one for one in service.all() if project in (None, one.key.project)]
    table = Table("key", "project", "client", "may", "state", "expires", "last used", box=None)
    at_ms = now_ms()
    for one in found:
        table.add_row(*_cells(one, at_ms))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


@command.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """End a key for good."""
    with _service() as service:
        key = service.revoke(key_id)
    click.echo(f"key {key.key_id} of client {key.client} of project {key.project} is revoked")


@command.command()
@click.argument("key_id")
@click.option(
    "--grace-hours",
    type=click.FloatRange(min=0),
    default=24.0,
    show_default=True,
    help="How long the old key is still good.",
)
@click.option("--expires-in-days", type=click.FloatRange(min=0, min_open=True), help="Else never.")
def rotate(key_id: str, grace_hours: float, expires_in_days: float | None) -> None:
    """Make a key that may do what another may; the other ends after a while."""
    expires_ms = None if expires_in_days is None else now_ms() + round(expires_in_days * DAY_MS)
    with _service() as service:
        made = service.rotate(key_id, grace_ms=round(grace_hours * HOUR_MS), expires_ms=expires_ms)
    _show(made)
    click.echo(f"key {key_id} is good for {grace_hours:g} hours more", err=True)


@contextmanager
def _service() -> Iterator[KeyService]:
    try:
        store = open_migrated(Settings.from_environ(os.environ))
        try:
            yield KeyService(Keys(store), now_ms=now_ms, entropy=os.urandom, author="cli")
        finally:
            store.close()
    except BanditError as exc:
        raise click.ClickException(str(exc)) from exc


def _show(made: MadeKey) -> None:
    key = made.key
    click.echo(
        f"client {key.client} of project {key.project} may {', '.join(key.scopes)}; this is the "
        "only time that its key is shown:",
        err=True,
    )
    click.echo(made.text)


def _cells(one: ListedKey, at_ms: int) -> tuple[str, ...]:
    key = one.key
    state = "live" if key.is_live(at_ms) else "revoked" if key.revoked else "expired"
    return (
        key.key_id,
        key.project,
        key.client,
        ", ".join(key.scopes),
        state,
        _time(key.expires_ms) or "never",
        _time(one.used_ms) or "not that is known",
    )


def _time(ms: int | None) -> str:
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%MZ")
