"""What drain and learner tell of themselves, as whoever scrapes it reads it."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bandit.errors import StoreRejected, StoreUnavailable
from bandit.journal import Drain
from bandit.journal.base import Entry
from bandit.journal.drain import DrainStep
from bandit.learning.counts import Counts
from bandit.learning.learner import LearnStep
from bandit.service.auditing import NEED_N
from bandit.service.metering import EVERY_S, Sheet
from bandit.service.metering_drain import AUDITED_N, DrainMeter
from bandit.service.metering_learn import LearnMeter
from tests.bandit.journal.fakes import Clock, FakeSink, make_journal, reward
from tests.bandit.service.test_auditing import decision


class Desk:
    """A sheet, and time that passes when told to."""

    def __init__(self, folder: Path, process: str) -> None:
        self.s = 0.0
        self.sheet = Sheet(folder, process, monotonic_s=lambda: self.s)

    def read(self) -> dict[str, float]:
        """Samples as `name{label=value,…}`."""
        families = text_string_to_metric_families(self.sheet.path.read_text())
        return {
            f"{sample.name}{json.dumps(sample.labels)}" if sample.labels else sample.name: (
                sample.value
            )
            for family in families
            for sample in family.samples
        }

    def wait(self) -> None:
        self.s += EVERY_S


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "metrics", "drain")


def drained(desk: Desk, tmp_path: Path, store: FakeSink, clock: Clock) -> tuple[Drain, DrainMeter]:
    meter = DrainMeter(desk.sheet, now_ms=clock)
    sink = meter.watched(store, lambda: clock.ms / 1000)
    return Drain(tmp_path / "journal", sink, host="h", now_ms=clock), meter


def test_what_was_shipped_is_told_in_rows_blocks_and_lag(desk: Desk, tmp_path: Path) -> None:
    clock, store = Clock(), FakeSink()
    journal = make_journal(tmp_path / "journal", clock)
    journal.append_many([reward(n) for n in range(3)])
    drain, meter = drained(desk, tmp_path, store, clock)
    clock.advance(1000)
    meter.passed(drain.step(), drain.counts)
    told = desk.read()
    assert told['bandit_drain_shipped_rows_total{"table": "rewards"}'] == 3
    assert told['bandit_drain_shipped_blocks_total{"table": "rewards"}'] == 1
    assert told["bandit_drain_store_reached"] == 1
    assert told["bandit_drain_lag_seconds"] == 0.25
    assert told["bandit_drain_backlog_bytes"] == told["bandit_drain_backlog_records"] == 0
    assert told['bandit_process_resident_bytes{"process": "drain"}'] > 1e6
    drain.close()


def test_a_store_that_is_away_leaves_a_growing_lag_and_backlog(desk: Desk, tmp_path: Path) -> None:
    clock, store = Clock(), FakeSink()
    journal = make_journal(tmp_path / "journal", clock)
    journal.append(reward(0))
    drain, meter = drained(desk, tmp_path, store, clock)
    meter.passed(drain.step(), drain.counts)
    desk.wait()
    store.is_down = True
    journal.append_many([reward(n) for n in range(1, 11)])
    for _ in range(3):
        clock.advance(10_000)
        meter.passed(drain.step(), drain.counts)
        desk.wait()
    told = desk.read()
    assert told["bandit_drain_store_reached"] == 0
    assert told['bandit_drain_failed_blocks_total{"table": "rewards"}'] == 3
    assert told['bandit_drain_retried_blocks_total{"table": "rewards"}'] == 2
    assert told["bandit_drain_lag_seconds"] > 29
    assert told["bandit_drain_backlog_bytes"] > 0
    assert told["bandit_drain_backlog_records"] == pytest.approx(10, abs=2)
    drain.close()


class Refusing:
    """A store that refuses, or has nothing of what it took."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses

    def insert(self, *_: object) -> None:
        if self.refuses:
            raise StoreRejected("no")

    def missing(self, _: str, __: str, entries: Sequence[Entry]) -> list[Entry]:
        return list(entries)

    def report(self, _: object) -> None:
        raise StoreUnavailable("away")


def test_refusals_and_rows_that_are_missing_are_counted(desk: Desk) -> None:
    meter = DrainMeter(desk.sheet, now_ms=Clock())
    entries = [Entry(1, reward(1))]
    with pytest.raises(StoreRejected):
        meter.watched(Refusing(refuses=True), float).insert("rewards", "w", entries, "t")
    sink = meter.watched(Refusing(), float)
    assert sink.missing("rewards", "w", entries) == entries
    meter.passed(DrainStep(), Counter(rejected=4, spoilt=1))
    desk.sheet.write()
    told = desk.read()
    assert told['bandit_drain_refused_blocks_total{"table": "rewards"}'] == 1
    assert told['bandit_drain_checked_rows_total{"table": "rewards"}'] == 1
    assert told['bandit_drain_missing_rows_total{"table": "rewards"}'] == 1
    assert told["bandit_drain_rejected_rows_total"] == 4
    assert told["bandit_drain_spoilt_pieces_total"] == 1


