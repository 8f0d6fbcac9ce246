"""ClickHouse in memory, as far as journal and learner use it: named queries, blocks and tokens.

It does what was seen of the real one: knows a token and not the rows, stores and does not answer,
stores a part, stores much later, forgets tokens, shows blocks to readers in any order.
"""

import re
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from bandit.errors import StoreRejected, StoreUnavailable
from bandit.store.queries import named_queries
from tests.simulation.disk import Crash

Row = dict[str, Any]
LOG_TABLES = ("decisions", "rewards", "exposures", "outcomes", "assignments")


@dataclass(eq=False)
class Block:
    """Rows of one insert."""

    table: str
    rows: list[Row]
    token: str | None
    seen: bool = True
    """By learners; the drain that wrote it finds it at once."""


@dataclass
class Trouble:
    """What is about to happen.

    Attributes:
        answers: To the next inserts: `lost`, `kept`, `swallowed`, `partly`, `later`, as their names
            say, all without an answer.
        dies_in: The caller dies in the so many-th call from now, before or after it was done.
        is_down: Nobody is answered.
        is_lagging: What is stored is not seen by learners at once.
        refuses: Rows that can not be stored.
    """

    answers: deque[str] = field(default_factory=deque)
    dies_in: int | None = None
    dies_after: bool = False
    is_down: bool = False
    is_lagging: bool = False
    refuses: Callable[[Row], bool] = lambda row: False

    def end(self) -> None:
        self.answers.clear()
        self.dies_in = None
        self.is_down = self.is_lagging = False
        self.refuses = lambda row: False


