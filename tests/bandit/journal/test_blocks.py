import hashlib

import msgspec

from bandit.journal.base import Entry
from bandit.journal.blocks import Block, blocks_of, month
from bandit.records import AnyLogRecord
from tests.bandit.journal.fakes import decision, exposure, outcome, reward

DECEMBER_MS = 1_767_225_599_999
JANUARY_MS = DECEMBER_MS + 1


def entries(*records: AnyLogRecord) -> list[Entry]:
    return [Entry(n, record) for n, record in enumerate(records, 1)]


def block(*seqs: int, writer: str = "w1", surface: str = "home") -> Block:
    found = [Entry(seq, reward(seq, surface=surface)) for seq in seqs]
    return Block(writer, "rewards", found, check=False)


def test_a_block_is_of_one_table_and_one_month_of_the_decision() -> None:
    blocks = blocks_of(
        "w1",
        entries(
            decision(1, ts_ms=DECEMBER_MS),
            reward(2, ts_ms=JANUARY_MS, at_ms=DECEMBER_MS),
            decision(3, ts_ms=JANUARY_MS),
            reward(4, ts_ms=JANUARY_MS),
            exposure(5, ts_ms=JANUARY_MS, at_ms=DECEMBER_MS),
            outcome(6, ts_ms=DECEMBER_MS),
            outcome(7, ts_ms=DECEMBER_MS),
        ),
        max_rows=100,
        check=False,
    )
    assert [(b.table, [seq for seq, _ in b.entries]) for b in blocks] == [
        ("decisions", [1]),
        ("rewards", [2]),
        ("decisions", [3]),
        ("rewards", [4]),
        ("exposures", [5]),
        ("outcomes", [6, 7]),
    ]


def test_a_block_has_at_most_so_many_rows() -> None:
    rewards = entries(*(reward(n) for n in range(5)))
    blocks = blocks_of("w1", rewards, max_rows=2, check=True)
    assert [[seq for seq, _ in b.entries] for b in blocks] == [[1, 2], [3, 4], [5]]
    assert all(b.check and b.doubtful for b in blocks)


def test_an_event_id_of_the_far_future_has_a_month() -> None:
    assert month(2**48 - 1) == 1088908


def test_a_token_is_the_same_in_every_process() -> None:
    name = msgspec.msgpack.encode(["w1", "rewards", [["home", [[1, 3], [7, 7]]]], 0])
    assert block(1, 2, 3, 7).token == hashlib.blake2b(name, digest_size=16).hexdigest()


def test_other_rows_another_writer_or_surface_have_another_token() -> None:
    blocks = [block(1, 2), block(1), block(1, 3), block(1, 2, writer="w2")]
    blocks.append(block(1, 2, surface="cart"))
    assert len({b.token for b in blocks}) == len(blocks)


def test_what_was_missing_is_sent_again_under_a_new_token() -> None:
    lost = block(1, 2, 3)
    tokens = {lost.token}
    for attempt in (1, 2):
        lost.resend(lost.entries)
        tokens.add(lost.token)
        assert (lost.resends, lost.check) == (attempt, False)
    assert len(tokens) == 3