def test_nothing_is_told_of_what_nobody_knows_yet(desk: Desk) -> None:
    meter = DrainMeter(desk.sheet, now_ms=Clock())
    meter.waiting()
    told = desk.read()
    assert told["bandit_drain_store_reached"] == 0
    assert not any("lag" in name or "backlog" in name or "audit" in name for name in told)


def test_a_corrupted_log_shows_in_the_audit(desk: Desk, tmp_path: Path) -> None:
    """The worker logs uniform propensities for what a greedy rule drew."""
    clock = Clock()
    _, meter = drained(desk, tmp_path, FakeSink(), clock)
    sink = meter.watched(Refusing(), float)
    pmf = np.array([0.5, 0.25, 0.25])
    rows = [Entry(n + 1, decision(pmf, 0, 0.5)) for n in range(NEED_N)]
    for start in range(0, NEED_N, AUDITED_N):
        sink.insert("decisions", "w", rows[start : start + AUDITED_N], "t")
    meter.passed(DrainStep(progress=None), Counter())
    meter._show_audit()
    desk.sheet.write()
    told = desk.read()
    assert told['bandit_audit_decisions{"policy": "p"}'] == NEED_N
    assert told['bandit_audit_mismatches{"policy": "p"}'] == 0
    assert told['bandit_audit_z{"check": "first", "policy": "p"}'] > 6


def test_a_large_block_is_audited_in_part(desk: Desk) -> None:
    meter = DrainMeter(desk.sheet, now_ms=Clock())
    rows = [Entry(n, decision(np.array([0.5, 0.5]), 0, 0.5)) for n in range(1, 1202)]
    meter.watched(Refusing(), float).insert("decisions", "w", rows, "t")
    (verdict,) = meter.audit.verdicts()
    assert 300 <= verdict.decisions_n <= AUDITED_N


class Learning:
    """A learner that says what it is told to."""

    def __init__(self, watermark_ms: int | None, **counts: int) -> None:
        self.counts = Counts(**counts)
        self.watermark_ms = watermark_ms


def test_a_learner_is_told_by_policy(tmp_path: Path) -> None:
    desk, clock = Desk(tmp_path, "learn"), Clock()
    meter = LearnMeter(desk.sheet, now_ms=clock)
    learners = {"vw": Learning(clock.ms - 60_000, trained=5, orphan=2), "new": Learning(None)}
    step = LearnStep(rows_n=7, lessons_n=5, snapshot=3, behind_ms=500, waiting_n=4, holes_n=1)
    meter.stepped(learners, {"vw": step})
    told = desk.read()
    assert told['bandit_learn_read_rows_total{"policy": "vw"}'] == 7
    assert told['bandit_learn_lessons_total{"policy": "vw"}'] == 5
    assert told['bandit_learn_snapshot_number{"policy": "vw"}'] == 3
    assert told['bandit_learn_behind_seconds{"policy": "vw"}'] == 0.5
    assert told['bandit_learn_watermark_age_seconds{"policy": "vw"}'] == 60
    assert told['bandit_learn_waiting_decisions{"policy": "vw"}'] == 4
    assert told['bandit_learn_holes{"policy": "vw"}'] == 1
    assert told['bandit_learn_closed_decisions{"as": "trained", "policy": "vw"}'] == 5
    assert told['bandit_learn_odd_records{"as": "orphan", "policy": "vw"}'] == 2
    assert told['bandit_learn_failing{"policy": "vw"}'] == 0
    assert told['bandit_learn_failing{"policy": "new"}'] == 1
    assert 'bandit_learn_watermark_age_seconds{"policy": "new"}' not in told


def test_a_learners_lag_grows_while_it_can_not_look(tmp_path: Path) -> None:
    desk, clock = Desk(tmp_path, "learn-vw"), Clock()
    meter, learners = LearnMeter(desk.sheet, now_ms=clock), {"vw": Learning(clock.ms)}
    meter.stepped(learners, {"vw": LearnStep(behind_ms=0)})
    clock.advance(90_000)
    desk.wait()
    meter.waiting(learners)
    told = desk.read()
    assert told['bandit_learn_behind_seconds{"policy": "vw"}'] == 90
    assert told['bandit_learn_watermark_age_seconds{"policy": "vw"}'] == 90
    assert any(name.startswith('bandit_process_open_files{"process": "learn"}') for name in told)


def test_a_sheet_is_written_about_once_a_second_and_removed_at_the_end(desk: Desk) -> None:
    assert desk.sheet.is_due
    desk.sheet.write()
    assert not desk.sheet.is_due
    desk.wait()
    assert desk.sheet.is_due
    desk.sheet.remove()
    assert list(desk.sheet.path.parent.iterdir()) == []
    desk.sheet.remove()


def test_a_disk_that_takes_no_sheet_is_told_of_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.sheet.path.parent.parent.joinpath("metrics").write_text("a file is in the way")
    desk.sheet.write()
    desk.sheet.write()
    assert [record.__dict__["event"] for record in caplog.records] == ["metrics_unwritten"]