class SimulatedStore:
    """Stands in for `bandit.store.client.Store`."""

    def __init__(self, now_ms: Callable[[], int], rng: Random) -> None:
        self.trouble = Trouble()
        self.blocks: list[Block] = []
        self._waiting: list[Block] = []
        self._tokens: set[tuple[str, str, int]] = set()
        self._now_ms = now_ms
        self._rng = rng
        self._read_back: set[tuple[Any, ...]] = set()

    def rows(self, name: str, **given: Any) -> list[tuple[Any, ...]]:
        assert given.keys() == named_queries()[name].parameters.keys(), name
        return self._call(lambda: getattr(self, f"_{name}")(**given))

    def columns(self, name: str, **given: Any) -> dict[str, Sequence[Any]]:
        return {"event_id": [event_id for (event_id,) in self.rows(name, **given)]}

    def insert(
        self,
        table: str,
        columns: Mapping[str, Sequence[Any]],
        *,
        token: str | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        rows = [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]
        self._call(lambda: self._insert(Block(table, rows, token)))

    def _call(self, do: Callable[[], Any]) -> Any:
        trouble = self.trouble
        dies = False
        if trouble.dies_in is not None:
            trouble.dies_in -= 1
            dies = trouble.dies_in < 0
        if dies:
            trouble.dies_in = None
            if not trouble.dies_after:
                raise Crash
        if trouble.is_down:
            raise StoreUnavailable("connection refused")
        answer = do()
        if dies:
            raise Crash
        return answer

    def _insert(self, block: Block) -> None:
        is_log = block.table in LOG_TABLES
        if is_log and any(map(self.trouble.refuses, block.rows)):
            raise StoreRejected("cannot parse")
        answers = self.trouble.answers
        answer = answers.popleft() if answers and block.table != "gaps" else "stored"
        if not is_log and answer in ("swallowed", "partly"):
            answer = "kept"
        if answer in ("stored", "kept"):
            self._store(block)
        elif answer == "partly":  # of two shards, one
            self._store(block, shards=(self._rng.randrange(2),))
        elif answer == "swallowed":
            self._tokens |= {(block.table, block.token or "", shard) for shard in (0, 1)}
        elif answer == "later":
            self._waiting.append(block)
        if answer != "stored":
            raise StoreUnavailable("read timed out")

    def _store(self, block: Block, shards: tuple[int, ...] = (0, 1)) -> None:
        for shard in shards:
            rows = [row for at, row in enumerate(block.rows) if at % 2 == shard]
            key = (block.table, block.token or "", shard)
            if not rows or (block.token is not None and key in self._tokens):
                continue
            self._tokens.add(key)
            stamped = [{**row, "ingested_at": self._now_ms()} for row in rows]
            seen = not (self.trouble.is_lagging and block.table in LOG_TABLES)
            self.blocks.append(Block(block.table, stamped, block.token, seen))

    def land(self) -> None:
        """What was on its way for long is there, if its token was not in the meantime."""
        for block in self._waiting:
            self._store(block)
        self._waiting.clear()

    def forget_tokens(self) -> None:
        """The window of tokens has passed."""
        self._tokens.clear()

    def show(self, share: float = 1.0) -> None:
        """Let learners see some of what they did not."""
        for block in self.blocks:
            block.seen = block.seen or self._rng.random() < share

    def lose(self, spared: Collection[tuple[Any, ...]] = ()) -> int:
        """Power goes: rows that nobody read back may be gone, their tokens are not.

        Args:
            spared: Places whose rows stay all the same.
        """
        gone, safe = 0, self._read_back | set(spared)
        for block in self.blocks:
            if block.table in LOG_TABLES and self._rng.random() < 0.5:
                kept = [row for row in block.rows if _place(block.table, row) in safe]
                gone += len(block.rows) - len(kept)
                block.rows = kept
        return gone

    def table(self, name: str, *, all_of_it: bool = True) -> list[Row]:
        """Rows as they lie there, repetitions and all."""
        blocks = [b for b in self.blocks if b.table == name and (all_of_it or b.seen)]
        return [row for block in blocks for row in block.rows]

    def _log(self, table: str, **wanted: Any) -> list[Row]:
        """Rows that learners see, each once."""
        if self.trouble.is_lagging:
            self.show(0.1)
        found: dict[tuple[Any, ...], Row] = {}
        for row in self.table(table, all_of_it=False):
            if all(row[key] == value for key, value in wanted.items()):
                found.setdefault(_place(table, row), row)
        return list(found.values())

    # What `sink.sql` asks.

    def _stored_seqs(
        self,
        table: str,
        clock: str,
        writer: str,
        surface: str,
        first: int,
        last: int,
        since_ms: int,
        until_ms: int,
    ) -> list[tuple[Any, ...]]:
        found = set()
        for row in self.table(table):
            stream = (row["writer"], row["surface"]) == (writer, surface)
            if stream and first <= row["seq"] <= last and since_ms <= row[clock] <= until_ms:
                found.add(row["seq"])
                self._read_back.add(_place(table, row))
        return [(list(found),)]

    def _seqs_between(
        self, table: str, writer: str, surface: str, first: int, last: int
    ) -> list[tuple[Any, ...]]:
        rows = self._of(table, writer, surface)
        return [(list({row["seq"] for row in rows if first <= row["seq"] <= last}),)]

    def _preceding_seqs(
        self, table: str, writer: str, surfaces: list[str], firsts: list[int]
    ) -> list[tuple[Any, ...]]:
        before = {
            surface: [r["seq"] for r in self._of(table, writer, surface) if r["seq"] < first]
            for surface, first in zip(surfaces, firsts, strict=True)
        }
        return [(surface, max(seqs)) for surface, seqs in before.items() if seqs]

    def _forgotten_seqs(self, **_: Any) -> list[tuple[Any, ...]]:
        return []

    def _of(self, table: str, writer: str, surface: str) -> list[Row]:
        return [
            row for row in self.table(table) if (row["writer"], row["surface"]) == (writer, surface)
        ]

    # What `tail.sql` asks.

    def _tail_heads(self, surface: str, arrived_since_ms: int) -> list[tuple[Any, ...]]:
        heads: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        for table in ("decisions", "rewards", "exposures"):
            for row in self._log(table):
                is_ours = row["surface"] in (surface, "") and (
                    table != "decisions" or row["surface"] == surface
                )
                if is_ours and row["ingested_at"] >= arrived_since_ms:
                    heads[table, row["surface"], row["writer"]].append(row)
        return [
            (*stream, max(r["seq"] for r in rows), max(r["ingested_at"] for r in rows))
            for stream, rows in heads.items()
        ]

    def _tail_seqs(
        self,
        table: str,
        surface: str,
        writers: list[str],
        after: list[int],
        upto: list[int],
        arrived_since_ms: int,
        until_ms: int,
    ) -> list[tuple[Any, ...]]:
        answer = []
        for writer, low, high in zip(writers, after, upto, strict=True):
            rows = [
                row
                for row in self._log(table, surface=surface, writer=writer)
                if row["seq"] > low and row["ingested_at"] >= arrived_since_ms
            ]
            if rows:
                seqs = [r["seq"] for r in rows if r["seq"] <= high and r["ts"] <= until_ms]
                self._rng.shuffle(seqs)
                answer.append((writer, seqs, min(row["ingested_at"] for row in rows)))
        return answer

    def _tail_gaps(
        self,
        log_tables: list[str],
        surfaces: list[str],
        writers: list[str],
        streams: list[str],
        after: list[int],
    ) -> list[tuple[Any, ...]]:
        ends = dict(zip(streams, after, strict=True))
        return [
            (stream, row["first"], row["last"])
            for row in self.table("gaps")
            if (stream := f"{row['log_table']}/{row['surface']}/{row['writer']}") in ends
            and row["last"] > ends[stream]
        ]

    def _tail_rows(
        self,
        table: str,
        surface: str,
        writers: list[str],
        after: list[int],
        upto: list[int],
        decided_since_ms: int,
        arrived_since_ms: int,
    ) -> list[tuple[Any, ...]]:
        clock = "ts" if table == "decisions" else "decision_ts"
        spans = {w: (a, u) for w, a, u in zip(writers, after, upto, strict=True)}
        rows = [
            row
            for row in self._log(table, surface=surface)
            if row["writer"] in spans
            and spans[row["writer"]][0] < row["seq"] <= spans[row["writer"]][1]
            and row[clock] >= decided_since_ms
            and row["ingested_at"] >= arrived_since_ms
        ]
        rows.sort(key=lambda row: (row["ts"], row["writer"], row["seq"]))
        return _selected(f"tail_{table}", rows)

    def _tail_decisions(self, **given: Any) -> list[tuple[Any, ...]]:
        return self._tail_rows("decisions", **given)

    def _tail_rewards(self, **given: Any) -> list[tuple[Any, ...]]:
        return self._tail_rows("rewards", **given)

    def _tail_exposures(self, **given: Any) -> list[tuple[Any, ...]]:
        return self._tail_rows("exposures", **given)

    def _tail_event_ids(
        self, surface: str, writers: list[str], upto: list[int], since_ms: int, until_ms: int
    ) -> list[tuple[Any, ...]]:
        ends = dict(zip(writers, upto, strict=True))
        gaps = [g for g in self.table("gaps") if g["log_table"] == "decisions"]
        return list(
            {
                (row["event_id"],)
                for row in self._log("decisions", surface=surface)
                if row["seq"] <= ends.get(row["writer"], 0)
                and since_ms <= row["ts"] <= until_ms
                and not any(
                    (gap["surface"], gap["writer"]) == (surface, row["writer"])
                    and gap["first"] <= row["seq"] <= gap["last"]
                    for gap in gaps
                )
            }
        )

    def _drained_through(self) -> list[tuple[Any, ...]]:
        newest: dict[str, Row] = {}
        for row in self.table("progress"):
            held = newest.get(row["host"])
            if held is None or (row["updated_at"], row["done"]) >= (
                held["updated_at"],
                held["done"],
            ):
                newest[row["host"]] = row
        return [
            (host, row["drained_through"], row["updated_at"], row["done"])
            for host, row in sorted(newest.items())
        ]

    # What `snapshots.sql` asks.

    def _snapshots_of(self, policy: str) -> dict[int, Row]:
        """The first of each number that became visible."""
        found: dict[int, Row] = {}
        for row in self.table("snapshots"):
            if row["policy"] == policy:
                found.setdefault(row["number"], row)
        return dict(sorted(found.items()))

    def _snapshot_winner(self, policy: str, number: int) -> list[tuple[Any, ...]]:
        held = self._snapshots_of(policy).get(number)
        return [] if held is None else [(held["change_id"],)]

    def _snapshot_numbers(self) -> list[tuple[Any, ...]]:
        policies = {row["policy"] for row in self.table("snapshots")}
        return [(policy, max(self._snapshots_of(policy))) for policy in policies]

    def _snapshot(self, policy: str, number: int) -> list[tuple[Any, ...]]:
        held = self._snapshots_of(policy).get(number)
        return _selected("snapshot", [] if held is None else [held])

    def _snapshot_lineage(self, policy: str, since: int, upto: int) -> list[tuple[Any, ...]]:
        rows = [row for n, row in self._snapshots_of(policy).items() if since <= n <= upto]
        return _selected("snapshot_lineage", rows)

    def _expired_numbers(self, **_: Any) -> list[tuple[Any, ...]]:
        return []

    def _policy_erasures(self) -> list[tuple[Any, ...]]:
        return []

    def _snapshots_to_thin(self, **_: Any) -> list[tuple[Any, ...]]:
        return []


def _place(table: str, row: Row) -> tuple[Any, ...]:
    return (table, row["surface"], row["writer"], row["seq"])


_FUNCTION = re.compile(r"^(?:toString|toUnixTimestamp64Milli)\((\w+)\)$")


def _selected(name: str, rows: list[Row]) -> list[tuple[Any, ...]]:
    """The columns that the real query selects, in its order."""
    listed = named_queries()[name].sql.split("SELECT", 1)[1].split("FROM", 1)[0]
    columns = [_FUNCTION.sub(r"\1", part.strip()) for part in listed.split(",")]
    return [
        tuple(b"" if column.startswith("''") else row[column] for column in columns) for row in rows
    ]
