"""One cell: run it, write it, read it."""

import os
import pickle
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bandit.errors import BanditError, RecordError
from sims.running.batched import can_be_batched, seated
from sims.running.plan import Cell, Plan
from sims.running.playing import Floats, Game, marks_of, play
from sims.running.together import play_together
from sims.worlds.base import BatchWorld

SCHEMA = pa.schema(
    [
        ("world", pa.dictionary(pa.int32(), pa.string())),
        ("policy", pa.dictionary(pa.int32(), pa.string())),
        ("seed", pa.int64()),
        ("rounds_n", pa.int64()),
        ("reward", pa.float64()),
        ("expected", pa.float64()),
        ("regret", pa.float64()),
    ]
)
"""A row for each checkpoint; reward, its mean and regret are sums over all rounds so far."""


class Ran(NamedTuple):
    """What a cell came to.

    Attributes:
        digest: Which cell.
        content: Its Parquet file, a function of the cell alone.
        seconds: Processor time it took, which is no such function, so it is kept beside it.
    """

    digest: str
    content: bytes
    seconds: float


def run_cell(plan: Plan, cell: Cell, watch: Callable[[int], None] = lambda n: None) -> Ran:
    """Run a cell.

    Args:
        plan: What it is part of.
        cell: Which.
        watch: Told how many more of its rounds are done, now and then.
    """
    world, contender = plan.worlds[cell.world], plan.contenders[cell.policy]
    began = time.process_time()
    if isinstance(world, BatchWorld) and can_be_batched(contender, world):
        seat = seated(contender, world, cell.seeds)
        told = _Steps(watch, len(cell.seeds))
        sums = play_together(world, seat, cell.seeds, plan.rounds_n, plan.timing, told)
    else:
        [seed] = cell.seeds
        game = Game(world, contender, seed, plan.timing)
        told = _Steps(watch, 1)
        sums = play(game, plan.rounds_n, lambda done, _sums: told(done))[None]
    seconds = time.process_time() - began
    table = _table(world.name, contender.key, cell.seeds, marks_of(plan.rounds_n), sums)
    return Ran(cell.digest, as_parquet(table), seconds)


def run_pickled(plan: bytes, number: int) -> Ran:
    """The same in another process, of the cell of a number."""
    global _plan
    known = _plan
    if known is None or known[0] != plan:
        known = _plan = (plan, pickle.loads(plan))  # made by the process that sent it
    try:
        return run_cell(known[1], known[1].cells[number])
    except BanditError as exc:
        # Some of them can not be unpickled again, which would read like a process that died.
        raise RecordError(str(exc)) from None


_plan: tuple[bytes, Plan] | None = None  # the one that this process works at


def as_parquet(table: pa.Table) -> bytes:
    """A table as a file: equal tables give equal bytes."""
    file = BytesIO()
    pq.write_table(table, file, compression="zstd", row_group_size=2**17)
    return file.getvalue()


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, whatever ends this process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rough = path.with_name(f".{path.name}.{os.getpid()}")
    with rough.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    rough.replace(path)


def read(path: Path) -> pa.Table | None:
    """A cell's table; None if it is not there or is not one."""
    try:
        table = pq.read_table(BytesIO(path.read_bytes()))
    except (OSError, pa.ArrowInvalid):
        return None
    return table if table.schema.equals(SCHEMA) else None


def joined(tables: list[pa.Table]) -> pa.Table:
    """Tables of cells as one, their names in one dictionary."""
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _table(
    world: str, policy: str, seeds: tuple[int, ...], marks: list[int], sums: Floats
) -> pa.Table:
    n, m = len(seeds), len(marks)
    names = [pa.array([name] * (n * m)).dictionary_encode() for name in (world, policy)]
    numbers = [pa.array(sums[:, :, place].reshape(-1)) for place in range(3)]
    columns = [*names, pa.array(np.repeat(seeds, m)), pa.array(np.tile(marks, n)), *numbers]
    return pa.table(columns, schema=SCHEMA)


class _Steps:
    """From rounds so far of each seed to how many more rounds there are in all."""

    def __init__(self, watch: Callable[[int], None], seeds_n: int) -> None:
        self._watch, self._seeds_n, self._done = watch, seeds_n, 0

    def __call__(self, done: int) -> None:
        self._watch((done - self._done) * self._seeds_n)
        self._done = done
