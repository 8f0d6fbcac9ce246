"""One fault after another, each on a fresh service under load, each judged by the oracle."""

import random
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.chaos import acknowledged, faults, rig
from tests.chaos.figures import Figures, figures, gaps
from tests.chaos.oracle import Verdict, check
from tests.chaos.rig import Budget, Event, Rig
from tests.chaos.service import Service, loaded

WARM_S = 2.0
NO_OVERRIDE = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
"""Runs root as somebody for whom a mode of 0555 means read-only."""
DISK_BYTES = 256 * 1024 * 1024

Setting = Callable[[Path, random.Random, Budget, float], AbstractContextManager[Rig]]


class Phase(NamedTuple):
    """A fault and the service that it needs."""

    name: str
    breaking: faults.Breaking
    setting: Setting
    window_s: float = 5.0


class Row(NamedTuple):
    """What came of a phase."""

    phase: str
    events: list[Event]
    figures: Figures
    verdict: Verdict
    notes: dict[str, str]
    gaps: list[str]


@contextmanager
def small_disk(folder: Path, rng: random.Random, budget: Budget, window_s: float) -> Iterator[Rig]:
    """Everything on a file system of its own that is small; mounting it takes root."""
    data = folder / "data"
    data.mkdir(parents=True)
    size = f"size={DISK_BYTES},mode=0755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "chaos", str(data)], check=True)
    try:
        with rig.embedded(folder, rng, budget, window_s) as made:
            yield made
    finally:
        subprocess.run(["umount", "--lazy", str(data)], check=True)


@contextmanager
def powerless(folder: Path, rng: random.Random, budget: Budget, window_s: float) -> Iterator[Rig]:
    """Without root's right to write where it may not; ClickHouse keeps it."""
    with rig.proxied(folder, rng, budget, window_s, prefix=NO_OVERRIDE) as made:
        yield made


@contextmanager
def on_our_clock(
    folder: Path, rng: random.Random, budget: Budget, window_s: float
) -> Iterator[Rig]:
    """With a wall clock that we can step, in every Python process."""
    folder.mkdir(parents=True)
    clock = folder / "clock"
    clock.write_bytes(struct.pack("<q", 0))
    environ = {"CHAOS_CLOCK": str(clock), "PYTHONPATH": str(Path(__file__).parent / "clock")}
    with rig.embedded(folder, rng, budget, window_s, environ=environ) as made:
        yield made


PHASES = {
    phase.name: phase
    for phase in (
        Phase("kills", faults.kills, rig.embedded),
        Phase("supervisor", faults.supervisor_killed, rig.embedded),
        Phase("away", faults.gateway_away, rig.proxied),
        Phase("slow", faults.gateway_slow, rig.proxied),
        Phase("errors", faults.gateway_errors, rig.proxied),
        Phase("reset", faults.reset_after_commit, rig.proxied),
        Phase("disk", faults.disk_full, small_disk),
        Phase("read-only", faults.read_only, powerless),
        Phase("clock", faults.clock_steps, on_our_clock),
        Phase("snapshots", faults.corrupt_snapshots, rig.proxied),
    )
}


def run(
    phase: Phase, folder: Path, *, seed: int, rate: float, budget: Budget, replay_n: int = 200
) -> Row:
    """Start a service, load it, break it, let it rest, and judge it.

    Args:
        phase: What to break.
        folder: For everything that is written.
        seed: The same gives the same choices, if not the same moments.
        rate: Requests per second.
        budget: How much to break.
        replay_n: So many decisions are made again from log and snapshots.
    """
    rng = random.Random(f"{seed}:{phase.name}")
    folder.mkdir(parents=True, exist_ok=True)
    with phase.setting(folder / "service", rng, budget, phase.window_s) as made:
        journal = folder / "load.jsonl"
        with loaded(made.service, journal, rate=rate, seed=seed):
            time.sleep(WARM_S)
            phase.breaking(made)
        known = acknowledged.read([journal])
        verdict = check(made.service, known)
        problems = [*verdict.problems, *made.problems, *_replayed(made.service, replay_n)]
    return Row(
        phase.name,
        made.events,
        figures(known.attempts, made.events),
        verdict._replace(problems=problems),
        made.figures,
        [_explained(gap, made.events) for gap in gaps(known.attempts, 0.5)],
    )


def _replayed(service: Service, n: int) -> Sequence[str]:
    """A decision is what its snapshot gives: whoever served a damaged one could not be replayed."""
    if not n:
        return ()
    answer = service.run("replay", "home.feed", "--sample", str(n), "--seed", "7")
    if " 0 differing" in answer.stdout:  # but some without their snapshot: we damaged it
        return ()
    return (f"replay: {answer.stdout[-500:]}{answer.stderr[-500:]}",)


def _explained(gap: tuple[float, float], events: Sequence[Event]) -> str:
    """A gap and what happened shortly before."""
    since_s, until_s = gap
    before = [
        f"{event.what} {since_s - event.began_s:+.2f} s before"
        for event in events
        if since_s - 3.0 <= event.ended_s and event.began_s <= until_s
    ]
    return f"{until_s - since_s:.2f} s: {', '.join(before) or 'nothing near'}"
