"""`bandit retention`: how long the log is kept."""

import os
import sys

import click

from bandit.cli.wiring import now_ms, open_migrated
from bandit.errors import BadSpec, BanditError
from bandit.records import TABLES
from bandit.settings import Settings
from bandit.specs import Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.retention import Retention


@click.command()
@click.argument("changes", nargs=-1, metavar="[TABLE=DAYS]...")
def command(changes: tuple[str, ...]) -> None:
    """Show how long the log is kept, or change it: `all=400 outcomes=forever`.

    The store removes rows by itself once their time is so many days ago, on each of its nodes; that
    of rewards and exposures is the time of their decision. Weights stay. Learners that start from
    scratch learn from what is retained, but for the oldest week.
    """
    try:
        wanted = _wanted(changes)
        store = open_migrated(Settings.from_environ(os.environ), timeout_s=60.0)
        try:
            retention = Retention(store)
            if wanted:
                retention.keep(wanted, longest_window_s=_longest_window_s(store), now_ms=now_ms())
            for table, days in retention.days().items():
                click.echo(f"{table:<12} {'forever' if days is None else f'{days} days'}")
        finally:
            store.close()
    except BanditError as exc:
        click.echo(f"bandit retention: {exc}", err=True)
        sys.exit(1)


def _wanted(changes: tuple[str, ...]) -> dict[str, int | None]:
    wanted: dict[str, int | None] = {}
    for change in changes:
        table, _, days = change.partition("=")
        if days != "forever" and not days.isdecimal():
            raise BadSpec(f"{change!r} must be a table or all, =, and days or forever")
        for each in TABLES if table == "all" else (table,):
            wanted[each] = None if days == "forever" else int(days)
    return wanted


def _longest_window_s(store: Store) -> float:
    specs = (definition.spec for definition in Definitions(store).all())
    return max((spec.join_window_s for spec in specs if isinstance(spec, Surface)), default=0.0)
