"""Whatever crashes, tears, forgets, lies or comes late: nothing accepted is lost, learned twice, or
learned otherwise than the log says; and once the faults end, all of it is done in bounded time.

The real journal, drain, sink, tail, joiner, learner and snapshots over a simulated clock, disk and
store. `HYPOTHESIS_PROFILE=long` looks a hundred times as long, or for `HYPOTHESIS_LIVES` lives.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bandit.journal.quarantine import restore
from bandit.learning.rebuilding import rebuild
from bandit.learning.training import Training
from bandit.specs import PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.snapshots import Snapshot
from bandit.store.tail import Tail
from tests.bandit.learning.fakes import Diary
from tests.simulation.world import Host, World, build, definitions_of

KINDS = st.sampled_from(
    [
        "decision",
        "decision",
        "reward",
        "nameless reward",
        "exposure",
        "repeated reward",
        "repeated decision",
    ]
)
WRITES = st.lists(st.tuples(KINDS, st.integers(0, 7)), min_size=1, max_size=6)
HOSTS = st.integers(0, 1)
LEARNERS = st.sampled_from(["first", "second"])
PASSES_MAX = 150
"""After the faults have ended, everything is delivered within so many passes."""
STEPS_MAX = 300
"""And learned within so many steps."""


class Simulation(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.world = World(self.folder, seed)
        self.calm = 0

    def host(self, which: int) -> Host:
        return self.world.hosts[which]

    @rule(which=HOSTS, writes=WRITES, wait=st.booleans(), newer=st.booleans())
    def write(self, which: int, writes: list[tuple[str, int]], wait: bool, newer: bool) -> None:
        host = self.host(which)
        names = sorted(host.writers)
        name = names[-1 if newer else 0] if names else self.world.start_writer(host)
        self.world.write(host, name, [self.make(*one) for one in writes], wait=wait)

    def make(self, kind: str, which: int) -> object:
        return self.world.decision() if kind == "decision" else self.world.feedback(kind, which)

    @rule(which=HOSTS)
    def two_hosts_log_one_decision(self, which: int) -> None:
        for host in (self.host(which), self.host(1 - which)):
            name = min(host.writers) if host.writers else self.world.start_writer(host)
            record = self.make("decision" if host is self.host(which) else "repeated decision", 0)
            self.world.write(host, name, [record], wait=False)

    @rule(which=HOSTS)
    def start_writer(self, which: int) -> None:
        if len(self.host(which).writers) < 2:
            self.world.start_writer(self.host(which))

    @rule(which=HOSTS, times=st.integers(1, 3))
    def drain(self, which: int, times: int) -> None:
        for _ in range(times):
            self.world.drain(self.host(which))
            self.world.now_ms += 100

    @rule(name=LEARNERS, times=st.integers(1, 3), finish=st.booleans())
    def learn(self, name: str, times: int, finish: bool) -> None:
        for _ in range(times):
            self.world.learn(name, finish=finish)

    @rule(ms=st.sampled_from([1, 300, 3_000, 12_000, 60_000]))
    def wait(self, ms: int) -> None:
        self.world.now_ms += ms

    @rule(ms=st.sampled_from([400_000, 4_000_000, 9_000_000]))
    def wait_long(self, ms: int) -> None:
        self.world.now_ms += ms

    @rule(which=HOSTS)
    def tick(self, which: int) -> None:
        for writer in self.host(which).writers.values():
            writer.journal.tick()

    # Ends of processes.

    @precondition(lambda self: any(host.writers for host in self.world.hosts))
    @rule(which=HOSTS, share=st.floats(0, 1), writes=WRITES)
    def kill_writer_while_it_appends(
        self, which: int, share: float, writes: list[tuple[str, int]]
    ) -> None:
        host = self.host(which)
        if host.writers:
            host.disk.cut = share
            name = min(host.writers)
            self.world.write(host, name, [self.make(*one) for one in writes], wait=False)
            host.disk.cut = None

    @rule(which=HOSTS, calls=st.integers(0, 6), after=st.booleans())
    def kill_drain(self, which: int, calls: int, after: bool) -> None:
        self.world.store.trouble.dies_in, self.world.store.trouble.dies_after = calls, after
        self.world.drain(self.host(which))
        self.world.store.trouble.dies_in = None

    @rule(name=LEARNERS, calls=st.integers(0, 12), after=st.booleans())
    def kill_learner(self, name: str, calls: int, after: bool) -> None:
        self.world.store.trouble.dies_in, self.world.store.trouble.dies_after = calls, after
        self.world.learn(name, finish=True)
        self.world.store.trouble.dies_in = None

    @rule(which=HOSTS)
    def lose_power(self, which: int) -> None:
        self.world.lose_power(self.host(which))

    @rule(which=HOSTS)
    def shut_down(self, which: int) -> None:
        self.world.shut_down(self.host(which))

    # Troubles of the store.

    @rule(
        answers=st.lists(
            st.sampled_from(["stored", "lost", "kept", "swallowed", "partly", "later"]),
            min_size=1,
            max_size=3,
        )
    )
    def trouble_store(self, answers: list[str]) -> None:
        self.world.store.trouble.answers.extend(answers)

    @rule(is_down=st.booleans())
    def reach_store(self, is_down: bool) -> None:
        self.world.store.trouble.is_down = is_down

    @rule()
    def land_what_was_on_its_way(self) -> None:
        self.world.store.land()

    @rule()
    def forget_tokens(self) -> None:
        self.world.store.forget_tokens()

    @rule(is_lagging=st.booleans(), share=st.floats(0, 1))
    def lag(self, is_lagging: bool, share: float) -> None:
        self.world.store.trouble.is_lagging = is_lagging
        self.world.is_orderly = self.world.is_orderly and not is_lagging
        self.world.store.show(share)

    @rule()
    def cut_the_power_of_the_store(self) -> None:
        if self.world.lose_power_of_the_store():
            self.world.is_orderly = self.world.keeps_promises = False

    @rule(which=st.integers(0, 1_000))
    def refuse(self, which: int) -> None:
        self.world.refuse(which)

    @rule()
    def accept_again(self) -> None:
        self.world.store.trouble.refuses = lambda row: False

    @rule(which=HOSTS)
    def bring_back_what_was_given_up(self, which: int) -> None:
        self.world.bring_back(self.host(which))

    @rule(which=HOSTS)
    def give_up(self, which: int) -> None:
        self.world.give_up(self.host(which))

    @rule(which=HOSTS)
    def retry_rejected(self, which: int) -> None:
        restore(self.host(which).root)

    # What holds at any time.

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "world"):
            self.world.check_always()

    # What holds in the end.

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.deliver()
            self.check_log()
            self.finish_learning()
            self.check_learned()
        finally:
            self.world.close()
            shutil.rmtree(self.folder)

    def deliver(self) -> None:
        world = self.world
        world.is_orderly &= not (world.refused or world.gaps())
        world.store.trouble.end()
        world.store.show()
        for host in world.hosts:
            for name in list(host.writers):
                host.writers.pop(name).journal.close()
            restore(host.root)
        for passes_n in range(PASSES_MAX):
            for host in world.hosts:
                world.drain(host)
                if passes_n % 50 == 49:
                    world.is_orderly &= not list(host.root.glob("*/rejected/*.lost"))
                    world.give_up(host)
            world.now_ms += 700
        world.store.land()
        left = [p for h in world.hosts for p in h.root.glob("*/*") if p.suffix == ".seg"]
        assert not left, "segments are never delivered"

    def check_log(self) -> None:
        world = self.world
        stored, gaps = world.stored(), world.gaps()
        for place in world.accepted:
            assert place in stored or place in gaps, f"{place} was accepted and is lost"
        for table in ("decisions", "rewards", "exposures"):
            for row in world.store.table(table):
                record = world.written[table, row["surface"], row["writer"], row["seq"]]
                assert (row["event_id"], row["ts"]) == (record.event_id, record.ts_ms)
        for stream, seqs in world.streams().items():
            assert seqs == list(range(1, len(seqs) + 1)), f"{stream} has a hole: {seqs}"

    def finish_learning(self) -> None:
        world = self.world
        world.now_ms += 3 * 3_600_000
        for name in world.learners:  # a tail finds what showed minutes late at its 1,000th read,
            world.start_learner(name)  # and at its first
        idle_n = steps_n = 0
        while idle_n < 4:
            for host in world.hosts:
                world.drain(host)
            for name in world.learners:
                step = world.learn(name, finish=True)
                assert step is not None, "the learner does not come to its end"
                idle_n = 0 if step.more or step.rows_n or step.snapshot else idle_n + 1
            world.now_ms += 3_000
            steps_n += 1
            assert steps_n < STEPS_MAX, "the learner does not come to its end"

    def check_learned(self) -> None:
        world = self.world
        numbers = world.snapshots.numbers()
        events, decisions_n, rewards_n = self.count_log()
        if not numbers:
            assert not decisions_n
            return
        newest = world.snapshots.newest("vw")
        assert newest is not None
        lines = Diary(newest.spec, newest.weights).lines[1:]
        learned = [line[0][0] for line in lines]
        assert len(learned) == len(set(learned)), "a decision was learned twice"
        assert newest.trained + newest.defaulted == len(learned)
        assert newest.trained + newest.defaulted + newest.unseen == len(events)
        repeated_n = decisions_n - len(events)
        earned = sum(line[3] for line in lines)
        told = newest.late + newest.orphan + newest.duplicate - repeated_n
        assert earned + told == rewards_n, f"{rewards_n - earned - told} rewards went away silently"
        self.check_rebuild()
        if world.is_orderly:
            self.check_against_a_learner_without_faults(newest)

    def count_log(self) -> tuple[set[str], int, int]:
        """Distinct decisions, and rows of decisions and rewards, that are not given up."""
        world = self.world
        there = world.stored().keys() - world.gaps()
        decisions = [place for place in there if place[0] == "decisions"]
        events = {world.written[place].event_id for place in decisions}  # type: ignore[union-attr]
        return events, len(decisions), sum(place[0] == "rewards" for place in there)

    def check_rebuild(self) -> None:
        report = rebuild(
            "vw",
            tail=Tail(cast("Store", self.world.store)),
            snapshots=self.world.snapshots,
            definitions=definitions_of(self.world),
            build=build,
        )
        assert (report.equal, report.counts_equal) == (True, True)

    def check_against_a_learner_without_faults(self, newest: Snapshot) -> None:
        world = self.world
        surface = cast("Surface", world.definitions.get("surface", "home").spec)
        spec = cast("PolicySpec", world.definitions.get("policy", "vw").spec)
        training = Training(spec, surface, Diary(spec))
        training.joiner.add(Tail(cast("Store", world.store)).read("home", {}, limit=1_000_000))
        training.advance(newest.watermark_ms)
        assert training.policy.digest() == newest.digest, "learned otherwise than the log says"


SHORT = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
LIVES_N = int(os.environ.get("HYPOTHESIS_LIVES", "6000"))
LONG = settings(SHORT, max_examples=LIVES_N, stateful_step_count=80)
IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
Simulation.TestCase.settings = LONG if IS_LONG else SHORT
test_nothing_is_lost_or_learned_twice_whatever_happens = Simulation.TestCase
