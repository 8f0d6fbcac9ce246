import logging
from pathlib import Path

import pytest

from bandit.journal import Drain
from bandit.journal.base import Progress
from bandit.journal.folders import Limits
from bandit.journal.frames import encode, encode_footer, footer_of, frame
from bandit.journal.quarantine import restore
from bandit.records import AnyLogRecord
from tests.bandit.journal.fakes import (
    START_MS,
    Clock,
    FakeSink,
    decision,
    exposure,
    is_empty,
    make_drain,
    make_journal,
    outcome,
    reward,
    segments,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def sink() -> FakeSink:
    return FakeSink()


@pytest.fixture
def drain(root: Path, sink: FakeSink, clock: Clock) -> Drain:
    """One that has made its first pass: what comes now is new."""
    drain = make_drain(root, sink, clock)
    drain.step()
    return drain


def through(sink: FakeSink) -> int:
    return sink.reports[-1].drained_through_ms


def test_records_of_a_living_writer_are_delivered_as_they_come(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock
) -> None:
    journal = make_journal(root, clock)
    records: list[AnyLogRecord] = [decision(1), reward(2), exposure(3), outcome(4)]
    for n, record in enumerate(records, 1):
        journal.append(record)
        assert drain.step().delivered == 1
        assert len(sink.rows) == n
    assert list(sink.rows.values()) == records
    assert len(segments(root)) == 1


def test_a_finished_segment_is_read_back_and_removed(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock
) -> None:
    journal = make_journal(root, clock, max_age_s=1.0)
    journal.append(reward(1))
    drain.step()
    clock.advance(1_000)
    journal.append(reward(2))
    step = drain.step()
    assert (step.delivered, step.removed) == (1, 1)
    assert sink.checks == [("rewards", "w1", 1)]
    assert [path.name for path in segments(root)] == ["000000000002.seg"]


def test_what_a_power_loss_took_from_the_store_is_sent_again(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock
) -> None:
    journal = make_journal(root, clock)
    journal.append_many([reward(1), reward(2)])
    drain.step()
    sink.lose()
    journal.close()
    step = drain.step()
    assert (step.delivered, step.resent, step.removed) == (0, 2, 1)
    assert len(sink.rows) == 2
    assert is_empty(root)


def test_a_dead_writer_s_folder_goes_with_its_torn_tail(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock
) -> None:
    journal = make_journal(root, clock)
    journal.append(reward(1))
    journal.close()
    with segments(root)[0].open("ab") as file:
        file.write(encode(2, reward(2))[:-1])
    drain.step()
    assert (len(sink.rows), is_empty(root)) == (1, True)
    assert through(sink) == START_MS - 250


def test_a_new_drain_asks_before_it_sends(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock
) -> None:
    journal = make_journal(root, clock)
    journal.append_many([reward(1), reward(2)])
    drain.step()
    journal.append(reward(3))
    drain.close()
    again = make_drain(root, sink, clock)
    assert again.step().resent == 1
    sink.checks.clear()
    journal.append(reward(4))
    again.step()
    assert [n for _, _, n, _ in sink.inserts] == [2, 1, 1]
    assert sink.checks == []


def test_one_drain_works_and_another_stands_by(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock
) -> None:
    journal = make_journal(root, clock)
    second = make_drain(root, sink, clock)
    drain.step()
    journal.append(reward(1))
    assert second.step() == (0, 0, 0, 0, 0, None)
    drain.close()
    assert second.step().progress is not None
    assert len(sink.rows) == 1


def test_a_backlog_is_delivered_in_one_pass_as_long_as_there_is_time(
    root: Path, sink: FakeSink, clock: Clock
) -> None:
    journal = make_journal(root, clock, max_bytes=2_000)
    for n in range(200):
        clock.advance(1)
        journal.append(reward(n, ts_ms=clock()))
    limits = Limits(block_rows=10, chunk_rows=20, chunk_bytes=100_000)
    drain = Drain(root, sink, host="h1", now_ms=clock, limits=limits)
    assert drain.step().resent == 200
    assert max(n for _, _, n, _ in sink.inserts) == 10
    assert through(sink) == clock() - 250


def test_a_pass_that_lasts_tells_how_far_it_came(root: Path, sink: FakeSink, clock: Clock) -> None:
    journal = make_journal(root, clock, max_age_s=20.0)
    for n in range(50):
        clock.advance(1_000)
        journal.append(reward(n, ts_ms=clock()))
    sink.refuses = lambda record: bool(clock.advance(100))  # each row takes a while
    limits = Limits(block_rows=10, chunk_rows=10, chunk_bytes=100_000)
    drain = Drain(root, sink, host="h1", now_ms=clock, limits=limits)
    for delivered_n in (10, 20, 30, 40):
        assert drain.step().delivered == 10
        oldest_left_ms = START_MS + (delivered_n + 1) * 1_000
        assert oldest_left_ms - 10_001 <= through(sink) < oldest_left_ms


def test_progress_is_the_start_of_the_pass_less_a_slack(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock
) -> None:
    make_journal(root, clock).append(reward(1))
    clock.advance(10)
    drain.step()
    assert sink.reports == [
        Progress("h1", START_MS - 250, backlog_bytes=0, segments_n=0),
        Progress("h1", START_MS - 240, backlog_bytes=0, segments_n=1),
    ]


def test_progress_is_told_every_half_second_while_nothing_happens(
    drain: Drain, sink: FakeSink, clock: Clock
) -> None:
    for _ in range(20):
        clock.advance(100)
        drain.step()
    told = [progress.drained_through_ms for progress in sink.reports]
    assert told == [START_MS - 250 + 500 * n for n in range(5)]


def test_progress_waits_for_the_oldest_record_that_is_not_delivered(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock
) -> None:
    journal = make_journal(root, clock)
    journal.append(reward(1, ts_ms=clock()))
    drain.step()
    clock.advance(5_000)
    sink.answers.extend(["lost"] * 3)
    journal.append(reward(2, ts_ms=clock()))
    journal.append(reward(3, ts_ms=clock() + 1))
    for _ in range(3):
        clock.advance(600)
        step = drain.step()
        assert through(sink) == START_MS + 5_000 - 1
        assert step.progress is not None
        assert step.progress.backlog_bytes > 0
    clock.advance(1_000)
    drain.step()
    assert through(sink) == clock() - 250


def test_progress_never_goes_back(root: Path, drain: Drain, sink: FakeSink, clock: Clock) -> None:
    sink.answers.append("lost")
    make_journal(root, clock).append(reward(1, ts_ms=START_MS - 60_000))
    clock.advance(600)
    drain.step()
    clock.ms -= 30_000
    drain.step()
    assert {progress.drained_through_ms for progress in sink.reports} == {START_MS - 250}


def test_damage_in_the_middle_is_set_aside_and_the_rest_delivered(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    journal = make_journal(root, clock)
    for n in (1, 2, 3):
        journal.append(reward(n))
    journal.close()
    (path,) = segments(root)
    bad = bytearray(path.read_bytes())
    bad[_middle(bad).start + 20] ^= 1
    path.write_bytes(bad)
    step = drain.step()
    assert (step.delivered, step.spoilt, step.removed) == (2, 1, 1)
    (aside,) = (root / "w1" / "rejected").glob("*.damaged")
    assert aside.suffix == ".damaged"
    assert aside.read_bytes() == bad[_middle(bad)]
    assert f"were set aside in {aside}: damaged on disk" in caplog.text
    assert "2 of 3 records of w1/000000000001.seg are there, the others were damaged" in caplog.text
    assert drain.step().spoilt == 0


def _middle(segment: bytearray) -> slice:
    size, footer = len(encode(2, reward(2))), len(encode_footer(footer_of(bytes(12))))
    return slice(len(segment) - footer - 2 * size, len(segment) - footer - size)


def test_rejected_records_are_delivered_when_they_are_moved_back(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock
) -> None:
    journal = make_journal(root, clock)
    journal.append_many([reward(1), reward(2), reward(3)])
    sink.refuses = lambda record: record == reward(2)
    assert drain.step().rejected == 1
    journal.close()
    drain.step()
    assert (len(sink.rows), len(sink.checks)) == (2, 1)
    assert segments(root) == []
    sink.refuses = lambda record: False
    assert restore(root) == 1
    drain.step()
    assert (len(sink.rows), is_empty(root)) == (3, True)


def test_what_was_rejected_is_not_looked_for_in_the_store(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock
) -> None:
    journal = make_journal(root, clock)
    journal.append_many([reward(1), reward(2)])
    sink.refuses = lambda record: record == reward(2)
    drain.step()
    sent_n = len(sink.inserts)
    journal.close()
    drain.step()
    assert (len(sink.inserts), sink.checks) == (sent_n, [("rewards", "w1", 1)])


def test_a_record_of_another_version_waits_as_a_segment(
    root: Path, drain: Drain, clock: Clock
) -> None:
    journal = make_journal(root, clock)
    with segments(root)[0].open("ab") as file:
        file.write(frame(b"\x92\x01\x81\xa4kind\xa5hello"))
    journal.close()
    assert drain.step().spoilt == 1
    assert [path.suffix for path in (root / "w1" / "rejected").iterdir()] == [".seg"]


def test_a_folder_that_can_not_be_read_stops_progress_and_nobody_else(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    broken = root / "w0"
    (broken / "000000000001.seg").mkdir(parents=True)
    make_journal(root, clock).append(reward(1))
    for _ in range(20):
        clock.advance(100)
        drain.step()
    assert len(sink.rows) == 1
    assert through(sink) == START_MS - 250
    assert caplog.text.count("the journal can not be read") == 1
    (broken / "000000000001.seg").rmdir()
    clock.advance(5_000)
    drain.step()
    assert through(sink) == clock() - 250


def test_segments_that_somebody_removed_are_forgotten(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock
) -> None:
    journal = make_journal(root, clock)
    journal.append(reward(1))
    sink.answers.append("lost")
    drain.step()
    segments(root)[0].unlink()
    journal.close()
    make_journal(root, clock, writer="w2").append(reward(2))
    sink.forget_who_waits()
    clock.advance(100)
    drain.step()
    assert [writer for writer, *_ in sink.rows] == ["w2"]


def test_no_file_stays_open(root: Path, drain: Drain, clock: Clock) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for n in range(5):
        journal = make_journal(root, clock, writer=f"w{n}", max_bytes=300)
        for m in range(10):
            journal.append(reward(m))
        drain.step()
        journal.close()
        while not is_empty(root):
            drain.step()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_store_that_is_away_is_told_once_and_its_return_too(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    journal = make_journal(root, clock)
    sink.is_down = True
    for n in range(50):
        journal.append(reward(n))
        drain.step()
        clock.advance(100)
    assert len(caplog.records) == 2, caplog.text  # of the records, and of the reports
    sink.is_down = False
    clock.advance(5_000)
    drain.step()
    assert len(sink.rows) == 50
    assert len(caplog.records) == 4, caplog.text


def test_a_segment_is_not_begun_before_the_one_before_it_is_delivered(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock
) -> None:
    journal = make_journal(root, clock, max_age_s=1.0)
    journal.append(reward(1, ts_ms=clock()))
    clock.advance(1_000)
    journal.append(outcome(2, ts_ms=clock()))
    sink.answers.append("lost")
    for _ in range(2):
        drain.step()
        assert sink.rows == {}
    clock.advance(500)
    drain.step()
    assert len(sink.rows) == 2


def test_progress_waits_for_what_turned_out_to_be_missing(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock
) -> None:
    journal = make_journal(root, clock)
    journal.append(reward(1, ts_ms=clock()))
    drain.step()
    through_ms = through(sink)
    sink.lose()
    journal.close()
    sink.answers.append("lost")
    clock.advance(1_000)
    drain.step()
    assert through(sink) <= START_MS
    assert through(sink) >= through_ms
    clock.advance(1_000)
    drain.step()
    assert (len(sink.rows), through(sink)) == (1, clock() - 250)


def test_damage_that_can_not_be_set_aside_is_read_again(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock
) -> None:
    journal = make_journal(root, clock)
    with segments(root)[0].open("ab") as file:
        file.write(b"\x01" * 100 + encode(1, reward(1)))
    journal.close()
    in_the_way = root / "w1" / "rejected"
    in_the_way.touch()
    assert drain.step().spoilt == 0
    in_the_way.unlink()
    clock.advance(100)
    assert drain.step().spoilt == 1
    assert len(sink.rows) == 1
    assert [path.stat().st_size for path in in_the_way.iterdir()] == [100]


def test_what_was_refused_and_then_swallowed_by_its_token_is_missed_and_sent_again(
    root: Path, drain: Drain, sink: FakeSink, clock: Clock
) -> None:
    # A long life of the simulation lost such a row: the read-back left out what was ever refused.
    journal = make_journal(root, clock)
    journal.append(reward(1))
    drain.step()
    sink.rows.clear()  # the store lost its power, but not its memory of tokens
    sink.refuses = lambda record: True
    journal.close()
    for _ in range(3):
        drain.step()
    assert [path.parent.name for path in root.glob("*/*/*.seg")] == ["rejected"]
    sink.refuses = lambda record: False
    assert restore(root) == 1
    for _ in range(5):
        clock.advance(5_000)
        drain.step()
    assert list(sink.rows.values()) == [reward(1)]
    assert is_empty(root)
