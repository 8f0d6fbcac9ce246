"""`bandit export`: a surface's log for other programs."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import click

from bandit.cli.wiring import now_ms, open_store
from bandit.errors import BanditError
from bandit.service.exporting import Export
from bandit.service.exports import Exports
from bandit.settings import Settings
from bandit.specs import Surface
from bandit.store.definitions import Definitions
from bandit.store.tail import Tail

TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])


@click.command()
@click.argument("surface")
@click.option("--format", "shape", type=click.Choice(["dsjson"]), default="dsjson")
@click.option("--since", type=TIME, help="Only decisions made then or later (UTC).")
@click.option("--until", type=TIME, help="Only decisions made before (UTC).")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A file; else stdout.")
def command(
    surface: str,
    shape: str,
    since: datetime | None,
    until: datetime | None,
    output: Path | None,
) -> None:
    """Write the log of SURFACE as Vowpal Wabbit's joined log, one decision a line.

    A decision is written once its join window has ended, with what its slots earned by then, as
    policies learn it. One slot is a line for `vw --dsjson --cb_explore_adf`, several are one for
    `vw --dsjson --ccb_explore_adf`. Pinned, overridden and forced decisions say `_skipLearn`.

    Where it was written is noted in the data directory, so that `bandit forget` finds it.
    """
    try:
        settings = Settings.from_environ(os.environ)
        store = open_store(settings, readonly=True)
        try:
            declared = Definitions(store).get(Surface.kind, surface).spec
            assert isinstance(declared, Surface)
            export = Export(Tail(store), declared)
            Exports(settings.data_dir).note(output, surface, now_ms=now_ms())
            with _opened(output) as file:
                for line in export.lines(
                    now_ms=now_ms(), since_ms=_ms(since) or 0, until_ms=_ms(until)
                ):
                    file.write(line + b"\n")
        finally:
            store.close()
    except BanditError as exc:
        click.echo(f"bandit export: {exc}", err=True)
        sys.exit(1)
    click.echo(
        f"{export.lines_n} decisions written, {export.unseen_n} left out that nobody saw, "
        f"{export.waiting_n} whose rewards may still come",
        err=True,
    )


def _ms(time: datetime | None) -> int | None:
    return None if time is None else int(time.replace(tzinfo=UTC).timestamp() * 1000)


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    """Stdout, or a file that is there as a whole or not at all."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
