"""`bandit learn`: train policies from the log and publish snapshots."""

import logging
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable, Collection

import click

from bandit.cli.heartbeat import Heartbeat
from bandit.cli.stopping import Stop, Stopping
from bandit.cli.wiring import announce, log_to_stderr, now_ms, open_migrated, open_store, sheet
from bandit.errors import BanditError, StoreUnavailable
from bandit.learning.fleet import Fleet
from bandit.learning.learner import Learner, LearnStep, Pace, Task
from bandit.learning.rebuilding import rebuild
from bandit.logs import tell
from bandit.policies import build
from bandit.service.metering_learn import LearnMeter
from bandit.settings import Settings
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.erasures import Erasures
from bandit.store.retention import Retention, Upkeep
from bandit.store.snapshots import Snapshots
from bandit.store.tail import Tail

log = logging.getLogger(__name__)

POLL_S = 0.1
RECONNECT_S = 0.5
SUMMARY_S = 10.0


@click.command()
@click.argument("policies", nargs=-1)
@click.option("--rebuild", "rebuilt", metavar="POLICY", help="Retrain it from the log and compare.")
def command(policies: tuple[str, ...], rebuilt: str | None) -> None:
    """Train POLICIES, or else every policy that learns, and publish snapshots.

    Policies that are declared later get a learner too. Run one process for each policy at most: a
    second one only stands by. With --rebuild nothing is published; it ends with 1 if the weights
    come out differently.
    """
    stop = Stop.on_signals()
    try:
        settings = Settings.from_environ(os.environ)
        log_to_stderr(settings, "learn")
        if rebuilt is not None:
            sys.exit(0 if _rebuild(settings, rebuilt) else 1)
        announce(settings, "learn", ", ".join(policies) or "every policy")
        run(settings, policies, stop)
    except BanditError as exc:
        click.echo(f"bandit learn: {exc}", err=True)
        sys.exit(1)


def run(settings: Settings, policies: Collection[str], stop: Stopping) -> None:
    """Learn until `stop`, then publish what is ready.

    Raises:
        BanditError: A setting or a migration that no waiting will mend.
    """
    outage, heartbeat = _Outage(), Heartbeat(os.environ)
    meter = LearnMeter(sheet(settings, "-".join(("learn", *sorted(policies)))), now_ms=now_ms)
    store = None
    while store is None and not stop.is_set():
        heartbeat.beat()
        with outage:
            store = open_migrated(settings)
        meter.waiting({})
        stop.wait(RECONNECT_S if store is None else 0)
    if store is None:
        return
    try:
        upkeep = Upkeep(Retention(store))
        _learn(_fleet(settings, policies, store), upkeep, outage, stop, meter, heartbeat)
        meter.close()
    finally:
        store.close()


def _learn(
    fleet: Fleet,
    upkeep: Upkeep,
    outage: "_Outage",
    stop: Stopping,
    meter: LearnMeter,
    heartbeat: Heartbeat,
) -> None:
    summary = _Summary()
    while not stop.is_set():
        heartbeat.beat()
        pause_s = RECONNECT_S
        with outage:
            upkeep.step(now_ms())
            steps = fleet.step()
            summary.add(steps)
            meter.stepped(fleet.learners, steps)
            pause_s = 0.0 if any(step.more for step in steps.values()) else POLL_S
        if outage.is_away:
            meter.waiting(fleet.learners)
        stop.wait(pause_s)
    with outage:
        summary.add(fleet.step(finish=True))
    summary.write()


def following(settings: Settings, store: Store) -> Tail:
    """The log for one reader, who waits for no host that is silent."""
    return Tail(store, silent_after_ms=settings.silent_host_ms)


def hiring(settings: Settings, store: Store) -> Callable[[Task], Learner]:
    """What makes a learner for a task."""
    snapshots = Snapshots(store)
    name = f"{socket.gethostname()}-{os.getpid()}"

    def hire(task: Task) -> Learner:
        return Learner(
            task,
            tail=following(settings, store),
            snapshots=snapshots,
            build=build,
            now_ms=now_ms,
            new_id=lambda: uuid.uuid4().hex,
            name=name,
            pace=Pace(settings.snapshot_interval_s),
        )

    return hire


def _fleet(settings: Settings, policies: Collection[str], store: Store) -> Fleet:
    return Fleet(
        policies,
        definitions=Definitions(store),
        hire=hiring(settings, store),
        now_ms=now_ms,
        erasures=Erasures(store).of_policies,
    )


def _rebuild(settings: Settings, policy: str) -> bool:
    store = open_store(settings, readonly=True)
    try:
        report = rebuild(
            policy,
            tail=Tail(store),
            snapshots=Snapshots(store),
            definitions=Definitions(store),
            build=build,
        )
    finally:
        store.close()
    verdict = "equal" if report.equal and report.counts_equal else "DIFFERENT"
    click.echo(
        f"{report.policy}@{report.number}: {verdict} after {report.steps_n} steps and "
        f"{report.lessons_n} lessons\n  digest {report.digest}\n  logged {report.expected}"
    )
    return report.equal and report.counts_equal


class _Outage:
    """Lets the store be away: says so once, and once that it is back."""

    def __init__(self) -> None:
        self.is_away = False

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> bool:
        is_away = isinstance(exc, StoreUnavailable)
        if is_away and not self.is_away:
            tell(log, logging.WARNING, "store_away", "waiting for the store: %(why)s", why=exc)
        elif self.is_away and exc is None:
            tell(log, logging.WARNING, "store_back", "the store is back")
        self.is_away = is_away
        return is_away


class _Summary:
    """What happened since the last line of it; one line per policy at most every ten seconds."""

    def __init__(self) -> None:
        self._since_s = time.monotonic()
        self._steps: dict[str, list[LearnStep]] = {}

    def add(self, steps: dict[str, LearnStep]) -> None:
        for policy, step in steps.items():
            if step.rows_n or step.snapshot:
                self._steps.setdefault(policy, []).append(step)
        if time.monotonic() - self._since_s >= SUMMARY_S:
            self.write()

    def write(self) -> None:
        now_s = time.monotonic()
        for policy, steps in self._steps.items():
            snapshots = [step.snapshot for step in steps if step.snapshot]
            tell(
                log,
                logging.INFO,
                "learned",
                "policy=%(policy)s seconds=%(seconds).1f rows=%(rows)d lessons=%(lessons)d "
                "snapshots=%(snapshots)d newest=%(newest)s waiting=%(waiting)d",
                policy=policy,
                seconds=now_s - self._since_s,
                rows=sum(step.rows_n for step in steps),
                lessons=sum(step.lessons_n for step in steps),
                snapshots=len(snapshots),
                newest=snapshots[-1] if snapshots else "-",
                waiting=steps[-1].waiting_n,
            )
        self._steps.clear()
        self._since_s = now_s
