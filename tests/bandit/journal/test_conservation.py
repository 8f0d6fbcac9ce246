"""Whatever dies, fills up or forgets: every accepted record ends up in the store, once."""

import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from bandit.errors import JournalUnavailable
from bandit.journal import Journal
from bandit.journal.base import Entry, Progress
from bandit.journal.frames import encode
from bandit.journal.reader import SegmentReader
from bandit.records import AnyLogRecord
from tests.bandit.journal.fakes import (
    Clock,
    FakeSink,
    FullDisk,
    Key,
    decision,
    exposure,
    is_empty,
    key_of,
    make_drain,
    make_journal,
    outcome,
    reward,
    segments,
)
from tests.memory import memory

KINDS = st.sampled_from(["decision", "reward", "old reward", "exposure", "outcome"])
SURFACES = st.sampled_from(["home", "cart", ""])
MANY = st.lists(st.tuples(KINDS, SURFACES), max_size=6)
A_MONTH_MS = 31 * 86_400_000


class Conservation(RuleBasedStateMachine):
    writers = Bundle("writers")

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(dir=memory())) / "journal"
        self.clock = Clock()
        self.disk = FullDisk()
        self.sink = FakeSink()
        self.sink.on_report = self.check_promise
        self.drain = make_drain(self.root, self.sink, self.clock)
        self.journals: dict[str, Journal] = {}
        self.accepted: dict[Key, AnyLogRecord] = {}
        self.unanswered: dict[Key, AnyLogRecord] = {}
        self.refused: set[str] = set()
        self.seqs: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self.made_n = 0
        self.sink.refuses = lambda record: str(record) in self.refused

    def make_record(self, kind: str, surface: str) -> AnyLogRecord:
        self.made_n += 1
        n, now = self.made_n, self.clock()
        if kind == "decision":
            return decision(n, surface=surface, ts_ms=now)
        if kind == "reward":
            return reward(n, surface=surface, ts_ms=now)
        if kind == "old reward":
            return reward(n, surface=surface, ts_ms=now, at_ms=now - A_MONTH_MS)
        if kind == "exposure":
            return exposure(n, surface=surface, ts_ms=now)
        return outcome(n, ts_ms=now)

    def next_entry(self, writer: str, record: AnyLogRecord) -> Entry:
        return Entry(self.seqs[writer, record.table, record.surface] + 1, record)

    def was_accepted(self, writer: str, record: AnyLogRecord) -> None:
        entry = self.next_entry(writer, record)
        self.seqs[writer, record.table, record.surface] += 1
        self.accepted[key_of(writer, entry)] = record

    def check_promise(self, progress: Progress) -> None:
        for key, record in self.accepted.items():
            if record.ts_ms < progress.drained_through_ms and str(record) not in self.refused:
                assert key in self.sink.rows, f"{key} was promised and is not there"

    @initialize(target=writers)
    def first_writer(self) -> str:
        return self.start_writer()

    @rule(target=writers)
    def start_writer(self) -> str:
        writer = f"w{len(self.journals) + 1}"
        self.journals[writer] = make_journal(
            self.root, self.clock, writer=writer, disk=self.disk, max_bytes=600, max_age_s=1.0
        )
        return writer

    @rule(writer=writers, kind=KINDS, surface=SURFACES)
    def append(self, writer: str, kind: str, surface: str) -> None:
        record = self.make_record(kind, surface)
        self.journals[writer].append(record)
        self.was_accepted(writer, record)

    @rule(writer=writers, kinds=MANY)
    def append_many(self, writer: str, kinds: list[tuple[str, str]]) -> None:
        records = [self.make_record(kind, surface) for kind, surface in kinds]
        self.journals[writer].append_many(records)
        for record in records:
            self.was_accepted(writer, record)

    @rule(writer=writers, kinds=MANY, room=st.integers(0, 400), can_truncate=st.booleans())
    def append_to_full_disk(
        self, writer: str, kinds: list[tuple[str, str]], room: int, can_truncate: bool
    ) -> None:
        self.disk.room, self.disk.can_truncate = room, can_truncate
        records = [self.make_record(kind, surface) for kind, surface in kinds]
        try:
            self.journals[writer].append_many(records)
        except JournalUnavailable:
            self.find_out_what_was_kept(writer, records)
        else:
            for record in records:
                self.was_accepted(writer, record)
        self.disk.room, self.disk.can_truncate = None, True

    def find_out_what_was_kept(self, writer: str, records: list[AnyLogRecord]) -> None:
        """The client got an error: its records may be there, from the first one on, or not."""
        kept = self.read_back(writer)
        for record in records:
            entry = self.next_entry(writer, record)
            if key_of(writer, entry) not in kept:
                break
            self.was_accepted(writer, record)

    def read_back(self, writer: str) -> dict[Key, AnyLogRecord]:
        found = {}
        for path in segments(self.root, writer):
            reader, size = SegmentReader(path, writer), path.stat().st_size
            limits = {"max_bytes": size, "max_rows": 10_000}
            for entry in reader.read(size, finished=True, **limits).entries:
                found[key_of(writer, entry)] = entry.record
            reader.close()
        return found

    @rule(writer=writers)
    def tick(self, writer: str) -> None:
        self.journals[writer].tick()

    @rule(writer=consumes(writers), kind=KINDS, share=st.floats(0, 1))
    def kill_writer_while_it_appends(self, writer: str, kind: str, share: float) -> None:
        self.append(writer, kind, "home")
        self.journals[writer].close()
        record = self.make_record(kind, "home")
        entry = self.next_entry(writer, record)
        frame = encode(*entry)
        with segments(self.root, writer)[-1].open("ab") as file:
            file.write(frame[: round(share * len(frame))])
        self.unanswered[key_of(writer, entry)] = record

    @rule(ms=st.sampled_from([1, 100, 700, 6_000]))
    def wait(self, ms: int) -> None:
        self.clock.advance(ms)

    @rule(times=st.integers(1, 3))
    def drain_steps(self, times: int) -> None:
        for _ in range(times):
            self.drain.step()
            self.clock.advance(100)

    @rule()
    def restart_drain(self) -> None:
        self.drain.close()
        self.drain = make_drain(self.root, self.sink, self.clock)
        self.sink.forget_who_waits()

    @rule(is_down=st.booleans())
    def reach_store(self, is_down: bool) -> None:
        self.sink.is_down = is_down

    @rule(answer=st.sampled_from(["lost", "kept", "swallowed"]), times=st.integers(1, 2))
    def trouble_store(self, answer: str, times: int) -> None:
        self.sink.answers.extend([answer] * times)

    @rule()
    def cut_the_power_of_the_store(self) -> None:
        self.sink.lose()
        self.sink.on_report = lambda progress: None  # it was kept once, and the store broke it

    @rule(which=st.integers(0, 10_000))
    def refuse_a_record(self, which: int) -> None:
        waiting = [key for key in self.accepted if key not in self.sink.rows]
        if waiting:
            self.refused.add(str(self.accepted[waiting[which % len(waiting)]]))

    @invariant()
    def nothing_is_in_the_store_that_nobody_sent(self) -> None:
        known = self.accepted | self.unanswered
        assert all(known[key] == record for key, record in self.sink.rows.items())

    def teardown(self) -> None:
        self.sink.is_down = False
        self.sink.answers.clear()
        for journal in self.journals.values():
            journal.close()
        for _ in range(100):
            self.clock.advance(1_000)
            self.drain.step()
            if not self.refused and is_empty(self.root):
                break
        self.check_everything_arrived()
        self.drain.close()
        shutil.rmtree(self.root.parent)

    def check_everything_arrived(self) -> None:
        arrived = dict(self.sink.rows)
        for folder in self.root.glob("*/rejected"):
            for path in folder.glob("*.seg"):
                reader, size = SegmentReader(path, path.parents[1].name), path.stat().st_size
                chunk = reader.read(size, finished=True, max_bytes=size, max_rows=10_000)
                reader.close()
                for entry in chunk.entries:
                    assert str(entry.record) in self.refused
                    arrived[key_of(path.parents[1].name, entry)] = entry.record
        assert self.accepted.items() <= arrived.items()
        assert not arrived.keys() - self.accepted.keys() - self.unanswered.keys()
        self.check_seqs(arrived)
        assert not list(self.root.glob("*/*.seg")), "a segment was left behind"
        assert not list(self.root.glob("*/rejected/*.damaged")), "a torn write was not cut off"
        assert self.refused or is_empty(self.root)

    def check_seqs(self, arrived: dict[Key, AnyLogRecord]) -> None:
        streams = defaultdict(list)
        for writer, table, surface, seq in sorted(arrived):
            streams[writer, table, surface].append(seq)
        assert all(seqs == list(range(1, len(seqs) + 1)) for seqs in streams.values())


Conservation.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
test_every_accepted_record_ends_up_in_the_store_once = Conservation.TestCase
