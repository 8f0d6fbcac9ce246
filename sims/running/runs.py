"""A run: cells in parallel, each kept when it is finished, put together in the plan's order."""

import json
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from sims.running.cells import Ran, joined, read, run_cell, run_pickled, write
from sims.running.plan import Cell, Plan, pickled

CELLS = "cells"
UNDER_WAY = 2
"""Cells that are handed to an executor, for each worker: what is finished is never far ahead."""

Watch = Callable[[int], None]
"""Told how many more rounds are done."""


class WorkerDied(RuntimeError):
    """A process that ran cells was ended from outside."""


def run_plan(
    plan: Plan,
    folder: Path | None,
    *,
    executor: Executor | None = None,
    workers_n: int = 1,
    watch: Watch = lambda rounds_n: None,
) -> tuple[pa.Table, dict[str, float]]:
    """Run every cell that is not finished yet.

    Args:
        plan: What to run.
        folder: Keeps finished cells, and has those of an earlier run of the plan; None: nothing is
            kept.
        executor: Runs cells elsewhere; None: here.
        workers_n: How many it has; the numbers do not depend on it.
        watch: Told of rounds that are done, or were.

    Returns:
        All rows in the plan's order, and the processor seconds of each cell by its digest.

    Raises:
        WorkerDied: The executor lost a process; finished cells are kept.
    """
    cells = None if folder is None else folder / CELLS
    found: dict[str, pa.Table] = {}
    seconds: dict[str, float] = {}
    left = []
    for number, cell in enumerate(plan.cells):
        kept = None if cells is None else read(cells / f"{cell.digest}.parquet")
        if kept is None or cells is None:
            left.append(number)
            continue
        found[cell.digest] = kept
        seconds |= _seconds_of(cells, cell)
        watch(len(cell.seeds) * plan.rounds_n)
    running = (
        _here(plan, left, watch)
        if executor is None
        else _elsewhere(plan, left, executor, workers_n, watch)
    )
    for ran in running:
        if cells is not None:
            # The seconds first: a cell that is there has them.
            write(cells / f"{ran.digest}.json", json.dumps({"seconds": ran.seconds}).encode())
            write(cells / f"{ran.digest}.parquet", ran.content)
        found[ran.digest] = _table_of(ran)
        seconds[ran.digest] = ran.seconds
    return joined([found[cell.digest] for cell in plan.cells]), seconds


def _here(plan: Plan, left: list[int], watch: Watch) -> Iterator[Ran]:
    for number in left:
        yield run_cell(plan, plan.cells[number], watch)


def _elsewhere(
    plan: Plan, left: list[int], executor: Executor, workers_n: int, watch: Watch
) -> Iterator[Ran]:
    """Few cells at a time are under way, so that neither queue nor results pile up."""
    sent = pickled(plan)
    waiting = iter(left)
    under_way: dict[Future[Ran], Cell] = {}
    try:
        while True:
            while len(under_way) < UNDER_WAY * workers_n:
                number = next(waiting, None)
                if number is None:
                    break
                under_way[executor.submit(run_pickled, sent, number)] = plan.cells[number]
            if not under_way:
                return
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                watch(len(under_way.pop(future).seeds) * plan.rounds_n)
                yield future.result()
    except BrokenProcessPool as exc:
        raise WorkerDied("a worker process was ended from outside; run it again to go on") from exc
    finally:
        for future in under_way:
            future.cancel()


def _table_of(ran: Ran) -> pa.Table:
    return pa.parquet.read_table(pa.BufferReader(ran.content))


def _seconds_of(cells: Path, cell: Cell) -> dict[str, float]:
    try:
        known = json.loads((cells / f"{cell.digest}.json").read_bytes())
        return {cell.digest: float(known["seconds"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


@contextmanager
def processes(workers_n: int) -> Iterator[Executor | None]:
    """Processes that leave Ctrl-C to this one, and end with it; None for one worker."""
    if workers_n == 1:
        yield None
        return
    # Spawned, not forked: a fork of a process with threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers_n, context, begin_worker) as executor:
        try:
            yield executor
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def begin_worker() -> None:
    """Leave Ctrl-C to the parent, and end when it does: it may be killed without a word."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
