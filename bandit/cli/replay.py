"""`bandit replay`: make logged decisions again, and say whether they come out identical."""

import os
import sys
from collections.abc import Iterable

import click

from bandit.cli.wiring import open_store, project_salt
from bandit.errors import BanditError, NotFound
from bandit.records import LoggedDecision
from bandit.service.replaying import ReplayService
from bandit.service.retraining import retraining
from bandit.settings import Settings
from bandit.store.decisions import Decisions
from bandit.store.definitions import Definitions
from bandit.store.snapshots import Snapshots

SHOWN = 10
"""Of how many decisions that differ the differences are printed."""


@click.command()
@click.argument("surface")
@click.option("--sample", "n", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def command(surface: str, n: int, seed: int) -> None:
    """Replay decisions of SURFACE from the log, drawn at random.

    Ends with 1 if any of them comes out differently, or if none could be replayed.
    """
    try:
        settings = Settings.from_environ(os.environ)
        store = open_store(settings, readonly=True)
        try:
            service = ReplayService(
                lambda: Definitions(store),
                lambda: Snapshots(store),
                salt=project_salt(settings),
                retrain=retraining(lambda: store),
            )
            decisions = Decisions(store).sample(surface, n, seed)
            identical = _replay(service, decisions)
        finally:
            store.close()
    except BanditError as exc:
        click.echo(f"bandit replay: {exc}", err=True)
        sys.exit(1)
    sys.exit(0 if identical else 1)


def _replay(service: ReplayService, decisions: Iterable[LoggedDecision]) -> bool:
    """Replay, print, and tell whether all that could be replayed came out identical."""
    identical, differing, lost = 0, 0, 0
    # In the order of snapshots: each is loaded once, and those whose weights are not kept are
    # learned again on one way through the log.
    for decision in sorted(decisions, key=lambda d: (d.policy, d.snapshot, d.event_id)):
        try:
            replay = service.replay(decision)
        except NotFound:  # neither the weights are kept nor all that they were learned from
            lost += 1
            continue
        if replay.identical:
            identical += 1
            continue
        differing += 1
        if differing <= SHOWN:
            click.echo(f"{replay.event_id}: {'; '.join(replay.differences)}")
    click.echo(f"{identical} identical, {differing} differing, {lost} without their snapshot")
    return differing == 0 and identical > 0
