"""`sims.run`: policies × worlds × seeds in one call."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from pathlib import Path
from typing import cast

from bandit.errors import RecordError
from bandit.service.simulations import folder_of
from bandit.specs import PolicySpec
from bandit.stats.multiple import Correction
from sims.learners import Contender
from sims.policies import contender_named
from sims.results import Result, check_reference, result_of, run_id
from sims.running.plan import Plan, plan_of
from sims.running.playing import Timing
from sims.running.runs import CELLS, processes, run_plan
from sims.worlds import open_world
from sims.worlds.base import World

WORTH_PROCESSES_N = 300_000
"""Rounds in all from which starting processes pays by default."""

Playable = PolicySpec | Contender | str
"""A policy: declared, a peer behind an adapter, or as the command line takes it."""


def run(
    worlds: World | str | Sequence[World | str],
    policies: Playable | Sequence[Playable],
    n: int,
    seeds: int | Sequence[int] = 10,
    *,
    delay_n: int = 0,
    join_n: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    data_dir: Path | str | None = None,
    name: str = "",
    resume: bool = True,
    reference: str | None = None,
    alpha: float = 0.05,
    correction: Correction = "holm",
    watch: Callable[[int, int], None] = lambda done_n, rounds_n: None,
) -> Result:
    """Run policies in worlds, the same rounds for all of them, and compare.

    >>> result = run("linear", ["uniform", "popularity"], n=100, seeds=3)
    >>> result.table().columns[:3].tolist()
    ['world', 'policy', 'reward']

    Args:
        worlds: Worlds, or names such as `linear+drift:5000` (`sims.worlds.open_world`).
        policies: Specs, peers, or texts such as `linear {"scale": 0.2}` (`sims.policies`).
        n: Rounds of each policy in each world and seed.
        seeds: How many (1, 2, …), or which.
        delay_n, join_n: When rewards are learned from; see `sims.running.playing.Timing`.
        workers: Processes; None: one for a small run, else as many as there are cores. No number
            depends on it.
        executor: Any other place to run in, with `workers` workers.
        data_dir: Keeps what is finished and saves the result, under `simulations/`; None: nothing
            is kept.
        name: What it is called; without one, the first world's name.
        resume: Whether to go on where an equal run was ended; else it begins anew.
        reference: Key of the policy that the others are shown against; None: the first.
        alpha: 1 − the level of all intervals.
        correction: Of the p-values of all pairs in all worlds.
        watch: Told rounds done, and in all.

    Raises:
        BadSpec: A world or policy that there is not, or that can not be run.
        RecordError: Numbers out of range, or a name that comes twice.
        WorkerDied: A process was ended from outside; what is finished is kept in `data_dir`.
    """
    if not 0.0 < alpha < 1.0:
        raise RecordError(f"alpha is {alpha!r}, must be in (0, 1)")
    plan = planned(worlds, policies, n, seeds, Timing(delay_n, join_n), data_dir)
    check_reference(reference, [one.key for one in plan.contenders])
    name = name or plan.worlds[0].name
    folder = None if data_dir is None else folder_of(Path(data_dir), run_id(name, plan))
    if folder is not None and not resume:
        begin_anew(folder)
    workers_n = _workers_n(plan, workers)
    began = time.perf_counter()
    counted = _Counted(watch, plan.rounds_in_all)
    places = processes(workers_n) if executor is None else nullcontext(executor)
    with places as place:
        rows, seconds = run_plan(plan, folder, executor=place, workers_n=workers_n, watch=counted)
    result = result_of(
        plan,
        rows,
        seconds,
        took_s=time.perf_counter() - began,
        name=name,
        reference=reference,
        alpha=alpha,
        correction=correction,
    )
    if data_dir is not None:
        result.save(Path(data_dir))
    return result


def planned(
    worlds: World | str | Sequence[World | str],
    policies: Playable | Sequence[Playable],
    n: int,
    seeds: int | Sequence[int],
    timing: Timing,
    data_dir: Path | str | None,
) -> Plan:
    """What `run` is to do, checked."""
    cache = Path(data_dir or "var") / ".cache"
    some_worlds = cast("Sequence[World | str]", [worlds] if _is_one(worlds) else worlds)
    some_policies = cast("Sequence[Playable]", [policies] if _is_one(policies) else policies)
    return plan_of(
        [open_world(one, cache) if isinstance(one, str) else one for one in some_worlds],
        [
            contender_named(one, number) if isinstance(one, str) else one
            for number, one in enumerate(some_policies, 1)
        ],
        rounds_n=n,
        seeds=range(1, seeds + 1) if isinstance(seeds, int) else list(seeds),
        timing=timing,
    )


def begin_anew(folder: Path) -> None:
    """Forget the finished cells of a run."""
    for path in (folder / CELLS).glob("*"):
        path.unlink()


def _is_one(what: object) -> bool:
    """Whether it is a world or policy, not several."""
    return isinstance(what, str) or not isinstance(what, Sequence) or hasattr(what, "key")


def _workers_n(plan: Plan, workers: int | None) -> int:
    if workers is None:
        small = plan.rounds_in_all < WORTH_PROCESSES_N
        return 1 if small else min(os.cpu_count() or 1, len(plan.cells))
    if workers < 1:
        raise RecordError(f"workers is {workers}, must be at least 1")
    return workers


class _Counted:
    """From how many more rounds are done to how many are."""

    def __init__(self, watch: Callable[[int, int], None], rounds_n: int) -> None:
        self._watch, self._rounds_n, self._done_n = watch, rounds_n, 0

    def __call__(self, more_n: int) -> None:
        self._done_n += more_n
        self._watch(self._done_n, self._rounds_n)
