import os
from pathlib import Path

import pytest

from bandit.errors import StoreUnavailable
from bandit.journal import Drain
from bandit.journal.frames import encode
from bandit.journal.giving_up import GivenUp, give_up
from bandit.journal.quarantine import restore
from tests.bandit.journal.fakes import (
    START_MS,
    Clock,
    FakeSink,
    is_empty,
    make_drain,
    make_journal,
    reward,
    segments,
)

AFTER_S = 900.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def sink() -> FakeSink:
    return FakeSink()


def set_aside(root: Path) -> list[Path]:
    return sorted(root.glob("*/rejected/*"))


def kept(root: Path) -> list[str]:
    return sorted(path.suffix for path in root.glob(".given-up/w1/*"))


def reject_one(root: Path, sink: FakeSink, clock: Clock) -> None:
    """Of four rewards the second and third are refused."""
    journal = make_journal(root, clock)
    journal.append_many([reward(n) for n in (1, 2, 3, 4)])
    sink.refuses = lambda record: record in (reward(2), reward(3))
    drain = make_drain(root, sink, clock)
    drain.step()
    journal.close()
    drain.step()
    drain.close()


def date(root: Path, ms: int) -> None:
    for path in set_aside(root):
        os.utime(path, ns=(ms * 1_000_000, ms * 1_000_000))


def test_what_was_refused_is_given_up_and_kept(root: Path, sink: FakeSink, clock: Clock) -> None:
    reject_one(root, sink, clock)
    done = give_up(root, sink)
    assert done.rows_n == 2
    assert sink.gaps == {("w1", "rewards", "home", 2), ("w1", "rewards", "home", 3)}
    assert (set_aside(root), set(kept(root))) == ([], {".seg"})
    assert give_up(root, sink) == GivenUp()
    drain = make_drain(root, sink, clock)
    drain.step()
    assert not (root / "w1").exists(), "the folder of a writer that is done stays behind"


def test_what_was_delivered_after_all_is_no_gap(root: Path, sink: FakeSink, clock: Clock) -> None:
    reject_one(root, sink, clock)
    copies = {path: path.read_bytes() for path in set_aside(root)}
    sink.refuses = lambda record: record == reward(3)
    restore(root)
    drain = make_drain(root, sink, clock)
    drain.step()
    for path, data in copies.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    give_up(root, sink)
    assert sink.gaps == {("w1", "rewards", "home", 3)}


def test_what_can_not_be_declared_stays_where_it_is(
    root: Path, sink: FakeSink, clock: Clock
) -> None:
    reject_one(root, sink, clock)
    before = set_aside(root)
    sink.is_down = True
    with pytest.raises(StoreUnavailable):
        give_up(root, sink)
    assert (set_aside(root), kept(root)) == (before, [])


def test_the_drain_gives_up_by_itself_what_has_waited_long_enough(
    root: Path, sink: FakeSink, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    reject_one(root, sink, clock)
    date(root, clock())
    drain = Drain(root, sink, host="h1", now_ms=clock, give_up_after_s=AFTER_S)
    for _ in range(89):
        clock.advance(10_000)
        drain.step()
    assert (sink.gaps, drain.counts["given_up"]) == (set(), 0)
    sink.is_down = True
    clock.advance(20_000)
    drain.step()
    assert sink.gaps == set()
    sink.is_down = False
    clock.advance(5_000)
    drain.step()
    assert sink.gaps == set(), "it looks only now and then"
    clock.advance(10_000)
    drain.step()
    assert (len(sink.gaps), drain.counts["given_up"]) == (2, 2)
    assert "rewards/home/w1 goes on without" in caplog.text


def test_what_a_disk_broke_is_noted_and_given_up(
    root: Path, sink: FakeSink, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    journal = make_journal(root, clock)
    for n in (1, 2, 3):
        journal.append(reward(n))
    journal.close()
    (path,) = segments(root)
    bad = bytearray(path.read_bytes())
    bad[bad.index(encode(2, reward(2))) + 20] ^= 1
    path.write_bytes(bad)
    drain = make_drain(root, sink, clock)
    drain.step()
    assert drain.counts["lost"] == 1
    assert "rewards/home 2-2 by w1 are missing" in caplog.text
    assert {path.suffix for path in set_aside(root)} == {".lost", ".damaged"}
    assert give_up(root, sink).rows_n == 1
    assert sink.gaps == {("w1", "rewards", "home", 2)}
    assert kept(root) == [".damaged", ".lost"]


def test_what_is_missing_is_noted_also_by_a_drain_that_did_not_see_what_came_before(
    root: Path, sink: FakeSink, clock: Clock
) -> None:
    journal = make_journal(root, clock, max_bytes=1)
    for n in (1, 2, 3):
        journal.append(reward(n))
    drain = make_drain(root, sink, clock)
    drain.step()
    drain.step()
    drain.close()
    journal.append(reward(4))
    journal.append(reward(5))
    journal.close()
    segments(root)[-2].unlink()  # the fourth, by a disk that forgot it
    drain = make_drain(root, sink, clock)
    sink.is_down = True
    drain.step()
    assert drain.counts["lost"] == 0
    sink.is_down = False
    for _ in range(3):
        clock.advance(10_000)
        drain.step()
    assert drain.counts["lost"] == 1
    assert {seq for *_, seq in sink.rows} == {1, 2, 3, 5}
    give_up(root, sink)
    assert sink.gaps == {("w1", "rewards", "home", 4)}


def test_a_drain_that_ends_with_nothing_left_says_so(
    root: Path, sink: FakeSink, clock: Clock
) -> None:
    journal = make_journal(root, clock)
    journal.append(reward(1))
    drain = make_drain(root, sink, clock)
    drain.step()
    drain.finish()
    assert not sink.reports[-1].done, "a writer lives"
    journal.close()
    drain.step()
    drain.finish()
    assert is_empty(root)
    assert (sink.reports[-1].done, sink.reports[-1].drained_through_ms) == (True, START_MS - 250)
    standing_by = make_drain(root, sink, clock)
    reports_n = len(sink.reports)
    standing_by.step()
    standing_by.finish()
    assert len(sink.reports) == reports_n, "the one that works tells"


def test_what_was_given_up_is_thrown_away_after_ninety_days(
    root: Path, sink: FakeSink, clock: Clock
) -> None:
    reject_one(root, sink, clock)
    give_up(root, sink)
    assert kept(root) == [".seg", ".seg"]
    for days, left in ((89, [".seg", ".seg"]), (91, [])):
        for path in root.glob(".given-up/*/*"):
            at_ms = clock() - days * 86_400_000
            os.utime(path, ns=(at_ms * 1_000_000, at_ms * 1_000_000))
        drain = Drain(root, sink, host="h1", now_ms=clock, give_up_after_s=AFTER_S)
        drain.step()
        drain.close()
        assert kept(root) == left
    assert not (root / ".given-up" / "w1").exists()


def test_a_folder_that_can_not_be_read_holds_nobody_up_for_ever(
    root: Path, sink: FakeSink, clock: Clock
) -> None:
    (root / "w0" / "000000000001.seg").mkdir(parents=True)  # even root can not read that
    drain = Drain(root, sink, host="h1", now_ms=clock, give_up_after_s=AFTER_S)
    for _ in range(15):
        drain.step()
        clock.ms += 60_000
    assert sink.reports[-1].drained_through_ms == 0
    for _ in range(2):
        drain.step()
        clock.ms += 60_000
    assert sink.reports[-1].drained_through_ms > START_MS + 15 * 60_000
    drain.close()
