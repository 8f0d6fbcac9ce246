"""Hosts with writers and a drain, learners and a store: real but for disk, store and clock."""

import asyncio
import contextlib
import itertools
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import cast

from msgspec.structs import replace

from bandit.errors import StoreUnavailable
from bandit.journal import Drain, Journal
from bandit.journal.base import Progress
from bandit.journal.folders import Limits
from bandit.journal.giving_up import GIVEN_UP, give_up
from bandit.journal.pressure import Watermarks
from bandit.journal.segments import SUFFIX
from bandit.learning.joiner import SKEW_MS
from bandit.learning.learner import Learner, LearnStep, Pace, Task
from bandit.policies.base import Policy
from bandit.records import Action, AnyLogRecord, Decision
from bandit.specs import PolicySpec
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.drained import SILENT_AFTER_MS
from bandit.store.sink import ClickHouseSink
from bandit.store.snapshots import Snapshots
from bandit.store.tail import Tail
from tests.bandit.learning.fakes import Diary, FakeDefinitions
from tests.bandit.learning.filling import record_of
from tests.bandit.learning.making import decision, event_id, exposure, reward, surface
from tests.simulation.disk import Crash, SimulatedDisk
from tests.simulation.store import SimulatedStore

T0 = 1_793_490_000_000  # an hour before a month ends
Place = tuple[str, str, str, int]
"""Table, surface, writer, seq."""


@dataclass
class Writer:
    """A worker's journal, and what its clients were told."""

    journal: Journal
    unsafe: list[Place] = field(default_factory=list)
    """Appended, and not known to survive a power loss."""


@dataclass
class Host:
    """A machine: its disk, its workers, its drain."""

    name: str
    root: Path
    disk: SimulatedDisk
    drain: Drain | None = None
    writers: dict[str, Writer] = field(default_factory=dict)
    unsafe: list[Place] = field(default_factory=list)
    """Of writers that were killed, what a power loss may take."""


class Watching(ClickHouseSink):
    """Holds a drain to what it promises."""

    def __init__(self, world: "World", host: str) -> None:
        super().__init__(cast("Store", world.store), now_ms=lambda: world.now_ms)
        self._world = world
        self._host = host

    def report(self, progress: Progress) -> None:  # type: ignore[override]
        self._world.check_promise(self._host, progress)
        super().report(progress)


