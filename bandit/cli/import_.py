"""`bandit import`: logs of other services into a surface's log."""

import os
import sys
from pathlib import Path

import click

from bandit.cli.wiring import now_ms, open_migrated, project_salt
from bandit.errors import BanditError
from bandit.service.importing import Checked, Import
from bandit.settings import Settings
from bandit.specs import Surface
from bandit.store.definitions import Definitions
from bandit.store.sink import ClickHouseSink

SHOWN = 20
"""Of how many bad lines the reason is printed."""


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--surface", required=True, help="Whose log it becomes part of.")
@click.option("--skip-bad", is_flag=True, help="Import the good lines of a file that has bad ones.")
def command(file: Path, surface: str, *, skip_bad: bool) -> None:
    """Import FILE, Vowpal Wabbit's joined log (DSJSON), as decisions of the policy `imported`.

    Lines that say `_skipLearn` are left out: their probabilities are not what users saw. A file
    with a bad line is not imported at all, unless told so. Importing a file again stores what is
    missing, and else nothing.

    Policies learn what is imported like anything else; one that is to learn from it in the order of
    its times is best declared afterwards.
    """
    try:
        settings = Settings.from_environ(os.environ)
        store = open_migrated(settings)
        try:
            declared = Definitions(store).get(Surface.kind, surface).spec
            assert isinstance(declared, Surface)
            sink = ClickHouseSink(store, now_ms=now_ms)
            importing = Import(sink, declared, salt=project_salt(settings))
            checked = importing.check(file)
            _tell_bad(checked)
            if checked.bad and not skip_bad:
                click.echo("nothing was imported: mend the lines, or say --skip-bad", err=True)
                sys.exit(1)
            stored = importing.store(file, checked.digest)
        finally:
            store.close()
    except BanditError as exc:
        click.echo(f"bandit import: {exc}", err=True)
        sys.exit(1)
    click.echo(
        f"{stored.decisions_n} decisions with {stored.rewards_n} rewards, {stored.new_n} rows of "
        f"them new; {checked.skipped_n} lines left out that nothing can be learned from, "
        f"{len(checked.bad)} bad ones"
    )


def _tell_bad(checked: Checked) -> None:
    for number, reason in checked.bad[:SHOWN]:
        click.echo(f"line {number}: {reason}", err=True)
    if len(checked.bad) > SHOWN:
        numbers = ", ".join(str(bad.number) for bad in checked.bad[SHOWN:])
        click.echo(f"and lines {numbers}", err=True)
