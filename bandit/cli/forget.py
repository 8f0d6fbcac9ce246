"""`bandit forget`: take units out of everything, and give a receipt."""

import getpass
import os
import sys
import time
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

import click

from bandit.cli.drain import host_name
from bandit.cli.learn import following, hiring
from bandit.cli.wiring import host_clock, log_to_stderr, open_migrated, project_salt
from bandit.errors import BanditError
from bandit.journal import Drain
from bandit.service.exports import Exports
from bandit.service.forgetting import Ambient, Forgetting, Forgotten, Kept
from bandit.service.last_good import LastGood
from bandit.settings import Settings
from bandit.store.client import Store
from bandit.store.erasures import Erasure, Erasures
from bandit.store.sink import ClickHouseSink

INCOMPLETE = 3
"""Exit code: the unit is forgotten here, and a person must look at what is printed."""


@click.command()
@click.argument("unit", required=False)
@click.option(
    "--file",
    "listed",
    type=click.File("r", encoding="utf-8"),
    help="A unit on each line; - is stdin.",
)
@click.option("--receipt", metavar="ID", help="Show the receipt of an earlier run.")
@click.option(
    "--wait",
    "patience_s",
    type=click.IntRange(min=1),
    default=600,
    show_default=True,
    help="Longest wait for a single step, in seconds.",
)
def command(
    unit: str | None, listed: Iterable[str] | None, receipt: str | None, patience_s: int
) -> None:
    """Forget UNIT: what it was shown, what came back, and what was learned from it.

    Its decisions, their rewards and exposures, its outcomes and assignments leave the store, this
    host's journal and the files that were exported here. Policies that had learned from its
    surfaces lose their weights and learn again from the log that is left. It is over when the store
    has no file left that held what was removed. Run it with the service up; if it is cut off, run
    it again.

    Ends with 3 if something is left that it can not reach, and says what.
    """
    units = [*([unit] if unit else []), *_lines(listed)]
    if bool(units) == (receipt is not None):
        raise click.UsageError("give a UNIT, a --file of units, or the --receipt to show")
    try:
        settings = Settings.from_environ(os.environ)
        log_to_stderr(settings, "forget")
        store = open_migrated(settings, timeout_s=float(patience_s))
        try:
            if receipt is not None:
                _show(Erasures(store).get(receipt))
                return
            forgotten = _forget(settings, store, units, patience_s)
        finally:
            store.close()
    except (BanditError, OSError) as exc:
        click.echo(f"bandit forget: {exc}", err=True)
        sys.exit(1)
    for each in forgotten.receipts:
        _show(each)
    for what in forgotten.unreached:
        click.echo(f"not reached: {what}", err=True)
    sys.exit(INCOMPLETE if forgotten.unreached else 0)


def _forget(settings: Settings, store: Store, units: list[str], patience_s: int) -> Forgotten:
    now_ms = host_clock(settings).now_ms
    sink = ClickHouseSink(store, now_ms=now_ms)
    drain = Drain(settings.journal_dir, sink, host=host_name(settings), now_ms=now_ms)
    writer = f"forget-{os.getpid()}"
    try:
        forgotten = Forgetting(
            store,
            Kept(
                settings.journal_dir,
                drain,
                LastGood(settings.cache_dir, writer=writer),
                Exports(settings.data_dir),
            ),
            Ambient(now_ms, lambda: uuid.uuid4().hex, time.sleep, patience_s * 1000),
            salt=project_salt(settings),
            author=getpass.getuser(),
            tail=following(settings, store),
            hire=hiring(settings, store),
        ).forget(units)
        drain.finish()
        return forgotten
    finally:
        drain.close()


def _lines(listed: Iterable[str] | None) -> list[str]:
    return [line.rstrip("\r\n") for line in listed or () if line.strip()]


def _show(erasure: Erasure) -> None:
    begun, came = (
        datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")
        for ms in (erasure.requested_ms, erasure.at_ms)
    )
    click.echo(f"receipt {erasure.erasure_id}: {erasure.state}")
    click.echo(f"  unit      {erasure.unit_digest} (keyed digest)")
    click.echo(f"  by        {erasure.author}, {begun} to {came}")
    removed = ", ".join(f"{n} {what}" for what, n in sorted(erasure.removed.items()))
    click.echo(f"  removed   {removed or 'nothing: there was none'}")
    for policy in erasure.policies:
        again = [f"{at} {d}" for at, d in erasure.digests.items() if at.startswith(f"{policy}@")]
        click.echo(f"  rebuilt   {', '.join(again) or f'{policy} (had learned nothing yet)'}")