class World:
    """What happens in it is decided by its callers.

    Attributes:
        accepted: What a client was told is accepted, and every power loss so far must leave.
        written: Whatever was ever given a place; it may come or not.
        refused: What the store can not take.
        is_orderly: Nothing came so late or was lost in such a way that a decision could be closed
            before all that belongs to it, or before an older one, was delivered.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = Random(seed)
        self.now_ms = T0
        self.store = SimulatedStore(lambda: self.now_ms, self.rng)
        self.definitions = FakeDefinitions(
            surface(join_window_s=10.0, reward_low=-1e6, reward_high=1e6, aggregation="sum"),
            PolicySpec(key="vw", type="vw", surface="home"),
        )
        self.hosts = [
            Host(name, folder / name / "journal", SimulatedDisk(folder / name / "shadows"))
            for name in ("h1", "h2")
        ]
        self.accepted: dict[Place, AnyLogRecord] = {}
        self.written: dict[Place, AnyLogRecord] = {}
        self.refused: set[str] = set()
        self.last_copies: set[Place] = set()
        self.decided: list[Decision] = []
        self.rewarded: list[AnyLogRecord] = []
        self.is_orderly = True
        self.keeps_promises = True
        self.learners: dict[str, Learner] = {}
        self._ids = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        for host in self.hosts:
            self.start_drain(host)
        for name in ("first", "second"):
            self.start_learner(name)

    # Processes.

    def start_drain(self, host: Host) -> None:
        if host.drain is not None:
            host.drain.close()
        host.drain = Drain(
            host.root,
            Watching(self, host.name),
            host=host.name,
            now_ms=lambda: self.now_ms,
            limits=Limits(block_rows=4, chunk_rows=6, chunk_bytes=4_000),
        )

    def start_learner(self, name: str) -> None:
        self.learners[name] = Learner(
            Task.of(self.definitions.get("policy", "vw"), self.definitions.get("surface", "home")),
            tail=Tail(cast("Store", self.store)),
            snapshots=self.snapshots,
            build=build,
            now_ms=lambda: self.now_ms,
            new_id=lambda: f"change-{next(self._ids)}",
            name=name,
            pace=Pace(interval_s=0.5, rows_n=12),
        )

    def start_writer(self, host: Host) -> str:
        name = f"{host.name}-w{next(self._ids)}"
        host.writers[name] = Writer(
            Journal(
                host.root,
                writer=name,
                durability="disk",
                now_ms=lambda: self.now_ms,
                max_bytes=2_500,
                max_age_s=2.0,
                disk=host.disk,
                watermarks=Watermarks(headroom_bytes=1),
            )
        )
        return name

    @property
    def snapshots(self) -> Snapshots:
        return Snapshots(cast("Store", self.store))

    # Clients.

    def write(self, host: Host, name: str, records: list[AnyLogRecord], *, wait: bool) -> None:
        """Append records and, if a client waits for it, make them safe."""
        writer = host.writers[name]
        places = self._places(writer, records)
        self.written |= dict(zip(places, records, strict=True))
        try:
            writer.journal.append_many(records)
        except Crash:
            self.kill_writer(host, name)
            return
        writer.unsafe += places
        self.accepted |= dict(zip(places, records, strict=True))  # it survives the process
        if wait:
            self._loop.run_until_complete(writer.journal.durable())
            writer.unsafe.clear()

    def _places(self, writer: Writer, records: list[AnyLogRecord]) -> list[Place]:
        seqs: Counter[tuple[str, str]] = Counter()
        places = []
        for record in records:
            stream = (record.table, record.surface)
            seqs[stream] += 1
            before = writer.journal._seqs.get(stream, 0)
            places.append((*stream, writer.journal.writer, before + seqs[stream]))
        return places

    def decision(self) -> Decision:
        n = len(self.decided) + 1
        drawn = n % 2
        made = decision(
            n,
            self.now_ms,
            event_id=event_id(n, self.now_ms),
            actions=(Action.of(f"{n}-a"), Action.of(f"{n}-b")),
            pmf=(0.25, 0.75),
            ranking=(drawn,),
            propensities=((0.25, 0.75)[drawn],),
            deferred=n % 4 == 0,
        )
        record = cast("Decision", record_of(made))
        self.decided.append(record)
        return record

    def feedback(self, kind: str, which: int) -> AnyLogRecord:
        """A reward or an exposure of a decision that was made; or a record once more."""
        if not self.decided:
            return self.decision()
        of = self.decided[-1 - which % len(self.decided)]
        if kind == "repeated decision":
            is_valid = self.now_ms - of.ts_ms < SKEW_MS  # an older id is refused at the door
            return replace(of, ts_ms=self.now_ms) if is_valid else self.decision()
        if kind == "repeated reward" and self.rewarded:
            return replace(self.rewarded[-1 - which % len(self.rewarded)], ts_ms=self.now_ms)
        after_ms = self.now_ms - of.ts_ms
        made = decision(1, of.ts_ms, event_id=of.event_id)
        if kind == "exposure":
            return exposure(made, 0, after_ms=after_ms).record
        ours = "" if kind == "nameless reward" else "home"
        record = reward(
            made, 1.0, after_ms, surface=ours, reward_id=f"r{len(self.rewarded)}"
        ).record
        self.rewarded.append(record)
        return record

    # Faults.

    def kill_writer(self, host: Host, name: str) -> None:
        """`kill -9`: the file is left as it is, the lock is free."""
        writer = host.writers.pop(name)
        host.unsafe += writer.unsafe
        journal = writer.journal
        commits, segment = journal._commits, journal._segment
        assert commits is not None
        commits._thread.shutdown(wait=True)
        for fd in (*commits._retired, segment.fd if segment else None, journal._lock):
            if fd is not None:
                os.close(fd)

    def lose_power(self, host: Host) -> None:
        """All processes of a host end, and its disk has what was synced, and some of the rest."""
        for name in list(host.writers):
            self.kill_writer(host, name)
        stored = self.stored()
        for place in host.unsafe:
            if place not in stored:
                self.accepted.pop(place, None)
        self.last_copies.update(place for place in host.unsafe if place in stored)
        host.unsafe.clear()
        assert host.drain is not None
        host.drain.close()
        if host.root.exists():
            host.disk.lose_power(host.root, self.rng)
        self.start_drain(host)

    def lose_power_of_the_store(self) -> int:
        """The store forgets rows that nobody read back; how many.

        Not those that a host has not synced, or did not have when its own power went: nobody was
        told that they survive that, and two losses of power in a row may take both copies.
        """
        unsafe = [place for host in self.hosts for place in host.unsafe]
        for host in self.hosts:
            unsafe += [place for writer in host.writers.values() for place in writer.unsafe]
        return self.store.lose({*unsafe, *self.last_copies})

    def drain(self, host: Host) -> None:
        assert host.drain is not None
        try:
            host.drain.step()
        except Crash:
            self.start_drain(host)

    def shut_down(self, host: Host) -> None:
        """As a supervisor does: writers first, then the drain, which says that nothing is left."""
        for name in list(host.writers):
            host.writers.pop(name).journal.close()
        assert host.drain is not None
        try:
            host.drain.step()
            host.drain.finish()
        except Crash:
            pass
        self.start_drain(host)

    def give_up(self, host: Host) -> None:
        """What was set aside there has waited long enough."""
        sink = ClickHouseSink(cast("Store", self.store), now_ms=lambda: self.now_ms)
        with contextlib.suppress(StoreUnavailable, Crash):
            give_up(host.root, sink)

    def bring_back(self, host: Host) -> None:
        """Somebody puts what was given up into the journal again: the store gets it, too late."""
        for path in sorted(host.root.glob(f"{GIVEN_UP}/*/*{SUFFIX}")):
            folder = host.root / path.parent.name
            folder.mkdir(exist_ok=True)
            path.rename(folder / path.name)

    def look_for_disorder(self) -> None:
        """Learners go on without a host that is silent, unknown or done: what it has comes late."""
        said = {host: (at_ms, done) for host, _, at_ms, done in self.store._drained_through()}
        stored = self.stored()
        for host in self.hosts:
            at_ms, done = said.get(host.name, (None, False))
            if at_ms is None or done or self.now_ms - at_ms > SILENT_AFTER_MS:
                ours = [place for place in self.written if place[2].startswith(host.name)]
                self.is_orderly &= all(place in stored for place in ours)

    def learn(self, name: str, *, finish: bool = False) -> LearnStep | None:
        self.look_for_disorder()
        try:
            return self.learners[name].step(finish=finish)
        except StoreUnavailable:
            return None
        except Crash:
            self.start_learner(name)
            return None

    def refuse(self, which: int) -> None:
        """From now on the store refuses some record that waits."""
        stored = self.stored()
        waiting = sorted(place for place in self.accepted if place not in stored)
        if waiting:
            self.refused.add(_name(waiting[which % len(waiting)]))
            self.store.trouble.refuses = lambda row: _row_name(row) in self.refused

    def check_promise(self, host: str, progress: Progress) -> None:
        if not self.keeps_promises:
            return
        stored = self.stored()
        for place, record in self.accepted.items():
            if place[2].startswith(host) and record.ts_ms < progress.drained_through_ms:
                assert place in stored or _name(place) in self.refused, f"{place} was promised"

    def check_always(self) -> None:
        """Nothing is stored that nobody wrote, and only what was refused is given up."""
        assert self.stored().keys() <= self.written.keys()
        given_up = self.gaps() & self.accepted.keys()
        assert {_name(place) for place in given_up} <= self.refused

    # What is there.

    def stored(self) -> Counter[Place]:
        """How often each place is in the store, as it lies there."""
        return Counter(
            (table, row["surface"], row["writer"], row["seq"])
            for table in ("decisions", "rewards", "exposures")
            for row in self.store.table(table)
        )

    def gaps(self) -> set[Place]:
        return {
            (gap["log_table"], gap["surface"], gap["writer"], seq)
            for gap in self.store.table("gaps")
            for seq in range(gap["first"], gap["last"] + 1)
        }

    def streams(self) -> dict[tuple[str, str, str], list[int]]:
        found: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        for table, surface_key, writer, seq in sorted(self.stored().keys() | self.gaps()):
            found[table, surface_key, writer].append(seq)
        return found

    def close(self) -> None:
        for host in self.hosts:
            for name in list(host.writers):
                self.kill_writer(host, name)
            if host.drain is not None:
                host.drain.close()
        self._loop.close()


def build(spec: PolicySpec, weights: bytes | None) -> Policy:
    return cast("Policy", Diary(spec, weights))


def definitions_of(world: World) -> Definitions:
    return cast("Definitions", world.definitions)


def _name(place: Place) -> str:
    return "/".join(map(str, place[1:]))


def _row_name(row: dict[str, object]) -> str:
    return f"{row['surface']}/{row['writer']}/{row['seq']}"
