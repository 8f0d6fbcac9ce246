"""`bandit replay`: make logged decisions again, and say whether they come out identical."""

import os
import sys
from collections.abc import Iterable

import click

from bandit.cli.wiring import open_store, project_salt
from bandit.errors import BanditError, NotFound, SnapshotCorrupt
from bandit.service.replaying import Replay, ReplayService
from bandit.settings import Settings
from bandit.store.decisions import Decisions

SHOWN = 10
"""Of how many decisions that do not come out identical it is printed why."""


@click.command()
@click.argument("surface")
@click.option("--sample", "n", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def command(surface: str, n: int, seed: int) -> None:
    """Replay decisions of SURFACE from the log, drawn at random.

    Weights that the store does not hold any more, or damaged, are learned again from the log. Ends
    with 1 if any decision comes out differently, or if none could be replayed.
    """
    try:
        settings = Settings.from_environ(os.environ)
        store = open_store(settings, readonly=True)
        try:
            service = ReplayService.of_store(lambda: store, salt=project_salt(settings))
            sample = Decisions(store).sample(surface, n, seed)
            identical = _print_all(service.replay_all(sample))
            if service.damaged:
                click.echo(
                    f"learned again from the log, since what the store holds is damaged: "
                    f"{', '.join(dict.fromkeys(service.damaged))}"
                )
        finally:
            store.close()
    except BanditError as exc:
        click.echo(f"bandit replay: {exc}", err=True)
        sys.exit(1)
    sys.exit(0 if identical else 1)


def _print_all(replays: Iterable[Replay | NotFound | SnapshotCorrupt]) -> bool:
    """Print counts and what differs; tell whether all that had its snapshot is identical."""
    identical, differing, lost, corrupt = 0, 0, 0, 0
    why_lost = ""
    for replay in replays:
        match replay:
            case NotFound():  # neither the weights are kept nor all that they were learned from
                lost += 1
                why_lost = why_lost or str(replay)
                continue
            case SnapshotCorrupt():
                corrupt += 1
                text = str(replay)
            case Replay(identical=True):
                identical += 1
                continue
            case Replay():
                differing += 1
                text = f"{replay.event_id}: {'; '.join(replay.differences)}"
        if differing + corrupt <= SHOWN:
            click.echo(text)
    click.echo(
        f"{identical} identical, {differing} differing, {lost} without their snapshot, "
        f"{corrupt} with a corrupt one"
    )
    if why_lost:
        click.echo(f"without their snapshot, the first of them: {why_lost}")
    return differing == corrupt == 0 < identical
