import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from bandit.journal.base import Entry
from bandit.journal.blocks import Block
from bandit.journal.delivery import REJECTIONS_MAX, Delivery
from bandit.journal.quarantine import Quarantine
from tests.bandit.journal.fakes import Clock, FakeSink, outcome, reward


@pytest.fixture
def sink() -> FakeSink:
    return FakeSink()


@pytest.fixture
def delivery(sink: FakeSink, tmp_path: Path, clock: Clock) -> Delivery:
    return Delivery(sink, Quarantine(tmp_path), clock)


def rewards(first: int, last: int, *, writer: str = "w1", check: bool = False) -> Block:
    entries = [Entry(seq, reward(seq)) for seq in range(first, last + 1)]
    return Block(writer, "rewards", entries, check)


def push(delivery: Delivery, *blocks: Block) -> list[Block]:
    delivery.begin_pass()
    return delivery.push(blocks)


def test_a_stored_block_needs_no_read_back(delivery: Delivery, sink: FakeSink) -> None:
    assert push(delivery, rewards(1, 3)) == []
    assert (len(sink.rows), sink.checks) == (3, [])
    assert delivery.counts == {"delivered": 3}


def test_in_doubt_the_same_block_and_token_go_again_and_are_read_back(
    delivery: Delivery, sink: FakeSink, clock: Clock
) -> None:
    sink.answers.extend(["lost", "kept"])
    block = rewards(1, 3)
    for wait_ms in (100, 200):
        assert push(delivery, block) == [block]
        clock.advance(wait_ms)
    assert push(delivery, block) == []
    assert {token for *_, token in sink.inserts} == {block.token}
    assert (len(sink.inserts), sink.checks) == (3, [("rewards", "w1", 3)])
    assert delivery.counts == {"delivered": 3}


def test_a_token_whose_rows_were_lost_does_not_lose_them(
    delivery: Delivery, sink: FakeSink, clock: Clock
) -> None:
    sink.answers.append("swallowed")
    block = rewards(1, 3)
    push(delivery, block)
    clock.advance(100)
    assert push(delivery, block) == []
    assert len(sink.rows) == 3
    assert len({token for *_, token in sink.inserts}) == 2
    assert delivery.counts == {"delivered": 3, "resent": 3}


def test_only_what_is_missing_is_sent(delivery: Delivery, sink: FakeSink) -> None:
    push(delivery, rewards(2, 3))
    assert push(delivery, rewards(1, 5, check=True)) == []
    assert [n for _, _, n, _ in sink.inserts] == [2, 3]
    assert sorted(seq for *_, seq in sink.rows) == [1, 2, 3, 4, 5]


def test_while_a_block_is_in_doubt_no_other_of_its_table_goes(
    delivery: Delivery, sink: FakeSink, clock: Clock
) -> None:
    sink.answers.append("lost")
    first, second = rewards(1, 2), rewards(1, 2, writer="w2")
    other = Block("w1", "outcomes", [Entry(1, outcome(1))], check=False)
    push(delivery, first)
    assert push(delivery, second, other) == [second]
    clock.advance(100)
    assert push(delivery, second, first) == [second]
    assert push(delivery, second) == []


def test_a_failure_ends_the_pass(delivery: Delivery, sink: FakeSink) -> None:
    sink.is_down = True
    blocks = [rewards(1, 2), Block("w1", "outcomes", [Entry(1, outcome(1))], check=False)]
    assert push(delivery, *blocks) == blocks
    sink.is_down = False
    assert delivery.push(blocks) == blocks


def test_the_wait_doubles_up_to_five_seconds(
    delivery: Delivery, sink: FakeSink, clock: Clock
) -> None:
    sink.answers.extend(["lost"] * 20)
    block, began = rewards(1, 1), clock()
    while len(sink.inserts) < 9:
        push(delivery, block)
        clock.advance(10)
    # 0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 3.2 + 5 + 5 s
    assert clock() - began == 16_300 + 10


def test_one_bad_row_is_found_and_set_aside(
    delivery: Delivery, sink: FakeSink, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink.refuses = lambda record: record == reward(777)
    assert push(delivery, rewards(1, 5_000)) == []
    assert sorted(seq for *_, seq in sink.rows) == [n for n in range(1, 5_001) if n != 777]
    assert delivery.counts == {"delivered": 4_999, "rejected": 1}
    assert delivery.rejected == {"w1": {("rewards", "home", 777)}}
    (path,) = (tmp_path / "w1" / "rejected").iterdir()
    assert f"1 rows of rewards by w1 were rejected and set aside in {path}" in caplog.text


def test_a_table_that_refuses_everything_is_not_asked_for_every_row(
    delivery: Delivery, sink: FakeSink, tmp_path: Path
) -> None:
    sink.refuses = lambda record: True
    assert push(delivery, rewards(1, 5_000)) == []
    assert len(sink.inserts) < 2 * REJECTIONS_MAX
    assert delivery.counts == {"rejected": 5_000}


def test_an_error_nobody_expected_is_no_crash_loop(
    delivery: Delivery, sink: FakeSink, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def insert(table: str, writer: str, entries: Sequence[Entry], token: str) -> None:
        raise OverflowError("int too big to convert")

    sink.insert = insert  # type: ignore[method-assign]
    assert push(delivery, rewards(1, 1)) == []
    assert delivery.counts == {"rejected": 1}
    assert "Traceback" in caplog.text


def test_a_broken_connection_that_nobody_mapped_is_an_unknown_outcome(
    delivery: Delivery, sink: FakeSink
) -> None:
    def insert(table: str, writer: str, entries: Sequence[Entry], token: str) -> None:
        raise ConnectionResetError("reset by peer")

    sink.insert = insert  # type: ignore[method-assign]
    block = rewards(1, 1)
    assert push(delivery, block) == [block]
    assert block.doubtful


def test_what_can_not_be_set_aside_stays(
    delivery: Delivery, sink: FakeSink, tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "w1").touch()
    sink.refuses = lambda record: True
    block = rewards(1, 1)
    assert push(delivery, block) == [block]
    (tmp_path / "w1").unlink()
    clock.advance(100)
    assert push(delivery, block) == []
    assert delivery.counts == {"rejected": 1}


def test_a_store_that_takes_rows_and_never_shows_them_is_no_endless_loop(
    delivery: Delivery, sink: FakeSink, clock: Clock
) -> None:
    sink.missing = lambda table, writer, entries: list(entries)  # type: ignore[method-assign]
    block = rewards(1, 2, check=True)
    for _ in range(3):
        assert push(delivery, block) == [block]
        clock.advance(5_000)
    assert len({token for *_, token in sink.inserts}) == len(sink.inserts) == 3


def test_an_outage_is_told_when_it_begins_and_when_it_ends(
    delivery: Delivery, sink: FakeSink, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sink.is_down = True
    blocks = [rewards(1, 2), Block("w1", "outcomes", [Entry(1, outcome(1))], check=False)]
    for _ in range(30):
        assert push(delivery, *blocks) == blocks
        clock.advance(100)
    sink.is_down = False
    while blocks:
        blocks = push(delivery, *blocks)
        clock.advance(100)
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "records wait in the journal"
    ] * 2
    assert "connection refused" in caplog.records[0].message
    assert "over after" in caplog.records[1].message
